"""What is stored, specified on real databases: schema, append-only history, the journal's sums, the audit chain."""
