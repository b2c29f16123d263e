"""`treasury-console`: the Textual app. Thin over the operations: it renders their results and asks before it acts."""
