"""What is stored, and the only place that knows SQL: the treasury database and the shards."""
