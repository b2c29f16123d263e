"""Forced resolution, and resuming a recorded decision.

Intent to the audit log -> evidence and verdict -> fence -> evidence and verdict again -> decision and audit in one
transaction -> apply -> confirm -> verify -> outcome to the audit log. A crash anywhere leaves a state in which running
the same command again finishes the work: before the decision nothing has changed but the fence, after it only resuming
is possible. Two operators get one decision; the loser is told whose it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from treasury_console.domain.audit import AuditRecord, Details, Phase
from treasury_console.domain.durations import iso_utc
from treasury_console.domain.errors import InvalidRequest, Refused, UnknownId, Unreachable
from treasury_console.domain.resolution import (
    Action,
    BranchEvidence,
    CoordinatorStatus,
    Evidence,
    Requirement,
    Ruling,
    Verdict,
    judge,
)
from treasury_console.domain.transactions import BranchState, Decision, RecordedDecision, TransactionState, derive_state
from treasury_console.ledger.audit_log import append_event
from treasury_console.ledger.transactions import TransactionRecord, fence, list_pending, record_decision
from treasury_console.operations.evidence import look_at, look_at_all
from treasury_console.operations.transactions import Effect, predict_effects
from treasury_console.operations.treasury import Treasury
from treasury_console.operations.verification import Verification, verify_agents
from treasury_console.twophase.recovery import ENDED_AS, BranchOutcome, apply_decision, confirm
from treasury_console.twophase.steps import Step

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Approval:
    """What an operator brings: the incident ID, and what was seen and acknowledged.

    `fence_approval` is a second incident ID that permits taking the transaction from a coordinator that is alive.
    `fingerprint` refuses the act if the evidence is no longer what the operator looked at.
    """

    incident_id: str
    fence_approval: str | None = None
    acknowledge_log_lost: bool = False
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """The result of a force or a resume; with `dry_run`, what it would be.

    `verified` is True when every participant's balance, journal and holds agree afterwards, None when that could not
    be checked.
    """

    txn_id: str
    action: Action
    state: TransactionState
    decision: RecordedDecision
    already_decided: bool
    branches: tuple[BranchOutcome, ...]
    verified: bool | None
    verification: Verification | None
    effects: tuple[Effect, ...]
    dry_run: bool = False

    @property
    def finished(self) -> bool:
        """True when every branch ended as decided."""
        return self.state in (TransactionState.COMMITTED, TransactionState.ABORTED)


class ForceRefused(Refused):
    """The decision table refuses the action; `verdict` says by which row."""

    def __init__(self, message: str, verdict: Verdict) -> None:
        super().__init__(message)
        self.verdict = verdict


class DecidedOtherwise(Refused):
    """Another decision is on record; `decision` says whose and since when."""

    def __init__(self, txn_id: str, decision: RecordedDecision) -> None:
        super().__init__(
            f"{txn_id} was decided {decision.decision.value} by {decision.decided_by} "
            f"at {iso_utc(decision.decided_at)}; the other decision cannot be made any more"
        )
        self.decision = decision


def force(
    treasury: Treasury,
    txn_id: str,
    action: Action,
    approval: Approval,
    *,
    on_progress: Progress = lambda _message: None,
) -> Resolution:
    """Force the transaction, under the decision table.

    Raise Refused (ForceRefused, DecidedOtherwise) when a rule forbids it, InvalidRequest for a malformed incident ID,
    UnknownId for an unknown transaction, Unreachable when the treasury database does not answer.
    """
    wanted = _wanted(action)
    treasury.require_write(action.value)
    _check_approval(treasury, approval)
    treasury.transaction_record(txn_id)
    treasury.audit(action.value, Phase.INTENT, txn_id, approval.incident_id, _approval_details(approval))
    treasury.on_step(Step.INTENT_LOGGED, "")
    try:
        on_progress("Reading the evidence")
        record, evidence = look_at(treasury, txn_id)
        _check_verdict(action, approval, evidence)
        if record.decision is None:
            on_progress("Fencing the coordinator")
            _fence(treasury, record, action, approval)
            treasury.on_step(Step.FENCED, "")
            record, evidence = look_at(treasury, txn_id)
            _check_verdict(action, approval, evidence)
        recorded, won = _decide(treasury, record, action, approval, wanted)
    except Refused as refusal:
        treasury.audit(action.value, Phase.REFUSED, txn_id, approval.incident_id, {"reason": str(refusal)})
        raise
    treasury.on_step(Step.DECIDED, "")
    return _finish(
        treasury,
        record,
        evidence,
        action,
        approval.incident_id,
        recorded,
        already_decided=not won,
        on_progress=on_progress,
    )


def predict_force(treasury: Treasury, txn_id: str, action: Action, approval: Approval | None = None) -> Resolution:
    """Return what `force` would do, by the same checks and the same account functions, without writing anything.

    Raise what `force` would raise. Without an approval the incident ID is not checked.
    """
    wanted = _wanted(action)
    if approval is not None:
        _check_approval(treasury, approval)
    record, evidence = look_at(treasury, txn_id)
    _check_verdict(action, approval or Approval("", acknowledge_log_lost=True), evidence)
    incident_id = approval.incident_id if approval else None
    decision = record.decision or RecordedDecision(wanted, treasury.actor, treasury.clock(), incident_id)
    branches = tuple(_predicted_branch(branch, decision.decision) for branch in evidence.branches)
    return Resolution(
        txn_id=txn_id,
        action=action,
        state=derive_state(decision.decision, [branch.state for branch in branches]),
        decision=decision,
        already_decided=record.decision is not None,
        branches=branches,
        verified=None,
        verification=None,
        effects=predict_effects(treasury, record, evidence)[action],
        dry_run=True,
    )


def resume(treasury: Treasury, txn_id: str, *, on_progress: Progress = lambda _message: None) -> Resolution:
    """Apply the decision on record; needs no approval. Raise ForceRefused when there is none, or it is contradicted."""
    treasury.require_write("resume")
    record, evidence = look_at(treasury, txn_id)
    verdict = judge(evidence).resume
    treasury.audit(Action.RESUME.value, Phase.INTENT, txn_id)
    treasury.on_step(Step.INTENT_LOGGED, "")
    if not verdict.allowed or record.decision is None:
        treasury.audit(Action.RESUME.value, Phase.REFUSED, txn_id, details={"reason": " ".join(verdict.reasons)})
        raise ForceRefused(f"resume of {txn_id} is refused: {' '.join(verdict.reasons)}", verdict)
    return _finish(
        treasury, record, evidence, Action.RESUME, None, record.decision, already_decided=True, on_progress=on_progress
    )


def resumable(treasury: Treasury) -> list[str]:
    """Return the unfinished transactions whose recorded decision can be applied, oldest first.

    Those of a coordinator that is alive are left to it.
    """
    with treasury.store.snapshot() as connection:
        records = [record for record in list_pending(connection) if record.decision is not None]
    return [
        evidence.txn_id
        for _, evidence in look_at_all(treasury, records)
        if evidence.coordinator is not CoordinatorStatus.ALIVE and judge(evidence).resume.allowed
    ]


def _predicted_branch(branch: BranchEvidence, decision: Decision) -> BranchOutcome:
    """Return how the branch will end: as decided, unless it ended before or its shard does not answer."""
    may_end = {BranchState.PREPARED} if decision is Decision.COMMIT else {BranchState.PREPARED, BranchState.ACTIVE}
    state = ENDED_AS[decision] if branch.state in may_end else branch.state
    return BranchOutcome(branch.participant, branch.shard, state, branch.detail)


def _wanted(action: Action) -> Decision:
    if action.decision is None:
        raise InvalidRequest("resume applies a decision; only force-commit and force-rollback make one")
    return action.decision


def _check_approval(treasury: Treasury, approval: Approval) -> None:
    treasury.settings.incidents.check(approval.incident_id)
    if approval.fence_approval is not None:
        treasury.settings.incidents.check(approval.fence_approval)


def _approval_details(approval: Approval) -> dict[str, str | bool | None]:
    return {
        "fence_approval": approval.fence_approval,
        "acknowledge_log_lost": approval.acknowledge_log_lost,
        "fingerprint": approval.fingerprint,
    }


def _check_verdict(action: Action, approval: Approval, evidence: Evidence) -> None:
    """Raise unless the table allows the action on this evidence with this approval."""
    if approval.fingerprint is not None and approval.fingerprint != evidence.fingerprint():
        raise Refused(f"{evidence.txn_id} has changed since you looked at it; inspect it again and decide anew")
    if evidence.coordinator is CoordinatorStatus.ALIVE and approval.fence_approval is not None:
        evidence = replace(evidence, coordinator=CoordinatorStatus.LAPSED)
    verdict = judge(evidence).of(action)
    if verdict.ruling is Ruling.REFUSE:
        if evidence.decision is not None and evidence.decision.decision is not action.decision:
            raise DecidedOtherwise(evidence.txn_id, evidence.decision)
        raise ForceRefused(f"{action.value} of {evidence.txn_id} is refused: {' '.join(verdict.reasons)}", verdict)
    if Requirement.ACKNOWLEDGE_LOG_LOST in verdict.requires and not approval.acknowledge_log_lost:
        raise ForceRefused(
            f"{action.value} of {evidence.txn_id} needs the acknowledgement that the coordinator's log lost a decision "
            f"(--acknowledge-log-lost): {' '.join(verdict.reasons)}",
            verdict,
        )


def _fence(treasury: Treasury, record: TransactionRecord, action: Action, approval: Approval) -> None:
    """Take the transaction from its coordinator. One fence is enough: the decision row arbitrates between operators."""
    if record.fence is not None:
        return
    txn_id, epoch = record.transaction.txn_id, record.transaction.epoch
    now = treasury.clock()
    with treasury.store.write() as connection:
        if fence(connection, txn_id, epoch, treasury.actor, now):
            details: Details = {"step": "fenced", "epoch": epoch + 1}
            append_event(
                connection,
                treasury.audit_record(action.value, Phase.STEP, txn_id, approval.incident_id, details),
            )


def _decide(
    treasury: Treasury, record: TransactionRecord, action: Action, approval: Approval, wanted: Decision
) -> tuple[RecordedDecision, bool]:
    """Record the decision and its audit event in one transaction, or return the one that is on record."""
    if record.decision is not None:
        return record.decision, False
    txn_id = record.transaction.txn_id
    mine = RecordedDecision(wanted, treasury.actor, treasury.clock(), approval.incident_id)
    with treasury.store.write() as connection:
        recorded, won = record_decision(connection, txn_id, record.transaction.epoch, mine)
        if won:
            details = {"step": "decided", "decision": wanted.value}
            append_event(
                connection,
                treasury.audit_record(action.value, Phase.STEP, txn_id, approval.incident_id, details),
            )
    if recorded.decision is not wanted:
        raise DecidedOtherwise(txn_id, recorded)
    return recorded, won


def _finish(
    treasury: Treasury,
    record: TransactionRecord,
    evidence: Evidence,
    action: Action,
    incident_id: str | None,
    recorded: RecordedDecision,
    *,
    already_decided: bool,
    on_progress: Progress,
) -> Resolution:
    """Apply, confirm, verify, and record the outcome."""
    transaction = record.transaction
    effects = predict_effects(treasury, record, evidence)[action]
    on_progress(f"Applying {recorded.decision.value}")
    outcomes = apply_decision(transaction, recorded.decision, treasury.shards, treasury.on_step)
    treasury.on_step(Step.BEFORE_CONFIRM, "")
    with treasury.store.write() as connection:
        confirm(connection, transaction, recorded.decision, outcomes, treasury.clock())
        append_event(connection, _confirmation(treasury, action, transaction.txn_id, incident_id, outcomes))
    treasury.on_step(Step.CONFIRMED, "")
    on_progress("Verifying balances")
    verification = _verify(treasury, transaction.participants)
    treasury.on_step(Step.VERIFIED, "")
    state = derive_state(recorded.decision, [outcome.state for outcome in outcomes])
    verified = None if verification is None else verification.ok
    treasury.audit(
        action.value,
        Phase.OUTCOME,
        transaction.txn_id,
        incident_id,
        {"state": state.value, "verified": verified, "already_decided": already_decided},
    )
    treasury.on_step(Step.OUTCOME_LOGGED, "")
    return Resolution(
        txn_id=transaction.txn_id,
        action=action,
        state=state,
        decision=recorded,
        already_decided=already_decided,
        branches=outcomes,
        verified=verified,
        verification=verification,
        effects=effects,
    )


def _confirmation(
    treasury: Treasury, action: Action, txn_id: str, incident_id: str | None, outcomes: tuple[BranchOutcome, ...]
) -> AuditRecord:
    branches = [f"{outcome.participant} {outcome.state.value}" for outcome in outcomes]
    return treasury.audit_record(
        action.value, Phase.STEP, txn_id, incident_id, {"step": "applied", "branches": branches}
    )


def _verify(treasury: Treasury, participants: tuple[str, ...]) -> Verification | None:
    try:
        return verify_agents(treasury, participants)
    except (Unreachable, UnknownId):
        return None
