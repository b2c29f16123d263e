"""Seeing transactions: the list of what is pending, and the evidence about one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from treasury_console.domain.accounts import Account, release, settle
from treasury_console.domain.audit import AuditEvent
from treasury_console.domain.durations import AgeFilter
from treasury_console.domain.errors import InvalidRequest, StoreCorrupt, Unreachable
from treasury_console.domain.money import AmountOutOfRange
from treasury_console.domain.resolution import Action, CoordinatorStatus, Evidence, Verdicts, judge
from treasury_console.domain.text import safe_text
from treasury_console.domain.transactions import (
    Branch,
    BranchState,
    Decision,
    TransactionState,
    Vote,
    derive_state,
)
from treasury_console.ledger.accounts import find_account
from treasury_console.ledger.audit_log import latest_events
from treasury_console.ledger.transactions import TransactionRecord, list_all, list_pending
from treasury_console.operations.evidence import look_at, look_at_all
from treasury_console.operations.treasury import Treasury

PENDING, ALL = "pending", "all"
STATE_FILTERS = (PENDING, ALL, *(state.value.lower() for state in TransactionState))
_FINISHED = {TransactionState.COMMITTED, TransactionState.ABORTED}


@dataclass(frozen=True, slots=True)
class TransactionSummary:
    """One line of the list. `verdict` says in a phrase what may be done, `unreachable` which shards did not answer."""

    txn_id: str
    state: TransactionState
    created_at: datetime
    age: timedelta
    participants: tuple[str, ...]
    amount: int
    currency: str
    coordinator_alive: bool
    unreachable: tuple[str, ...]
    verdict: str
    verdicts: Verdicts = field(repr=False)


@dataclass(frozen=True, slots=True)
class Effect:
    """What an action would do to one account; `after` is None while the shard does not answer."""

    participant: str
    currency: str
    before: Account | None
    after: Account | None


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything known about one transaction, and what each action would do."""

    record: TransactionRecord
    evidence: Evidence
    verdicts: Verdicts
    state: TransactionState
    age: timedelta
    effects: Mapping[Action, tuple[Effect, ...]]
    history: tuple[AuditEvent, ...]

    @property
    def fingerprint(self) -> str:
        """What a person's decision rests on; an act can be told to refuse if it has changed."""
        return self.evidence.fingerprint()


def list_transactions(
    treasury: Treasury, *, state: str = PENDING, age: AgeFilter | None = None
) -> list[TransactionSummary]:
    """Return transactions oldest first; the branch states come from the shards, not from the record."""
    if state not in STATE_FILTERS:
        raise InvalidRequest(f"there is no state {safe_text(state, 30)!r}; use one of {', '.join(STATE_FILTERS)}")
    with treasury.store.snapshot() as connection:
        finished_too = state == ALL or state.upper() in _FINISHED
        records = list_all(connection) if finished_too else list_pending(connection)
    now = treasury.clock()
    if age is not None:
        records = [record for record in records if age.matches(now - record.transaction.created_at)]
    summaries = summarise(treasury, records, now)
    if state in (PENDING, ALL):
        return summaries
    return [summary for summary in summaries if summary.state.value.lower() == state]


def summarise(treasury: Treasury, records: Sequence[TransactionRecord], now: datetime) -> list[TransactionSummary]:
    """Return a summary of each record, in the same order."""
    return [_summary(record, evidence, now) for record, evidence in look_at_all(treasury, records)]


def inspect_transaction(treasury: Treasury, txn_id: str) -> Inspection:
    """Return the evidence about one transaction; raise UnknownId if there is none. It writes nothing."""
    record, evidence = look_at(treasury, txn_id)
    with treasury.store.snapshot() as connection:
        history = tuple(reversed(latest_events(connection, 50, target=txn_id)))
    return Inspection(
        record=record,
        evidence=evidence,
        verdicts=judge(evidence),
        state=_state(record, evidence),
        age=treasury.clock() - record.transaction.created_at,
        effects=predict_effects(treasury, record, evidence),
        history=history,
    )


def predict_effects(
    treasury: Treasury, record: TransactionRecord, evidence: Evidence
) -> dict[Action, tuple[Effect, ...]]:
    """Return what each action would do to each participant's account, by the functions that the act itself uses."""
    accounts = {branch.participant: _account(treasury, record, branch) for branch in record.transaction.branches}
    states = {branch.participant: branch.state for branch in evidence.branches}
    effects = {}
    for action in Action:
        decision = action.decision or (record.decision.decision if record.decision else None)
        effects[action] = tuple(
            _effect(record, branch, accounts[branch.participant], states[branch.participant], decision)
            for branch in record.transaction.branches
        )
    return effects


def _summary(record: TransactionRecord, evidence: Evidence, now: datetime) -> TransactionSummary:
    transaction, verdicts = record.transaction, judge(evidence)
    state = _state(record, evidence)
    finished = record.finished_at is not None and state in _FINISHED
    return TransactionSummary(
        txn_id=transaction.txn_id,
        state=state,
        created_at=transaction.created_at,
        age=now - transaction.created_at,
        participants=transaction.participants,
        amount=transaction.amount,
        currency=transaction.currency,
        coordinator_alive=evidence.coordinator is CoordinatorStatus.ALIVE,
        unreachable=tuple(
            sorted({branch.shard for branch in evidence.branches if branch.state is BranchState.UNKNOWN})
        ),
        verdict="done" if finished else verdicts.summary,
        verdicts=verdicts,
    )


def _state(record: TransactionRecord, evidence: Evidence) -> TransactionState:
    """Derive the state; before a decision, a branch that does not answer is what its logged vote says."""
    if record.decision is not None:
        return derive_state(record.decision.decision, evidence.states)
    return derive_state(
        None,
        [
            BranchState.PREPARED if branch.state is BranchState.UNKNOWN and branch.vote is Vote.YES else branch.state
            for branch in evidence.branches
        ],
    )


def _account(treasury: Treasury, record: TransactionRecord, branch: Branch) -> Account | None:
    shard = treasury.shards.get(branch.shard)
    if shard is None:
        return None
    try:
        with shard.database.snapshot() as connection:
            return find_account(connection, branch.participant, record.transaction.currency)
    except Unreachable:
        return None


def _effect(
    record: TransactionRecord,
    branch: Branch,
    account: Account | None,
    state: BranchState,
    decision: Decision | None,
) -> Effect:
    currency = record.transaction.currency
    if account is None or state is BranchState.UNKNOWN:
        return Effect(branch.participant, currency, account, None)
    if state is not BranchState.PREPARED or decision is None:
        return Effect(branch.participant, currency, account, account)
    act = settle if decision is Decision.COMMIT else release
    try:
        return Effect(branch.participant, currency, account, act(account, branch.amount))
    except (StoreCorrupt, AmountOutOfRange):
        return Effect(branch.participant, currency, account, None)
