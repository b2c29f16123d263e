"""What is really stored, read with plain SQL and none of the product's code."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Row = Mapping[str, Any]
Key = tuple[str, str]

TREASURY_TABLES = ("transactions", "branches", "decisions", "coordinators", "audit_events", "audit_head")
SHARD_TABLES = ("accounts", "entries", "holds", "branch_log")
AUDIT_TABLES = frozenset({"audit_events", "audit_head"})
LEASE_TABLES = frozenset({"coordinators"})


@dataclass(frozen=True)
class State:
    """Every row of every table that matters, by (database, table)."""

    tables: Mapping[tuple[str, str], tuple[Row, ...]]

    @cached_property
    def transactions(self) -> dict[str, Row]:
        """The coordinator's record of transactions, by txn_id."""
        return {row["txn_id"]: row for row in self.tables["treasury", "transactions"]}

    @cached_property
    def branches(self) -> dict[str, list[Row]]:
        """The coordinator's record of branches, by txn_id, in order."""
        found: dict[str, list[Row]] = {}
        for row in sorted(self.tables["treasury", "branches"], key=lambda row: (row["txn_id"], row["position"])):
            found.setdefault(row["txn_id"], []).append(row)
        return found

    @cached_property
    def decisions(self) -> dict[str, list[Row]]:
        """The decision rows, by txn_id: there must never be two."""
        found: dict[str, list[Row]] = {}
        for row in self.tables["treasury", "decisions"]:
            found.setdefault(row["txn_id"], []).append(row)
        return found

    @cached_property
    def leases(self) -> dict[str, int]:
        """The end of each coordinator's lease, in microseconds since 1970."""
        return {row["coordinator_id"]: row["lease_until"] for row in self.tables["treasury", "coordinators"]}

    @cached_property
    def events(self) -> tuple[Row, ...]:
        """The audit events in order."""
        return tuple(sorted(self.tables["treasury", "audit_events"], key=lambda row: int(row["seq"])))

    @cached_property
    def accounts(self) -> dict[Key, Row]:
        """The accounts of all shards, by agent and currency."""
        return {(row["agent_id"], row["currency"]): row for row in self._of_shards("accounts")}

    @cached_property
    def entries(self) -> tuple[Row, ...]:
        """The journals of all shards."""
        return self._of_shards("entries")

    @cached_property
    def holds(self) -> tuple[Row, ...]:
        """The holds of all shards."""
        return self._of_shards("holds")

    @cached_property
    def outcomes(self) -> dict[Key, str]:
        """How branches ended, by txn_id and participant."""
        return {(row["txn_id"], row["participant"]): row["outcome"] for row in self._of_shards("branch_log")}

    @cached_property
    def held_branches(self) -> frozenset[Key]:
        """The branches that have a hold, by txn_id and participant."""
        return frozenset((row["txn_id"], row["participant"]) for row in self.holds)

    def branch_state(self, txn_id: str, participant: str) -> str:
        """Return the real state of a branch in the words of the product, from the rows alone."""
        outcome = self.outcomes.get((txn_id, participant))
        return outcome or ("prepared" if (txn_id, participant) in self.held_branches else "active")

    def by_key(self, key: str) -> str | None:
        """Return the transaction of the payment with this idempotency key, if it was created."""
        return next((txn_id for txn_id, row in self.transactions.items() if row["idempotency_key"] == key), None)

    def differences(self, other: State, *, besides: frozenset[str] = AUDIT_TABLES) -> list[str]:
        """Return the tables, as `database.table`, in which `other` differs."""
        return [
            f"{database}.{table}"
            for (database, table), rows in self.tables.items()
            if table not in besides and rows != other.tables[database, table]
        ]

    def _of_shards(self, table: str) -> tuple[Row, ...]:
        return tuple(row for (_, name), rows in self.tables.items() if name == table for row in rows)


class StateReader:
    """Reads states over connections of its own; a database that nobody wrote to since is not read again."""

    def __init__(self, databases: Mapping[str, sqlite3.Connection]) -> None:
        self._databases = databases
        self._known: dict[str, tuple[int, dict[tuple[str, str], tuple[Row, ...]]]] = {}

    def forget(self) -> None:
        """Read everything anew next time: a connection does not notice what it wrote itself."""
        self._known.clear()

    def read(self) -> State:
        """Return what the databases hold now."""
        tables: dict[tuple[str, str], tuple[Row, ...]] = {}
        for name, connection in self._databases.items():
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            if name not in self._known or self._known[name][0] != version:
                self._known[name] = (version, _read_tables(name, connection))
            tables.update(self._known[name][1])
        return State(tables)


def _read_tables(name: str, connection: sqlite3.Connection) -> dict[tuple[str, str], tuple[Row, ...]]:
    tables: dict[tuple[str, str], tuple[Row, ...]] = {}
    for table in TREASURY_TABLES if name == "treasury" else SHARD_TABLES:
        cursor = connection.execute(f"SELECT * FROM {table} ORDER BY rowid")
        columns = [column[0] for column in cursor.description]
        tables[name, table] = tuple(dict(zip(columns, row, strict=True)) for row in cursor)
    return tables
