"""Telling a person on stderr, outside the app."""

from __future__ import annotations

import sys


def say(message: str) -> None:
    """Write a line to stderr. That nobody reads it never stops the work."""
    try:
        sys.stderr.write(f"{message}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return
