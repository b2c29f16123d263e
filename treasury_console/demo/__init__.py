"""A treasury to try out: real agents, real transfers, and transactions stuck because their coordinator was killed."""
