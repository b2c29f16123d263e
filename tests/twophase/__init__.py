"""Two-phase commit, specified on real shards: the resource manager, evidence, the coordinator, recovery."""
