"""Widgets that paint plain spans, line by line, and send only the cells that changed."""
