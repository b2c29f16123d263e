"""Branches on a shard: holds, the journal entries they become, and the witness of how each ended.

The witness is `branch_log`: one row per ended branch, committed or rolled back. A rolled-back row is also a tombstone:
while it stands the branch can never prepare (rule R6).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from treasury_console.domain.accounts import Account
from treasury_console.domain.transactions import BranchState
from treasury_console.ledger.columns import AnyRow
from treasury_console.ledger.database import insert_if_absent, restricted
from treasury_console.ledger.shard_tables import branch_log, entries, holds

# The statements of the hot path are built once: building one costs more than running it.
_INSERT_HOLD = insert(holds)
_INSERT_ENTRIES = insert(entries)
_THIS_HOLD = (holds.c.txn_id == bindparam("of_txn"), holds.c.participant == bindparam("of_participant"))
_FIND_HOLD = select(holds).where(*_THIS_HOLD)
_DELETE_HOLD = delete(holds).where(*_THIS_HOLD)
_FIND_OUTCOME = select(branch_log.c.outcome, branch_log.c.ended_at).where(
    branch_log.c.txn_id == bindparam("of_txn"), branch_log.c.participant == bindparam("of_participant")
)
_INCOMING_CREDITS = select(func.coalesce(func.sum(holds.c.amount), 0)).where(
    holds.c.participant == bindparam("of_participant"),
    holds.c.currency == bindparam("in_currency"),
    holds.c.amount > 0,
)


@dataclass(frozen=True, slots=True)
class Hold:
    """A prepared branch: the durable yes vote, with all that its commit needs."""

    txn_id: str
    participant: str
    currency: str
    amount: int
    contra: str | None
    kind: str
    reference: str
    epoch: int
    held_at: datetime


@dataclass(frozen=True, slots=True)
class StoredBranch:
    """What the shard knows of a branch: its state, and its hold while it is prepared."""

    state: BranchState
    hold: Hold | None = None
    ended_at: datetime | None = None


def place_hold(connection: Connection, hold: Hold) -> None:
    """Store the yes vote."""
    connection.execute(_INSERT_HOLD, _hold_values(hold))


def remove_hold(connection: Connection, txn_id: str, participant: str) -> None:
    """Remove the hold of a branch that ends in this transaction."""
    connection.execute(_DELETE_HOLD, {"of_txn": txn_id, "of_participant": participant})


def log_outcome(
    connection: Connection, txn_id: str, participant: str, epoch: int, state: BranchState, at: datetime
) -> bool:
    """Record that the branch ended as `state` unless an outcome is recorded; say whether this one was."""
    values = {"txn_id": txn_id, "participant": participant, "epoch": epoch, "outcome": state.value, "ended_at": at}
    return insert_if_absent(connection, branch_log, values)


def append_entries(connection: Connection, hold: Hold, after: Account, at: datetime) -> None:
    """Append the committed branch to the journal: the agent's entry, and the reserved owner's opposite one if any."""
    common = {
        "txn_id": hold.txn_id,
        "currency": hold.currency,
        "kind": hold.kind,
        "reference": hold.reference,
        "posted_at": at,
        "effective_at": at,
    }
    rows = [
        {
            **common,
            "agent_id": hold.participant,
            "version": after.version,
            "amount": hold.amount,
            "balance_after": after.balance,
        }
    ]
    if hold.contra is not None:
        rows.append({**common, "agent_id": hold.contra, "version": None, "amount": -hold.amount, "balance_after": None})
    connection.execute(_INSERT_ENTRIES, rows)


def read_branch(connection: Connection, txn_id: str, participant: str) -> StoredBranch:
    """Return the state of one branch in this transaction's view."""
    this_branch = {"of_txn": txn_id, "of_participant": participant}
    outcome = connection.execute(_FIND_OUTCOME, this_branch).one_or_none()
    hold = connection.execute(_FIND_HOLD, this_branch).one_or_none()
    return _stored(None if outcome is None else (outcome.outcome, outcome.ended_at), hold)


def read_branches(connection: Connection, txn_ids: Sequence[str]) -> dict[tuple[str, str], StoredBranch]:
    """Return every branch of `txn_ids` that the shard has a trace of, by (txn_id, participant)."""
    found: dict[tuple[str, str], StoredBranch] = {}
    for query in restricted(select(holds), holds.c.txn_id, txn_ids):
        for hold in connection.execute(query):
            found[hold.txn_id, hold.participant] = _stored(None, hold)
    for query in restricted(select(branch_log), branch_log.c.txn_id, txn_ids):
        for row in connection.execute(query):
            found[row.txn_id, row.participant] = _stored((row.outcome, row.ended_at), None)
    return found


def incoming_credits(connection: Connection, participant: str, currency: str) -> int:
    """Return the sum of the credits that are prepared on the account."""
    account = {"of_participant": participant, "in_currency": currency}
    return int(connection.execute(_INCOMING_CREDITS, account).scalar_one())


def list_holds(connection: Connection, participant: str | None = None) -> Iterator[Hold]:
    """Yield every hold of the shard (or of one participant), by participant."""
    query = select(holds).order_by(holds.c.participant, holds.c.txn_id)
    if participant is not None:
        query = query.where(holds.c.participant == participant)
    for row in connection.execute(query):
        yield _hold(row)


def _stored(outcome: tuple[str, datetime] | None, hold: AnyRow | None) -> StoredBranch:
    if outcome is not None:
        return StoredBranch(BranchState(outcome[0]), None if hold is None else _hold(hold), outcome[1])
    if hold is not None:
        return StoredBranch(BranchState.PREPARED, _hold(hold))
    return StoredBranch(BranchState.ACTIVE)


def _hold(row: AnyRow) -> Hold:
    return Hold(
        row.txn_id,
        row.participant,
        row.currency,
        row.amount,
        row.contra,
        row.kind,
        row.reference,
        row.epoch,
        row.held_at,
    )


def _hold_values(hold: Hold) -> dict[str, object]:
    return {name: getattr(hold, name) for name in Hold.__dataclass_fields__}
