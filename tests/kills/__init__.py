"""Real processes on a treasury on disk, really killed."""
