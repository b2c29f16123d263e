"""Triggers that make a table append-only: whoever holds the file still cannot edit history by plain SQL."""

from __future__ import annotations

from alembic import op


def forbid_changes(table: str) -> None:
    """Refuse every UPDATE and DELETE on `table`."""
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_refuses_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
