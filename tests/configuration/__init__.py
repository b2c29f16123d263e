"""Configuration: what is in force, where it came from, and what is refused."""
