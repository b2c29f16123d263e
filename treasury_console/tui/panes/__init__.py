"""The overview's panes: a title line over a table, with a filter of their own."""
