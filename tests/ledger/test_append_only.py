"""History is append-only: the database itself refuses to change or delete it."""

from __future__ import annotations

import sqlite3
from contextlib import suppress

import pytest

from tests.treasuries import TRANSFER_STEPS, ScratchTreasury
from treasury_console.operations.payments import transfer
from treasury_console.operations.treasury import Treasury

HISTORY = {"entries": "shard-1", "branch_log": "shard-1", "decisions": "treasury", "audit_events": "treasury"}

history = pytest.mark.parametrize(("table", "database_name"), HISTORY.items())
changes = pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("entries", "amount", "amount + 1"),
        ("branch_log", "outcome", "'rolled-back'"),
        ("decisions", "decision", "'abort'"),
        ("audit_events", "actor", "'somebody else'"),
    ],
)


@pytest.fixture
def used(scratch: ScratchTreasury, treasury: Treasury) -> ScratchTreasury:
    transfer(treasury, "agent_1", "agent_2", "10.00", "USD")
    scratch.crash_a_transfer(TRANSFER_STEPS[-2])
    return scratch


@history
def test_no_column_of_history_can_be_updated(used: ScratchTreasury, table: str, database_name: str) -> None:
    before = used.contents()
    columns = [row[1] for row in used.query(database_name, f"PRAGMA table_info({table})")]
    assert before[f"{database_name}.{table}"]
    for column in columns:
        with pytest.raises(sqlite3.IntegrityError, match=f"^{table} is append-only$"):
            used.execute(database_name, f"UPDATE {table} SET {column} = {column}")
    assert used.contents() == before


@history
def test_no_row_of_history_can_be_deleted(used: ScratchTreasury, table: str, database_name: str) -> None:
    before = used.contents()
    with pytest.raises(sqlite3.IntegrityError, match=f"^{table} is append-only$"):
        used.execute(database_name, f"DELETE FROM {table}")
    assert used.contents() == before


@changes
def test_no_row_of_history_can_be_replaced(used: ScratchTreasury, table: str, column: str, value: str) -> None:
    database_name = HISTORY[table]
    before = used.contents()
    columns = [row[1] for row in used.query(database_name, f"PRAGMA table_info({table})")]
    changed = ", ".join(value if name == column else name for name in columns)
    with suppress(sqlite3.IntegrityError):
        used.execute(database_name, f"REPLACE INTO {table} SELECT {changed} FROM {table}")
    assert used.contents() == before


@changes
def test_an_upsert_does_not_change_history(used: ScratchTreasury, table: str, column: str, value: str) -> None:
    database_name = HISTORY[table]
    before = used.contents()
    with suppress(sqlite3.IntegrityError):
        used.execute(
            database_name,
            f"INSERT INTO {table} SELECT * FROM {table} WHERE true ON CONFLICT DO UPDATE SET {column} = {value}",
        )
    assert used.contents() == before
