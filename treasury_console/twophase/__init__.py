"""Two-phase commit: the coordinator, resource managers, evidence of where branches stand, and finishing them."""
