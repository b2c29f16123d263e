"""Triggers that make a table append-only: whoever holds the file still cannot edit history by plain SQL."""

from __future__ import annotations

from alembic import op


def forbid_changes(table: str, *keys: tuple[str, ...], inserted_if_absent: bool = False) -> None:
    """Refuse every UPDATE and DELETE on `table`, and every INSERT that would replace a row with one of its `keys`.

    SQLite's REPLACE deletes the old row without asking the DELETE trigger. Where rows are inserted if absent, a second
    one is ignored; elsewhere it is an error.
    """
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_refuses_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
    same = " OR ".join("(" + " AND ".join(f"{column} = NEW.{column}" for column in key) + ")" for key in keys)
    refusal = "RAISE(IGNORE)" if inserted_if_absent else f"RAISE(ABORT, '{table} is append-only')"
    op.execute(
        f"CREATE TRIGGER {table}_refuses_replace BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) BEGIN SELECT {refusal}; END"
    )
