"""Deterministic simulation of coordinators, shards, operators and crashes over the real operations."""
