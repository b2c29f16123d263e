"""The coordinator: runs a transaction through both phases and writes down each step before it relies on it.

create -> prepare every branch -> log the votes -> record the decision once -> apply it -> confirm. Presumed abort:
without a recorded decision a transaction may be rolled back. The coordinator proves that it is alive by a lease; an
operator who forces one of its transactions moves that transaction's epoch on, and every later write of the coordinator
to it is refused. Fencing is per transaction, so the coordinator's other work goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from treasury_console.domain.audit import AuditRecord, Phase
from treasury_console.domain.errors import Unreachable
from treasury_console.domain.transactions import (
    BranchVote,
    Decision,
    RecordedDecision,
    Transaction,
    TransactionState,
    Vote,
    derive_state,
)
from treasury_console.ledger.audit_log import append_event
from treasury_console.ledger.coordinators import register_coordinator, renew_lease
from treasury_console.ledger.database import Database
from treasury_console.ledger.transactions import create_transaction, log_votes, record_decision
from treasury_console.twophase.recovery import BranchOutcome, apply_decision, confirm
from treasury_console.twophase.resource_manager import Shard
from treasury_console.twophase.steps import Step, StepHook, no_hook

DEFAULT_LEASE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class CoordinatorReport:
    """What became of a transaction. `refusal` is the first no vote's reason; `state` may still have to be resumed."""

    transaction: Transaction
    decision: RecordedDecision
    state: TransactionState
    outcomes: tuple[BranchOutcome, ...]
    refusal: str | None


@dataclass
class Coordinator:
    """One coordinator: an identity with a lease. `start` it once; then `run` may be called from several threads."""

    coordinator_id: str
    actor: str
    store: Database
    shards: Mapping[str, Shard]
    clock: Callable[[], datetime]
    lease: timedelta = DEFAULT_LEASE
    on_step: StepHook = no_hook
    _lease_until: datetime | None = field(default=None, init=False)

    def start(self) -> None:
        """Register the coordinator with its first lease."""
        now = self.clock()
        with self.store.write() as connection:
            register_coordinator(connection, self.coordinator_id, now, now + self.lease)
        self._lease_until = now + self.lease

    def run(self, transaction: Transaction, request_digest: str) -> CoordinatorReport:
        """Run the transaction to its end, or as far as unreachable shards let it.

        Raise IdempotencyKeyTaken if its key is in use, Fenced if an operator took it over.
        """
        self._create(transaction, request_digest)
        votes, unreached = self._collect_votes(transaction)
        proposed = Decision.COMMIT if len(votes) == len(transaction.branches) and _all_yes(votes) else Decision.ABORT
        recorded = self._decide(transaction, proposed)
        outcomes = apply_decision(transaction, recorded.decision, self.shards, self.on_step)
        self.on_step(Step.BEFORE_CONFIRM, "")
        self._confirm(transaction, recorded, outcomes)
        self.on_step(Step.CONFIRMED, "")
        return CoordinatorReport(
            transaction,
            recorded,
            derive_state(recorded.decision, [outcome.state for outcome in outcomes]),
            outcomes,
            next((vote.detail for vote in votes.values() if vote.vote is Vote.NO), unreached),
        )

    def renew(self) -> None:
        """Prove that the coordinator is alive for another lease."""
        lease_until = self.clock() + self.lease
        with self.store.write() as connection:
            renew_lease(connection, self.coordinator_id, lease_until)
        self._lease_until = lease_until

    def _create(self, transaction: Transaction, request_digest: str) -> None:
        self._renew_if_due()
        with self.store.write() as connection:
            create_transaction(connection, transaction, request_digest)
            append_event(connection, self._audit(transaction, Phase.INTENT, transaction.created_at, {}))
        self.on_step(Step.CREATED, "")

    def _collect_votes(self, transaction: Transaction) -> tuple[dict[str, BranchVote], str | None]:
        """Return the votes, and why one is missing, if one is. Asking stops at the first that is not yes."""
        votes: dict[str, BranchVote] = {}
        unreached = None
        for branch in transaction.branches:
            self.on_step(Step.BEFORE_PREPARE, branch.participant)
            try:
                votes[branch.participant] = self.shards[branch.shard].manager.prepare(transaction, branch)
            except Unreachable as error:
                unreached = str(error)
            self.on_step(Step.PREPARED, branch.participant)
            if unreached is not None or votes[branch.participant].vote is Vote.NO:
                break
        self._renew_if_due()
        now = self.clock()
        with self.store.write() as connection:
            log_votes(connection, transaction.txn_id, transaction.epoch, votes, now)
        self.on_step(Step.VOTES_LOGGED, "")
        return votes, unreached

    def _decide(self, transaction: Transaction, proposed: Decision) -> RecordedDecision:
        self.on_step(Step.BEFORE_DECISION, "")
        decision = RecordedDecision(proposed, self.actor, self.clock(), None)
        with self.store.write() as connection:
            recorded, _won = record_decision(connection, transaction.txn_id, transaction.epoch, decision)
        self.on_step(Step.DECIDED, "")
        return recorded

    def _confirm(
        self, transaction: Transaction, recorded: RecordedDecision, outcomes: tuple[BranchOutcome, ...]
    ) -> None:
        now = self.clock()
        with self.store.write() as connection:
            if confirm(connection, transaction, recorded.decision, outcomes, now):
                append_event(
                    connection,
                    self._audit(transaction, Phase.OUTCOME, now, {"decision": recorded.decision.value}),
                )

    def _renew_if_due(self) -> None:
        """Extend the lease when less than half of it is left."""
        if self._lease_until is None or self._lease_until - self.clock() < self.lease / 2:
            self.renew()

    def _audit(self, transaction: Transaction, phase: Phase, at: datetime, extra: dict[str, str]) -> AuditRecord:
        return AuditRecord(
            at=at,
            actor=self.actor,
            operation=transaction.kind.value,
            phase=phase,
            target=transaction.txn_id,
            details={
                "amount": transaction.amount,
                "currency": transaction.currency,
                "participants": list(transaction.participants),
                **extra,
            },
        )


def _all_yes(votes: Mapping[str, BranchVote]) -> bool:
    return all(vote.vote is Vote.YES for vote in votes.values())
