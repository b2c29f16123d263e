"""The procedures of the runbook, one module each: what the console, the command line and programs all call."""
