"""The procedures of the runbook, specified on a real treasury."""
