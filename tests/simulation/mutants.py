"""Ways to break the protocol, each a small change of the product, and schedules that must notice it.

A mutant's cases are flags of `python -m tests.simulation`; `noticed_by` is the invariant that they must show broken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import text

from treasury_console.domain.accounts import Account, settle
from treasury_console.domain.audit import AuditRecord, Phase, event_hash
from treasury_console.domain.resolution import (
    Action,
    BranchEvidence,
    CoordinatorStatus,
    Evidence,
    Requirement,
    Verdict,
    Verdicts,
    judge,
)
from treasury_console.domain.transactions import (
    BranchState,
    BranchVote,
    Decision,
    RecordedDecision,
    Vote,
)
from treasury_console.ledger import audit_log
from treasury_console.ledger import transactions as log
from treasury_console.ledger.accounts import find_account, store_account
from treasury_console.ledger.branches import StoredBranch, read_branch, remove_hold
from treasury_console.ledger.transactions import IdempotencyKeyTaken
from treasury_console.ledger.treasury_tables import transactions
from treasury_console.operations import force, payments
from treasury_console.operations import transactions as seeing
from treasury_console.operations.treasury import Treasury
from treasury_console.twophase import coordinator, evidence, holds, recovery
from treasury_console.twophase.coordinator import Coordinator
from treasury_console.twophase.holds import HoldsResourceManager
from treasury_console.twophase.recovery import ENDED_AS

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Mutant:
    """A broken protocol: what it breaks, how, and the schedules that must notice."""

    breaks: str
    break_it: Callable[[Patch], None]
    cases: tuple[str, ...]
    noticed_by: str


def operator_ignores_the_decision(patch: Patch) -> None:
    decide = force._decide

    def mutant(treasury: Any, record: Any, action: Any, approval: Any, wanted: Decision) -> Any:
        if record.decision is None:
            return decide(treasury, record, action, approval, wanted)
        return RecordedDecision(wanted, treasury.actor, treasury.clock(), approval.incident_id), True

    patch.setattr(force, "_decide", mutant)
    patch.setattr(force, "judge", lambda seen: judge(replace(seen, decision=None)))


def epoch_is_not_checked(patch: Patch) -> None:
    patch.setattr(log, "check_epoch", lambda _connection, _txn_id, _epoch: None)


def decision_comes_after_applying(patch: Patch) -> None:
    decide = Coordinator._decide

    def mutant(self: Coordinator, transaction: Any, proposed: Decision) -> RecordedDecision:
        recovery.apply_decision(transaction, proposed, self.shards, self.on_step)
        return decide(self, transaction, proposed)

    patch.setattr(Coordinator, "_decide", mutant)


def unknown_is_taken_as(state: BranchState) -> Callable[[Patch], None]:
    """Return the mutant that takes an unreachable branch for one in `state`."""

    def break_it(patch: Patch) -> None:
        see = evidence._branch_evidence

        def mutant(record: Any, branch: Any, seen: Any) -> BranchEvidence:
            found = see(record, branch, seen)
            return replace(found, state=state) if found.state is BranchState.UNKNOWN else found

        patch.setattr(evidence, "_branch_evidence", mutant)

    return break_it


def unreachable_counts_as_ended(patch: Patch) -> None:
    apply = recovery.apply_decision

    def mutant(transaction: Any, decision: Decision, shards: Any, on_step: Any) -> Any:
        outcomes = apply(transaction, decision, shards, on_step)
        return tuple(replace(outcome, state=ENDED_AS[decision]) for outcome in outcomes)

    patch.setattr(coordinator, "apply_decision", mutant)
    patch.setattr(force, "apply_decision", mutant)


def committed_branches_are_overlooked(patch: Patch) -> None:
    def mutant(seen: Evidence) -> Verdicts:
        if seen.decision is not None:
            return judge(seen)
        branches = tuple(
            replace(branch, state=BranchState.PREPARED) if branch.state is BranchState.COMMITTED else branch
            for branch in seen.branches
        )
        return judge(replace(seen, branches=branches))

    patch.setattr(force, "judge", mutant)


def rollback_leaves_no_tombstone(patch: Patch) -> None:
    end = holds._end_branch

    def mutant(connection: Any, transaction: Any, branch: Any, state: BranchState, at: Any) -> None:
        if state is BranchState.ROLLED_BACK:
            remove_hold(connection, transaction.txn_id, branch.participant)
        else:
            end(connection, transaction, branch, state, at)

    patch.setattr(holds, "_end_branch", mutant)


def unprepared_branch_is_not_barred(patch: Patch) -> None:
    rollback = HoldsResourceManager.rollback

    def mutant(self: HoldsResourceManager, transaction: Any, branch: Any) -> BranchState:
        with self.database.snapshot() as connection:
            if read_branch(connection, transaction.txn_id, branch.participant).state is BranchState.ACTIVE:
                return BranchState.ROLLED_BACK
        return rollback(self, transaction, branch)

    patch.setattr(HoldsResourceManager, "rollback", mutant)


def tombstone_is_not_read(patch: Patch) -> None:
    prepare = HoldsResourceManager.prepare

    def blind(connection: Any, txn_id: str, participant: str) -> StoredBranch:
        stored = read_branch(connection, txn_id, participant)
        return StoredBranch(BranchState.ACTIVE) if stored.state is BranchState.ROLLED_BACK else stored

    def mutant(self: HoldsResourceManager, transaction: Any, branch: Any) -> BranchVote:
        with pytest.MonkeyPatch.context() as for_this_call:
            for_this_call.setattr(holds, "read_branch", blind)
            return prepare(self, transaction, branch)

    patch.setattr(HoldsResourceManager, "prepare", mutant)


def rollback_keeps_the_money_held(patch: Patch) -> None:
    patch.setattr(holds, "release", lambda account, _amount: account)


def commit_is_not_once_only(patch: Patch) -> None:
    commit = HoldsResourceManager.commit

    def mutant(self: HoldsResourceManager, transaction: Any, branch: Any) -> BranchState:
        with self.database.write() as connection:
            if read_branch(connection, transaction.txn_id, branch.participant).state is BranchState.COMMITTED:
                account = find_account(connection, branch.participant, transaction.currency)
                assert account is not None
                store_account(connection, account, replace(account, balance=account.balance + branch.amount))
                return BranchState.COMMITTED
        return commit(self, transaction, branch)

    patch.setattr(HoldsResourceManager, "commit", mutant)


def last_decision_wins(patch: Patch) -> None:
    def mutant(connection: Any, txn_id: str, epoch: int, decision: RecordedDecision) -> tuple[RecordedDecision, bool]:
        log.check_epoch(connection, txn_id, epoch)
        at = int(decision.decided_at.timestamp() * 1_000_000)
        connection.execute(
            text("INSERT OR REPLACE INTO decisions VALUES (:txn_id, :decision, :by, :at, :approval)"),
            {
                "txn_id": txn_id,
                "decision": decision.decision.value,
                "by": decision.decided_by,
                "at": at,
                "approval": decision.approval,
            },
        )
        return decision, True

    patch.setattr(coordinator, "record_decision", mutant)
    patch.setattr(force, "record_decision", mutant)


def no_counts_as_yes(patch: Patch) -> None:
    patch.setattr(coordinator, "_all_yes", lambda _votes: True)


def missing_vote_counts_as_yes(patch: Patch) -> None:
    collect = Coordinator._collect_votes

    def mutant(self: Coordinator, transaction: Any) -> tuple[dict[str, BranchVote], str | None]:
        votes, unreached = collect(self, transaction)
        missing = {name: BranchVote(Vote.YES, "assumed") for name in transaction.participants if name not in votes}
        return votes | missing, unreached

    patch.setattr(Coordinator, "_collect_votes", mutant)


def commit_is_presumed(patch: Patch) -> None:
    def mutant(seen: Evidence) -> Verdicts:
        verdicts = judge(seen)
        if seen.decision is not None or not verdicts.force_rollback.allowed:
            return verdicts
        return replace(verdicts, force_commit=verdicts.force_rollback, force_rollback=verdicts.force_commit)

    patch.setattr(force, "judge", mutant)


def idempotency_key_is_ignored(patch: Patch) -> None:
    create = log.create_transaction

    def mutant(connection: Any, transaction: Any, digest: str) -> None:
        try:
            with connection.begin_nested():
                create(connection, transaction, digest)
        except IdempotencyKeyTaken:
            create(connection, replace(transaction, idempotency_key=None), digest)

    patch.setattr(payments, "_replay", lambda _treasury, _request: None)
    patch.setattr(coordinator, "create_transaction", mutant)


def fence_keeps_the_epoch(patch: Patch) -> None:
    fence = log.fence

    def mutant(connection: Any, txn_id: str, epoch: int, by: str, at: Any) -> bool:
        moved = fence(connection, txn_id, epoch, by, at)
        connection.execute(
            text("UPDATE transactions SET epoch = :epoch WHERE txn_id = :id"), {"epoch": epoch, "id": txn_id}
        )
        return moved

    patch.setattr(force, "fence", mutant)


def force_does_not_fence(patch: Patch) -> None:
    patch.setattr(force, "_fence", lambda _treasury, _record, _action, _approval: None)


def finished_before_confirmed(patch: Patch) -> None:
    def mutant(connection: Any, txn_id: str, at: Any) -> bool:
        finished = connection.execute(
            transactions.update()
            .where(transactions.c.txn_id == txn_id, transactions.c.finished_at.is_(None))
            .values(finished_at=at)
        )
        return bool(finished.rowcount == 1)

    patch.setattr(recovery, "finish_if_confirmed", mutant)


def resume_applies_the_opposite(patch: Patch) -> None:
    finish = force._finish
    opposite = {Decision.COMMIT: Decision.ABORT, Decision.ABORT: Decision.COMMIT}

    def turned(argument: Any) -> Any:
        if isinstance(argument, RecordedDecision):
            return replace(argument, decision=opposite[argument.decision])
        return argument

    def mutant(*arguments: Any, **more: Any) -> Any:
        if Action.RESUME in arguments:
            arguments = tuple(turned(argument) for argument in arguments)
        return finish(*arguments, **more)

    patch.setattr(force, "_finish", mutant)


def entry_without_balance(patch: Patch) -> None:
    def mutant(connection: Any, before: Account, after: Account) -> None:
        store_account(connection, before, replace(after, balance=before.balance))

    patch.setattr(holds, "store_account", mutant)


def balance_without_entry(patch: Patch) -> None:
    patch.setattr(holds, "append_entries", lambda _connection, _hold, _after, _at: None)


def balance_without_version(patch: Patch) -> None:
    def mutant(connection: Any, before: Account, after: Account) -> None:
        store_account(connection, before, replace(after, version=before.version))

    patch.setattr(holds, "store_account", mutant)


def held_money_is_available(patch: Patch) -> None:
    patch.setattr(Account, "available", property(lambda account: account.balance))


def prepared_credits_may_overflow(patch: Patch) -> None:
    patch.setattr(holds, "incoming_credits", lambda _connection, _participant, _currency: 0)


def yes_without_a_hold(patch: Patch) -> None:
    patch.setattr(holds, "place_hold", lambda _connection, _hold: None)


def decision_is_audited_later(patch: Patch) -> None:
    decide, finish = force._decide, force._finish
    late: list[AuditRecord] = []

    def postpone(_connection: Any, record: AuditRecord) -> int:
        late.append(record)
        return 0

    def mutant_decide(*arguments: Any) -> Any:
        with pytest.MonkeyPatch.context() as for_this_call:
            for_this_call.setattr(force, "append_event", postpone)
            return decide(*arguments)

    def mutant_finish(treasury: Treasury, *rest: Any, **more: Any) -> Any:
        with treasury.store.write() as connection:
            while late:
                audit_log.append_event(connection, late.pop())
        return finish(treasury, *rest, **more)

    patch.setattr(force, "_decide", mutant_decide)
    patch.setattr(force, "_finish", mutant_finish)


def without_audit(phase: Phase) -> Callable[[Patch], None]:
    """Return the mutant that does not audit `phase`."""

    def break_it(patch: Patch) -> None:
        audit = Treasury.audit

        def mutant(self: Treasury, operation: str, given: Phase, *rest: Any, **more: Any) -> None:
            if given is not phase:
                audit(self, operation, given, *rest, **more)

        patch.setattr(Treasury, "audit", mutant)

    return break_it


def audit_events_are_not_chained(patch: Patch) -> None:
    patch.setattr(audit_log, "event_hash", lambda seq, _prev_hash, record: event_hash(seq, "", record))


def lease_is_ignored(patch: Patch) -> None:
    status = evidence.coordinator_status

    def mutant(record: Any, now: Any) -> CoordinatorStatus:
        found = status(record, now)
        return CoordinatorStatus.LAPSED if found is CoordinatorStatus.ALIVE else found

    patch.setattr(evidence, "coordinator_status", mutant)


def lost_log_needs_no_acknowledgement(patch: Patch) -> None:
    def bent(verdict: Verdict) -> Verdict:
        return replace(verdict, requires=verdict.requires - {Requirement.ACKNOWLEDGE_LOG_LOST})

    def mutant(seen: Evidence) -> Verdicts:
        verdicts = judge(seen)
        return replace(verdicts, force_commit=bent(verdicts.force_commit), force_rollback=bent(verdicts.force_rollback))

    patch.setattr(force, "judge", mutant)


def refusal_comes_after_the_fence(patch: Patch) -> None:
    check = force._check_verdict

    def mutant(action: Any, approval: Any, seen: Evidence) -> None:
        if seen.coordinator is CoordinatorStatus.FENCED or seen.decision is not None:
            check(action, approval, seen)

    patch.setattr(force, "_check_verdict", mutant)


def dry_run_forgets_the_hold(patch: Patch) -> None:
    patch.setattr(seeing, "settle", lambda account, amount: replace(settle(account, amount), held=account.held))


FORCED_AFTER_PREPARE = "--coordinator-crash 5 --operator force-commit"

MUTANTS = (
    Mutant(
        "an operator ignores the decision on record",
        operator_ignores_the_decision,
        ("--coordinator-crash 8 --operator force-rollback",),
        "I4",
    ),
    Mutant(
        "a coordinator's epoch is not checked when it writes",
        epoch_is_not_checked,
        ("--operator force-rollback --operator-at 5 --operator-crash 2",),
        "I11",
    ),
    Mutant(
        "a coordinator applies before its decision is durable",
        decision_comes_after_applying,
        ("--coordinator-crash 8",),
        "R1",
    ),
    Mutant(
        "a branch on an unreachable shard is taken as prepared",
        unknown_is_taken_as(BranchState.PREPARED),
        ("--coordinator-crash 3 --down shard-2 --operator force-commit",),
        "I1",
    ),
    Mutant(
        "a branch on an unreachable shard is taken as rolled back",
        unknown_is_taken_as(BranchState.ROLLED_BACK),
        ("--coordinator-crash 6 --down shard-2 --operator force-commit",),
        "I12",
    ),
    Mutant(
        "a branch on an unreachable shard is confirmed as ended",
        unreachable_counts_as_ended,
        ("--coordinator-crash 5 --down shard-2 --operator force-rollback",),
        "I8",
    ),
    Mutant(
        "a committed branch is overlooked when the log has lost the decision",
        committed_branches_are_overlooked,
        ("--coordinator-crash 10 --lose-log --operator force-rollback",),
        "I1",
    ),
    Mutant(
        "a rollback leaves no tombstone",
        rollback_leaves_no_tombstone,
        ("--coordinator-crash 5 --operator force-rollback --forget",),
        "I8",
    ),
    Mutant(
        "a branch that never prepared is not barred from preparing late",
        unprepared_branch_is_not_barred,
        ("--coordinator-crash 3 --operator force-rollback --forget",),
        "I8",
    ),
    Mutant(
        "a late PREPARE does not read the tombstone",
        tombstone_is_not_read,
        ("--coordinator-crash 3 --operator force-rollback --forget",),
        "R6",
    ),
    Mutant(
        "a rollback removes the hold and keeps the money held",
        rollback_keeps_the_money_held,
        ("--coordinator-crash 5 --operator force-rollback",),
        "I3",
    ),
    Mutant(
        "a commit that is repeated counts twice",
        commit_is_not_once_only,
        ("--coordinator-crash 10 --operator resume",),
        "I2",
    ),
    Mutant(
        "a later decision overwrites the first",
        last_decision_wins,
        (f"{FORCED_AFTER_PREPARE} --second-operator force-rollback --second-operator-at-call 4",),
        "I4",
    ),
    Mutant("a no vote counts as yes", no_counts_as_yes, ("--refuses 2",), "I1"),
    Mutant("a missing vote counts as yes", missing_vote_counts_as_yes, ("--lost-request 2",), "I1"),
    Mutant(
        "commit is presumed, not abort", commit_is_presumed, ("--coordinator-crash 3 --operator force-commit",), "I1"
    ),
    Mutant("an idempotency key is ignored", idempotency_key_is_ignored, ("--again",), "I2"),
    Mutant("a fence leaves the epoch as it was", fence_keeps_the_epoch, (FORCED_AFTER_PREPARE,), "I9"),
    Mutant("a force does not fence", force_does_not_fence, (FORCED_AFTER_PREPARE,), "I11"),
    Mutant(
        "a transaction is finished before every branch is confirmed",
        finished_before_confirmed,
        ("--coordinator-crash 6 --down shard-2 --operator force-commit",),
        "I8",
    ),
    Mutant(
        "resume applies the opposite of the decision",
        resume_applies_the_opposite,
        ("--coordinator-crash 8 --operator resume",),
        "I4",
    ),
    Mutant("an entry is written without the balance", entry_without_balance, ("",), "I2"),
    Mutant("a balance is written without its entry", balance_without_entry, ("",), "I2"),
    Mutant("a balance is written without its version", balance_without_version, ("",), "I2"),
    Mutant("held money can be spent again", held_money_is_available, ("--rival 3",), "I3"),
    Mutant(
        "prepared credits are not counted when another may overflow the account",
        prepared_credits_may_overflow,
        ("--refuses 2 --refuses-at 5",),
        "I6",
    ),
    Mutant("a yes vote is given without a hold", yes_without_a_hold, ("",), "I3"),
    Mutant(
        "a forced decision is audited in a transaction of its own",
        decision_is_audited_later,
        (f"{FORCED_AFTER_PREPARE} --operator-crash 3",),
        "I5",
    ),
    Mutant("the intent of a force is not audited", without_audit(Phase.INTENT), (FORCED_AFTER_PREPARE,), "I5"),
    Mutant("the outcome of a force is not audited", without_audit(Phase.OUTCOME), (FORCED_AFTER_PREPARE,), "I5"),
    Mutant(
        "a refusal is not audited",
        without_audit(Phase.REFUSED),
        ("--coordinator-crash 8 --operator force-rollback",),
        "I5",
    ),
    Mutant("audit events are not chained", audit_events_are_not_chained, ("",), "I5"),
    Mutant(
        "a coordinator whose lease is valid is taken as dead",
        lease_is_ignored,
        ("--operator force-rollback --operator-at 7 --no-fence-approval",),
        "I12",
    ),
    Mutant(
        "a lost log need not be acknowledged",
        lost_log_needs_no_acknowledgement,
        ("--coordinator-crash 10 --lose-log --operator force-commit --no-acknowledgement",),
        "I12",
    ),
    Mutant(
        "a force fences first and is refused afterwards",
        refusal_comes_after_the_fence,
        ("--coordinator-crash 3 --operator force-commit",),
        "I6",
    ),
    Mutant(
        "a dry run predicts other balances than the act makes", dry_run_forgets_the_hold, (FORCED_AFTER_PREPARE,), "I10"
    ),
)
