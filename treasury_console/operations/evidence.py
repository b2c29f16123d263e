"""Looking at transactions: the record and the shards, read so that neither is older than it may be.

The record is read first. If a shard then shows a branch that has ended while the record has no decision, the decision
may have come in between; the record is read once more. A decision never changes, so one more look is enough.
"""

from __future__ import annotations

from collections.abc import Sequence

from treasury_console.domain.resolution import Evidence
from treasury_console.domain.transactions import BranchState
from treasury_console.ledger.transactions import TransactionRecord, find_transactions
from treasury_console.operations.treasury import Treasury
from treasury_console.twophase.evidence import gather_evidence

Looks = list[tuple[TransactionRecord, Evidence]]


def look_at(treasury: Treasury, txn_id: str) -> tuple[TransactionRecord, Evidence]:
    """Return the record of one transaction and the evidence about it; raise UnknownId if there is none."""
    return look_at_all(treasury, [treasury.transaction_record(txn_id)])[0]


def look_at_all(treasury: Treasury, records: Sequence[TransactionRecord]) -> Looks:
    """Return each record, read again where it was overtaken, with the evidence about it, in the same order."""
    looks = _gathered(treasury, records)
    overtaken = _decided_since(treasury, [record for record, evidence in looks if _ended_undecided(evidence)])
    if not overtaken:
        return looks
    again = {record.transaction.txn_id: (record, evidence) for record, evidence in _gathered(treasury, overtaken)}
    return [again.get(record.transaction.txn_id, (record, evidence)) for record, evidence in looks]


def _gathered(treasury: Treasury, records: Sequence[TransactionRecord]) -> Looks:
    evidence = gather_evidence(records, treasury.shards, treasury.clock())
    return [(record, evidence[record.transaction.txn_id]) for record in records]


def _ended_undecided(evidence: Evidence) -> bool:
    ended = {BranchState.COMMITTED, BranchState.ROLLED_BACK}
    return evidence.decision is None and not ended.isdisjoint(evidence.states)


def _decided_since(treasury: Treasury, records: Sequence[TransactionRecord]) -> list[TransactionRecord]:
    if not records:
        return []
    with treasury.store.snapshot() as connection:
        newer = find_transactions(connection, [record.transaction.txn_id for record in records])
    return [record for record in newer.values() if record.decision is not None]
