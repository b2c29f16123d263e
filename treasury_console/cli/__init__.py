"""`treasury-cli`: every procedure of the runbook as a command; one module per group, all thin over the operations."""
