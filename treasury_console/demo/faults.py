"""Drifts, made the way bugs make them: by writing to a shard behind the ledger's back.

This module opens the shard's file with sqlite3 and changes rows by raw SQL on purpose: every fault here stands for a
program, an old writer or a retried statement, outside the ledger's code, which itself cannot write such a thing. No
finding is ever written: reconciliation has to find what was done. Amounts are minor units.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from treasury_console.domain.drift import Cause, Check, Finding
from treasury_console.domain.ids import IdSource
from treasury_console.operations.treasury import Clock

_RETRY_AFTER = timedelta(seconds=2)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ExpectedFinding:
    """A finding that a fault must lead to. `finding_id` is the one reconciliation will give it."""

    check: Check
    cause: Cause
    finding_id: str
    drift: int


@dataclass(frozen=True, slots=True)
class InjectedDrift:
    """A fault that was made: whose account it struck, by how much, and what every full reconciliation must find."""

    agent_id: str
    currency: str
    amount: int
    story: str
    findings: tuple[ExpectedFinding, ...]


@dataclass(frozen=True, slots=True)
class _Credit:
    """The newest credit on an account."""

    version: int
    amount: int
    balance_after: int
    kind: str
    reference: str
    posted_at: int


def raise_balance_twice(shard_file: Path, agent_id: str, currency: str) -> InjectedDrift:
    """Run the statement that raised the balance by the newest credit once more, as a retry without a key does."""
    with _shard(shard_file) as connection:
        credit = _newest_credit(connection, agent_id, currency)
        _change_balance(connection, agent_id, currency, credit.amount)
    return InjectedDrift(
        agent_id,
        currency,
        credit.amount,
        "A statement was retried after a timeout and credited the balance a second time, without a journal entry.",
        (_expected(Check.BALANCE, Cause.DUPLICATE_CREDIT, agent_id, currency, credit.amount),),
    )


def write_entry_twice(shard_file: Path, agent_id: str, currency: str, ids: IdSource, clock: Clock) -> InjectedDrift:
    """Write the newest credit again under a fresh transaction id, balance and version continued, as a retry does."""
    txn_id = ids.new("txn", clock())
    with _shard(shard_file) as connection:
        credit = _newest_credit(connection, agent_id, currency)
        posted_at = credit.posted_at + _RETRY_AFTER // _MICROSECOND
        connection.execute(
            "INSERT INTO entries (txn_id, agent_id, currency, version, amount, balance_after, kind, reference,"
            " posted_at, effective_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                txn_id,
                agent_id,
                currency,
                credit.version + 1,
                credit.amount,
                credit.balance_after + credit.amount,
                credit.kind,
                credit.reference,
                posted_at,
                posted_at,
            ),
        )
        _change_balance(connection, agent_id, currency, credit.amount, versions=1)
    return InjectedDrift(
        agent_id,
        currency,
        credit.amount,
        "A payment message was delivered twice and the second was written to the journal under an id of its own.",
        (
            _expected(Check.TRANSACTION, Cause.DUPLICATE_CREDIT, agent_id, currency, credit.amount, subject=txn_id),
            _expected(Check.GLOBAL, Cause.DUPLICATE_CREDIT, "", currency, credit.amount),
        ),
    )


def lose_balance_update(shard_file: Path, agent_id: str, currency: str) -> InjectedDrift:
    """Write back a balance that was read before the newest credit, as a writer without a lock does."""
    with _shard(shard_file) as connection:
        credit = _newest_credit(connection, agent_id, currency)
        _change_balance(connection, agent_id, currency, -credit.amount)
    return InjectedDrift(
        agent_id,
        currency,
        -credit.amount,
        "A writer that took no lock overwrote the balance, and the newest credit was lost from it.",
        (_expected(Check.BALANCE, Cause.ORPHANED_DEBIT, agent_id, currency, -credit.amount),),
    )


@contextmanager
def _shard(file: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection in one transaction, to a shard that must exist."""
    with (
        closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=5.0)) as connection,
        connection,
    ):
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def _newest_credit(connection: sqlite3.Connection, agent_id: str, currency: str) -> _Credit:
    """Return the account's newest entry, which must be a credit for a fault to pass for a retry of it."""
    row = connection.execute(
        "SELECT version, amount, balance_after, kind, reference, posted_at FROM entries"
        " WHERE agent_id = ? AND currency = ? AND version IS NOT NULL ORDER BY version DESC LIMIT 1",
        (agent_id, currency),
    ).fetchone()
    if row is None or row[1] <= 0:
        raise LookupError(f"the newest entry of {agent_id} in {currency} is no credit")
    return _Credit(*row)


def _change_balance(
    connection: sqlite3.Connection, agent_id: str, currency: str, amount: int, *, versions: int = 0
) -> None:
    connection.execute(
        "UPDATE accounts SET balance = balance + ?, version = version + ? WHERE agent_id = ? AND currency = ?",
        (amount, versions, agent_id, currency),
    )


def _expected(
    check: Check, cause: Cause, agent_id: str, currency: str, drift: int, *, subject: str = ""
) -> ExpectedFinding:
    finding = Finding(check, agent_id, currency, expected=0, actual=drift, cause=cause, subject=subject)
    return ExpectedFinding(check, cause, finding.finding_id, drift)
