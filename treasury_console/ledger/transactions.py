"""The coordinator's log: transactions, votes, the once-only decision, confirmations.

Every write of a coordinator carries its epoch and fails with Fenced when the transaction's epoch has moved on (rule
R5). A decision is inserted if absent, so the first writer is the only one (rule R1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from treasury_console.domain.errors import Fenced, StoreCorrupt
from treasury_console.domain.transactions import (
    Branch,
    BranchVote,
    Decision,
    Kind,
    RecordedDecision,
    Transaction,
    Vote,
)
from treasury_console.ledger.columns import AnyRow, UtcInstant
from treasury_console.ledger.database import insert_if_absent, restricted
from treasury_console.ledger.treasury_tables import branches, coordinators, decisions, transactions

# The statements of the hot path are built once: building one costs more than running it.
_INSERT_TRANSACTION = insert(transactions)
_INSERT_BRANCHES = insert(branches)
_CHECK_EPOCH = (
    update(transactions)
    .where(transactions.c.txn_id == bindparam("of_txn"), transactions.c.epoch == bindparam("at_epoch"))
    .values(epoch=transactions.c.epoch)
)
_LOG_VOTE = (
    update(branches)
    .where(branches.c.txn_id == bindparam("of_txn"), branches.c.participant == bindparam("of_participant"))
    .values(vote=bindparam("new_vote"), vote_detail=bindparam("new_detail"), voted_at=bindparam("at"))
)
_CONFIRM_BRANCHES = (
    update(branches)
    .where(
        branches.c.txn_id == bindparam("of_txn"),
        branches.c.participant.in_(bindparam("of_participants", expanding=True)),
        branches.c.confirmed_at.is_(None),
    )
    .values(confirmed_at=bindparam("at"))
)
_FINISH = (
    update(transactions)
    .where(
        transactions.c.txn_id == bindparam("of_txn"),
        transactions.c.finished_at.is_(None),
        ~select(branches.c.txn_id)
        .where(branches.c.txn_id == bindparam("of_txn"), branches.c.confirmed_at.is_(None))
        .exists(),
    )
    .values(finished_at=bindparam("at"))
)


@dataclass(frozen=True, slots=True)
class Fence:
    """Who took the transaction from its coordinator, and when."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """A transaction as the coordinator's log has it."""

    transaction: Transaction
    votes: Mapping[str, BranchVote]
    confirmed: frozenset[str]
    decision: RecordedDecision | None
    lease_until: datetime
    fence: Fence | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class RecordedLeg:
    """A branch as the journal should show it once its transaction is committed, and how far that transaction is."""

    txn_id: str
    shard: str
    participant: str
    amount: int
    contra: str | None
    currency: str
    moved: int
    decision: Decision | None
    created_at: datetime
    finished: bool


class IdempotencyKeyTaken(Exception):
    """Another transaction has the idempotency key."""


def create_transaction(connection: Connection, transaction: Transaction, request_digest: str) -> None:
    """Insert the transaction and its branches; raise IdempotencyKeyTaken if its key is in use."""
    try:
        connection.execute(
            _INSERT_TRANSACTION,
            {
                "txn_id": transaction.txn_id,
                "kind": transaction.kind.value,
                "currency": transaction.currency,
                "amount": transaction.amount,
                "reference": transaction.reference,
                "idempotency_key": transaction.idempotency_key,
                "request_digest": request_digest,
                "created_at": transaction.created_at,
                "coordinator_id": transaction.coordinator_id,
                "epoch": transaction.epoch,
            },
        )
    except IntegrityError as error:
        if transaction.idempotency_key is not None and "idempotency_key" in str(error.orig):
            raise IdempotencyKeyTaken from error
        raise
    connection.execute(
        _INSERT_BRANCHES,
        [
            {
                "txn_id": transaction.txn_id,
                "position": position,
                "participant": branch.participant,
                "shard": branch.shard,
                "amount": branch.amount,
                "contra": branch.contra,
            }
            for position, branch in enumerate(transaction.branches)
        ],
    )


def find_by_idempotency_key(connection: Connection, key: str) -> tuple[str, str] | None:
    """Return (txn_id, request digest) of the transaction with this idempotency key, or None."""
    row = connection.execute(
        select(transactions.c.txn_id, transactions.c.request_digest).where(transactions.c.idempotency_key == key)
    ).one_or_none()
    return None if row is None else (row.txn_id, row.request_digest)


def check_epoch(connection: Connection, txn_id: str, epoch: int) -> None:
    """Raise Fenced unless the transaction is at `epoch`; keep it there until this transaction ends."""
    still_mine = connection.execute(_CHECK_EPOCH, {"of_txn": txn_id, "at_epoch": epoch})
    if still_mine.rowcount != 1:
        raise Fenced(f"transaction {txn_id} was taken from epoch {epoch} by an operator; this writer must stop")


def log_votes(connection: Connection, txn_id: str, epoch: int, votes: Mapping[str, BranchVote], at: datetime) -> None:
    """Record the votes of the participants in `votes`."""
    check_epoch(connection, txn_id, epoch)
    if votes:
        connection.execute(
            _LOG_VOTE,
            [
                {
                    "of_txn": txn_id,
                    "of_participant": participant,
                    "new_vote": vote.vote.value,
                    "new_detail": vote.detail[:256],
                    "at": at,
                }
                for participant, vote in votes.items()
            ],
        )


def record_decision(
    connection: Connection, txn_id: str, epoch: int, decision: RecordedDecision
) -> tuple[RecordedDecision, bool]:
    """Record `decision` if none is; return the one on record and whether this call recorded it."""
    check_epoch(connection, txn_id, epoch)
    won = insert_if_absent(
        connection,
        decisions,
        {
            "txn_id": txn_id,
            "decision": decision.decision.value,
            "decided_by": decision.decided_by,
            "decided_at": decision.decided_at,
            "approval": decision.approval,
        },
    )
    if won:
        return decision, True
    row = connection.execute(select(decisions).where(decisions.c.txn_id == txn_id)).one()
    return RecordedDecision(Decision(row.decision), row.decided_by, row.decided_at, row.approval), False


def fence(connection: Connection, txn_id: str, epoch: int, by: str, at: datetime) -> bool:
    """Move the transaction from `epoch` to the next (compare and set); say whether this call did."""
    moved = connection.execute(
        update(transactions)
        .where(transactions.c.txn_id == txn_id, transactions.c.epoch == epoch)
        .values(epoch=epoch + 1, fenced_by=by, fenced_at=at)
    )
    return moved.rowcount == 1


def confirm_branches(connection: Connection, txn_id: str, participants: Iterable[str], at: datetime) -> None:
    """Record that these branches ended as decided; a later confirmation does not move the first."""
    connection.execute(_CONFIRM_BRANCHES, {"of_txn": txn_id, "of_participants": list(participants), "at": at})


def finish_if_confirmed(connection: Connection, txn_id: str, at: datetime) -> bool:
    """Mark the transaction finished if every branch is confirmed and it was not; say whether this call did."""
    return connection.execute(_FINISH, {"of_txn": txn_id, "at": at}).rowcount == 1


def find_transaction(connection: Connection, txn_id: str) -> TransactionRecord | None:
    """Return the record of one transaction, or None."""
    records = _load(connection, _record_query().where(transactions.c.txn_id == txn_id))
    return records[0] if records else None


def find_transactions(connection: Connection, txn_ids: Sequence[str]) -> dict[str, TransactionRecord]:
    """Return the records of those of `txn_ids` that exist."""
    return {
        record.transaction.txn_id: record
        for query in restricted(_record_query(), transactions.c.txn_id, txn_ids)
        for record in _load(connection, query)
    }


def list_pending(connection: Connection, *, created_before: datetime | None = None) -> list[TransactionRecord]:
    """Return every unfinished transaction, oldest first."""
    query = _record_query().where(transactions.c.finished_at.is_(None))
    if created_before is not None:
        query = query.where(transactions.c.created_at < created_before)
    return _load(connection, query.order_by(transactions.c.created_at, transactions.c.txn_id))


def list_all(connection: Connection) -> list[TransactionRecord]:
    """Return every transaction, oldest first."""
    return _load(connection, _record_query().order_by(transactions.c.created_at, transactions.c.txn_id))


def recorded_legs(connection: Connection, txn_ids: Sequence[str] | None = None) -> Iterator[RecordedLeg]:
    """Yield the legs of every transaction (or of `txn_ids`, which must be sorted), by transaction."""
    query = (
        select(
            branches.c.txn_id,
            branches.c.shard,
            branches.c.participant,
            branches.c.amount,
            branches.c.contra,
            transactions.c.currency,
            transactions.c.amount.label("moved"),
            decisions.c.decision,
            transactions.c.created_at,
            transactions.c.finished_at,
        )
        .select_from(
            branches.join(transactions, transactions.c.txn_id == branches.c.txn_id).outerjoin(
                decisions, decisions.c.txn_id == branches.c.txn_id
            )
        )
        .order_by(branches.c.txn_id, branches.c.position)
    )
    for part in restricted(query, branches.c.txn_id, txn_ids):
        for row in connection.execute(part.execution_options(yield_per=1000)):
            yield RecordedLeg(
                row.txn_id,
                row.shard,
                row.participant,
                row.amount,
                row.contra,
                row.currency,
                row.moved,
                None if row.decision is None else Decision(row.decision),
                row.created_at,
                row.finished_at is not None,
            )


def transactions_of(connection: Connection, participant: str, since: datetime) -> list[str]:
    """Return the transactions created at or after `since` in which the agent takes part."""
    query = (
        select(branches.c.txn_id)
        .join(transactions, transactions.c.txn_id == branches.c.txn_id)
        .where(branches.c.participant == participant, transactions.c.created_at >= since)
    )
    return list(connection.execute(query).scalars())


def _record_query() -> Select[*tuple[Any, ...]]:
    return select(
        transactions,
        # A coordinator that is not on record has no lease: it ended when the transaction began.
        func.coalesce(coordinators.c.lease_until, transactions.c.created_at, type_=UtcInstant).label("lease_until"),
        decisions.c.decision,
        decisions.c.decided_by,
        decisions.c.decided_at,
        decisions.c.approval,
    ).select_from(
        transactions.outerjoin(coordinators, coordinators.c.coordinator_id == transactions.c.coordinator_id).outerjoin(
            decisions, decisions.c.txn_id == transactions.c.txn_id
        )
    )


def _load(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[TransactionRecord]:
    try:
        rows = connection.execute(query).all()
        return _records(connection, rows)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise StoreCorrupt(
            f"a transaction's record in the treasury database cannot be read ({type(error).__name__}): someone changed "
            "it; restore the database from a backup"
        ) from error


def _records(connection: Connection, rows: Sequence[AnyRow]) -> list[TransactionRecord]:
    branch_rows: dict[str, list[AnyRow]] = {}
    in_order = select(branches).order_by(branches.c.txn_id, branches.c.position)
    for part in restricted(in_order, branches.c.txn_id, [row.txn_id for row in rows]):
        for branch in connection.execute(part):
            branch_rows.setdefault(branch.txn_id, []).append(branch)
    return [_record(row, branch_rows.get(row.txn_id, [])) for row in rows]


def _record(row: AnyRow, branch_rows: Sequence[AnyRow]) -> TransactionRecord:
    transaction = Transaction(
        txn_id=row.txn_id,
        kind=Kind(row.kind),
        currency=row.currency,
        amount=row.amount,
        reference=row.reference,
        created_at=row.created_at,
        coordinator_id=row.coordinator_id,
        epoch=row.epoch,
        branches=tuple(
            Branch(branch.participant, branch.shard, branch.amount, branch.contra) for branch in branch_rows
        ),
        idempotency_key=row.idempotency_key,
    )
    decision = None
    if row.decision is not None:
        decision = RecordedDecision(Decision(row.decision), row.decided_by, row.decided_at, row.approval)
    return TransactionRecord(
        transaction,
        {
            branch.participant: BranchVote(Vote(branch.vote), branch.vote_detail or "")
            for branch in branch_rows
            if branch.vote is not None
        },
        frozenset(branch.participant for branch in branch_rows if branch.confirmed_at is not None),
        decision,
        row.lease_until,
        Fence(row.fenced_by, row.fenced_at) if row.fenced_by is not None else None,
        row.finished_at,
    )
