"""Gathering evidence: each branch read from the shard where it is, never from the coordinator's belief alone.

The record is read before the shards. A decision that appears in between can make a branch look ahead of its record; so
whoever acts fences first and gathers again (rule R5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from treasury_console.domain.errors import Unreachable
from treasury_console.domain.resolution import BranchEvidence, CoordinatorStatus, Evidence, LogStatus
from treasury_console.domain.transactions import Branch, BranchState, Vote
from treasury_console.ledger.transactions import TransactionRecord
from treasury_console.twophase.resource_manager import BranchSighting, Shard

_NO_TRACE = BranchSighting(BranchState.ACTIVE, detail="no trace at the shard")


def gather_evidence(
    records: Sequence[TransactionRecord], shards: Mapping[str, Shard], now: datetime
) -> dict[str, Evidence]:
    """Return the evidence about each recorded transaction, by txn_id; one read per shard for all of them."""
    sightings: dict[str, Mapping[tuple[str, str], BranchSighting] | Unreachable] = {}
    for name, txn_ids in _transactions_by_shard(records).items():
        sightings[name] = _look(shards.get(name), txn_ids)
    return {
        record.transaction.txn_id: Evidence(
            txn_id=record.transaction.txn_id,
            decision=record.decision,
            coordinator=coordinator_status(record, now),
            log=_log_status(record),
            branches=tuple(
                _branch_evidence(record, branch, sightings[branch.shard]) for branch in record.transaction.branches
            ),
        )
        for record in records
    }


def _log_status(record: TransactionRecord) -> LogStatus:
    """A branch is confirmed only after a decision: a confirmation without one proves that the decision was lost."""
    lost = record.decision is None and (bool(record.confirmed) or record.finished_at is not None)
    return LogStatus.LOST if lost else LogStatus.INTACT


def coordinator_status(record: TransactionRecord, now: datetime) -> CoordinatorStatus:
    """Return whether the transaction's coordinator may still act on it."""
    if record.fence is not None:
        return CoordinatorStatus.FENCED
    return CoordinatorStatus.ALIVE if now < record.lease_until else CoordinatorStatus.LAPSED


def _transactions_by_shard(records: Iterable[TransactionRecord]) -> dict[str, list[str]]:
    by_shard: dict[str, list[str]] = {}
    for record in records:
        for name in {branch.shard for branch in record.transaction.branches}:
            by_shard.setdefault(name, []).append(record.transaction.txn_id)
    return by_shard


def _look(shard: Shard | None, txn_ids: Sequence[str]) -> Mapping[tuple[str, str], BranchSighting] | Unreachable:
    if shard is None:
        return Unreachable("the shard is not in the configuration")
    try:
        return shard.manager.sightings(txn_ids)
    except Unreachable as error:
        return error


def _branch_evidence(
    record: TransactionRecord, branch: Branch, seen: Mapping[tuple[str, str], BranchSighting] | Unreachable
) -> BranchEvidence:
    logged = record.votes.get(branch.participant)
    vote = None if logged is None else logged.vote
    if isinstance(seen, Unreachable):
        return BranchEvidence(branch.participant, branch.shard, BranchState.UNKNOWN, vote, str(seen))
    sighting = seen.get((record.transaction.txn_id, branch.participant), _NO_TRACE)
    contradiction = _contradiction(record, branch, sighting)
    return BranchEvidence(
        branch.participant,
        branch.shard,
        sighting.state,
        vote,
        contradiction or sighting.detail or (logged.detail if logged else ""),
        consistent=contradiction is None,
    )


def _contradiction(record: TransactionRecord, branch: Branch, sighting: BranchSighting) -> str | None:
    """Return how the sighting contradicts the record (row 19), or None."""
    if sighting.amount is not None and sighting.amount != branch.amount:
        return "the amount at the shard differs from the record"
    if sighting.currency is not None and sighting.currency != record.transaction.currency:
        return "the currency at the shard differs from the record"
    vote = record.votes.get(branch.participant)
    if sighting.state is BranchState.ACTIVE and vote is not None and vote.vote is Vote.YES:
        return "a yes vote is logged, yet the shard has no trace of the branch: was it restored from a backup?"
    return None
