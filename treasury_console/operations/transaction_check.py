"""Check T1: every entry belongs to a transaction, and every transaction left all its legs or none.

The treasury's records and the shards' entries are read side by side, by transaction, never all at once. The records
were read first: a transaction that is unfinished there is in flight, and what it posted since is explained, not drift.
One that the records do not know, or do not show as decided, is looked up again in a newer snapshot.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from treasury_console.domain.drift import Cause, Check, Finding, InFlight
from treasury_console.domain.transactions import RESERVED_PREFIX, Decision
from treasury_console.ledger.database import Connection
from treasury_console.ledger.journal import PostedLeg, entries_with_amount, posted_legs
from treasury_console.ledger.transactions import RecordedLeg, find_transactions, recorded_legs
from treasury_console.operations.treasury import Treasury

Place = tuple[str, str, str, int]
"""A leg where it is: shard, owner, currency, amount."""


@dataclass(frozen=True, slots=True)
class Ledgers:
    """The snapshots of one run: the treasury's, and each shard's taken after it."""

    treasury: Connection
    shards: Mapping[str, Connection]


@dataclass(slots=True)
class TransactionCheck:
    """What T1 makes of the journal: findings, what is in flight, and the sums that explains per currency."""

    findings: list[Finding] = field(default_factory=list)
    in_flight: list[InFlight] = field(default_factory=list)
    explained: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Transaction:
    """One transaction as recorded and as posted."""

    txn_id: str
    recorded: tuple[RecordedLeg, ...]
    posted: frozenset[Place]

    @property
    def expected(self) -> frozenset[Place]:
        """The legs a commit leaves."""
        legs = {(leg.shard, leg.participant, leg.currency, leg.amount) for leg in self.recorded}
        contras = {
            (leg.shard, leg.contra, leg.currency, -leg.amount) for leg in self.recorded if leg.contra is not None
        }
        return frozenset(legs | contras)

    @property
    def total(self) -> int:
        """The sum of what is posted; zero when it is balanced."""
        return sum(amount for *_, amount in self.posted)


def check_transactions(treasury: Treasury, ledgers: Ledgers, txn_ids: Sequence[str] | None = None) -> TransactionCheck:
    """Check every transaction, or those of `txn_ids`."""
    checked = TransactionCheck()
    doubtful: list[_Transaction] = []
    for transaction in _side_by_side(ledgers, None if txn_ids is None else sorted(set(txn_ids))):
        if not transaction.recorded:
            doubtful.append(transaction)
            continue
        record = transaction.recorded[0]
        if record.decision is None and transaction.posted:
            doubtful.append(transaction)
        elif record.decision is Decision.COMMIT and not record.finished and transaction.posted <= transaction.expected:
            _explain(checked, transaction, InFlight(record.txn_id, record.currency, record.moved, record.created_at))
        else:
            checked.findings += _findings(transaction)
    _look_again(treasury, ledgers, checked, doubtful)
    return checked


def _side_by_side(ledgers: Ledgers, txn_ids: Sequence[str] | None) -> Iterator[_Transaction]:
    def recorded() -> Iterator[tuple[str, str, RecordedLeg | PostedLeg]]:
        for leg in recorded_legs(ledgers.treasury, txn_ids):
            yield leg.txn_id, "", leg

    def posted(shard: str) -> Iterator[tuple[str, str, RecordedLeg | PostedLeg]]:
        for leg in posted_legs(ledgers.shards[shard], txn_ids):
            yield leg.txn_id, shard, leg

    merged = heapq.merge(recorded(), *(posted(shard) for shard in ledgers.shards), key=lambda row: row[0])
    for txn_id, rows in itertools.groupby(merged, key=lambda row: row[0]):
        known: list[RecordedLeg] = []
        places: set[Place] = set()
        for _, shard, leg in rows:
            if isinstance(leg, RecordedLeg):
                known.append(leg)
            else:
                places.add((shard, leg.owner, leg.currency, leg.amount))
        yield _Transaction(txn_id, tuple(known), frozenset(places))


def _explain(checked: TransactionCheck, transaction: _Transaction, in_flight: InFlight) -> None:
    if not transaction.posted:
        return
    checked.in_flight.append(in_flight)
    for _, _, currency, amount in transaction.posted:
        checked.explained[currency] += amount


def _findings(transaction: _Transaction) -> Iterator[Finding]:
    """Compare a transaction whose end is known with what it left; the finding names the first owner concerned."""
    record = transaction.recorded[0]
    committed = record.decision is Decision.COMMIT
    expected: frozenset[Place] = transaction.expected if committed else frozenset()
    if transaction.posted == expected:
        return
    missing, surplus = sorted(expected - transaction.posted), sorted(transaction.posted - expected)
    wrong = [*missing, *surplus]
    _, participant, currency, amount = next((leg for leg in wrong if not leg[1].startswith(RESERVED_PREFIX)), wrong[0])
    lost_credit = committed and not surplus and len(missing) == 1 and amount > 0
    problem = (
        f"{len(missing)} of {len(expected)} entries are missing, {len(surplus)} are not its own"
        if committed
        else "it was not committed, yet it has entries"
    )
    yield Finding(
        Check.TRANSACTION,
        participant,
        currency,
        expected=0,
        actual=transaction.total,
        cause=Cause.ORPHANED_DEBIT if lost_credit else Cause.UNKNOWN,
        score=90 if lost_credit else 0,
        evidence=(f"{transaction.txn_id}: {problem}",),
        subject=transaction.txn_id,
    )


def _look_again(
    treasury: Treasury, ledgers: Ledgers, checked: TransactionCheck, doubtful: Sequence[_Transaction]
) -> None:
    """Tell what was created or decided after the treasury's snapshot (skew) from entries that nothing explains."""
    if not doubtful:
        return
    with treasury.store.snapshot() as newer:
        records = find_transactions(newer, [transaction.txn_id for transaction in doubtful])
    for transaction in doubtful:
        record = records.get(transaction.txn_id)
        if record is None:
            checked.findings += _stray_findings(ledgers, transaction)
        elif record.decision is not None and record.decision.decision is Decision.COMMIT:
            known = record.transaction
            checked.in_flight.append(InFlight(known.txn_id, known.currency, known.amount, known.created_at))
            for _, _, currency, amount in transaction.posted:
                checked.explained[currency] += amount
        else:
            checked.findings += [_undecided_finding(transaction)]


def _undecided_finding(transaction: _Transaction) -> Finding:
    """Entries of a transaction without a commit decision: its coordinator's log lost one, or somebody forged them."""
    _, participant, currency, _ = min(transaction.posted)
    return Finding(
        Check.TRANSACTION,
        participant,
        currency,
        expected=0,
        actual=transaction.total,
        cause=Cause.COORDINATOR_FAILURE,
        score=70,
        evidence=(f"{transaction.txn_id}: it has entries, yet no commit decision is recorded",),
        subject=transaction.txn_id,
    )


def _stray_findings(ledgers: Ledgers, transaction: _Transaction) -> Iterator[Finding]:
    """Entries that belong to no transaction; a credit that repeats an earlier one is a duplicate."""
    by_shard: dict[tuple[str, str], list[Place]] = {}
    for place in sorted(transaction.posted):
        by_shard.setdefault((place[0], place[2]), []).append(place)
    for (shard, currency), places in by_shard.items():
        _, owner, _, amount = next((place for place in places if not place[1].startswith(RESERVED_PREFIX)), places[0])
        twins = [
            entry
            for entry in entries_with_amount(ledgers.shards[shard], owner, currency, [amount])
            if entry.txn_id != transaction.txn_id and amount > 0
        ]
        yield Finding(
            Check.TRANSACTION,
            "" if owner.startswith(RESERVED_PREFIX) else owner,
            currency,
            expected=0,
            actual=sum(place[3] for place in places),
            cause=Cause.DUPLICATE_CREDIT if twins else Cause.UNKNOWN,
            score=80 if twins else 0,
            evidence=(
                f"{transaction.txn_id}: entries without a transaction ({len(places)})",
                *(
                    f"the same amount was credited by {twin.txn_id} at {twin.posted_at:%Y-%m-%d %H:%M:%S}Z"
                    for twin in twins
                ),
            ),
            subject=transaction.txn_id,
        )
