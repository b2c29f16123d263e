"""The decision table: from the evidence about a transaction to what may be done, what is refused, and why.

Source: the table of forced resolution of the two-phase commit design (rows 1 to 19), which rests on presumed abort
and on the rules R1 to R8. `judge` is a pure function; whoever acts gathers the evidence, calls it, and obeys. The
letters P, C, X, A, U in the comments are the table's: prepared, committed, rolled back, active, unknown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from treasury_console.domain.text import safe_text
from treasury_console.domain.transactions import BranchState, Decision, RecordedDecision, Vote

_P, _C, _X = BranchState.PREPARED, BranchState.COMMITTED, BranchState.ROLLED_BACK
_A, _U = BranchState.ACTIVE, BranchState.UNKNOWN


class Action(StrEnum):
    """What a person can ask for."""

    FORCE_COMMIT = "force-commit"
    FORCE_ROLLBACK = "force-rollback"
    RESUME = "resume"

    @property
    def decision(self) -> Decision | None:
        """The decision a force records; None for resume."""
        return {Action.FORCE_COMMIT: Decision.COMMIT, Action.FORCE_ROLLBACK: Decision.ABORT}.get(self)


class CoordinatorStatus(StrEnum):
    """Whether the coordinator may still act on the transaction."""

    ALIVE = "alive"  # its lease is valid
    LAPSED = "lapsed"  # its lease ran out; a force fences it first
    FENCED = "fenced"  # the transaction's epoch has moved on; its writes are refused


class LogStatus(StrEnum):
    """Whether the coordinator's log can be believed when it records no decision."""

    INTACT = "intact"
    LOST = "lost"  # records are known to be missing
    UNREADABLE = "unreadable"


class Ruling(StrEnum):
    """The table's answer to an action."""

    ALLOW = "allow"
    RESUME = "resume"  # the decision is already recorded in this direction: apply it
    REFUSE = "refuse"


class Requirement(StrEnum):
    """What an allowed action needs besides the operator's wish."""

    APPROVAL = "approval"
    ACKNOWLEDGE_LOG_LOST = "acknowledge-log-lost"


class Damage(StrEnum):
    """Heuristic outcome classes (X/Open XA): what already went against atomicity or may have."""

    HEURRB = "HEURRB"  # rolled back against a commit decision
    HEURCOM = "HEURCOM"  # committed against an abort decision
    HEURMIX = "HEURMIX"  # part committed, part rolled back
    HEURHAZ = "HEURHAZ"  # may have been ended heuristically; not known


@dataclass(frozen=True, slots=True)
class BranchEvidence:
    """What is known of one branch: its state at the shard now, and the vote the coordinator logged, if any.

    `consistent` is False when the branch contradicts its record: another owner, amount, shard identity or timeline, or
    a logged yes vote of which the reachable shard has no trace.
    """

    participant: str
    shard: str
    state: BranchState
    vote: Vote | None = None
    detail: str = ""
    consistent: bool = True


@dataclass(frozen=True, slots=True)
class OrphanSighting:
    """What is known of a branch whose transaction has no record (row 18)."""

    ours: bool
    epoch_is_old: bool
    seen_twice: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the table needs to know of one transaction."""

    txn_id: str
    decision: RecordedDecision | None
    coordinator: CoordinatorStatus
    log: LogStatus
    branches: tuple[BranchEvidence, ...]
    orphan: OrphanSighting | None = None

    @property
    def states(self) -> tuple[BranchState, ...]:
        """The branch states, in branch order."""
        return tuple(branch.state for branch in self.branches)

    def fingerprint(self) -> str:
        """Return a digest of what a decision rests on, to notice that it changed since a person looked."""
        facts = [
            self.txn_id,
            self.decision.decision.value if self.decision else None,
            self.log.value,
            None if self.orphan is None else [self.orphan.ours, self.orphan.epoch_is_old, self.orphan.seen_twice],
            sorted(
                [branch.participant, branch.shard, branch.state.value, branch.vote or "", branch.consistent]
                for branch in self.branches
            ),
        ]
        return hashlib.sha256(json.dumps(facts, separators=(",", ":")).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The ruling on one action: the table row it rests on, the reasons, and what the action needs."""

    ruling: Ruling
    row: int
    reasons: tuple[str, ...]
    requires: frozenset[Requirement] = field(default_factory=frozenset)

    @property
    def allowed(self) -> bool:
        """True when the action would do something sanctioned: allowed, or already decided this way."""
        return self.ruling is not Ruling.REFUSE


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The table's answer for one transaction."""

    force_commit: Verdict
    force_rollback: Verdict
    resume: Verdict
    damage: Damage | None = None

    def of(self, action: Action) -> Verdict:
        """Return the verdict on `action`."""
        return {
            Action.FORCE_COMMIT: self.force_commit,
            Action.FORCE_ROLLBACK: self.force_rollback,
            Action.RESUME: self.resume,
        }[action]

    @property
    def summary(self) -> str:
        """The actions that are open, as a short phrase for a list."""
        if self.resume.allowed:
            return "resume"
        if self.force_commit.allowed and self.force_rollback.allowed:
            return "commit or rollback"
        if self.force_commit.allowed:
            return "commit only"
        if self.force_rollback.allowed:
            return "rollback only"
        return f"damaged {self.damage.value}" if self.damage else "wait"


def judge(evidence: Evidence) -> Verdicts:
    """Return what may be done with the transaction, by the decision table."""
    if not evidence.branches:
        return _refuse_all(19, "The transaction has no branches on record, so nothing can be proven about it.")
    if evidence.log is LogStatus.UNREADABLE:
        return _refuse_all(2, "The coordinator's log cannot be read, so a recorded decision cannot be excluded.")
    inconsistent = [branch.participant for branch in evidence.branches if not branch.consistent]
    if inconsistent:
        return _refuse_all(
            19, f"What the shard says of {_names(inconsistent)} contradicts the record; the transaction is quarantined."
        )
    if evidence.orphan is not None:
        return _judge_orphan(evidence, evidence.orphan)
    if evidence.decision is None:
        return _judge_undecided(evidence)
    if evidence.decision.decision is Decision.COMMIT:
        verdicts = _judge_commit_decided(evidence)
    else:
        verdicts = _judge_abort_decided(evidence)
    return _while_alive(verdicts) if evidence.coordinator is CoordinatorStatus.ALIVE else verdicts


def _judge_orphan(evidence: Evidence, orphan: OrphanSighting) -> Verdicts:
    """Row 18: a branch without a record may only be rolled back, and only when it certainly is an old one of ours."""
    doubts = []
    if not orphan.ours:
        doubts.append("its identifier is not ours")
    if not orphan.epoch_is_old:
        doubts.append("its epoch is not older than the current one")
    if not orphan.seen_twice:
        doubts.append("it was not yet seen in two scans a safety interval apart")
    if evidence.decision is not None:
        doubts.append("a decision is recorded for it")
    if evidence.log is not LogStatus.INTACT:
        doubts.append("the coordinator's log is not intact")
    if _C in evidence.states:
        doubts.append(f"{_names_in(evidence, _C)} committed")
    commit = _refuse(18, "No record says that every participant prepared.")
    resume = _refuse(18, "No decision can be resumed for a transaction without a record.")
    if doubts:
        return Verdicts(commit, _refuse(18, f"The orphan may not be touched: {'; '.join(doubts)}."), resume)
    return Verdicts(commit, _allow(18, "An old orphan of ours: presumed abort."), resume)


def _judge_commit_decided(evidence: Evidence) -> Verdicts:
    """Rows 3 to 6."""
    found = set(evidence.states)
    if _X in found:
        damage = Damage.HEURRB if found == {_X} else Damage.HEURMIX
        return _refuse_all(
            5,
            f"Commit is decided, yet {_names_in(evidence, _X)} rolled back; only a compensating transfer can mend it.",
            damage,
        )
    if _A in found:
        return _refuse_all(
            6,
            f"Commit is decided, yet {_names_in(evidence, _A)} never prepared: impossible by protocol.",
            Damage.HEURHAZ,
        )
    rollback = "Commit is decided and may have been told to the client; it can never be rolled back."
    if _U in found:
        reason = f"Commit is decided; {_names_in(evidence, _U)} will be confirmed when the shard answers."
        return Verdicts(_resume(4, reason), _refuse(4, rollback), _allow_resume(4, reason))
    reason = "Commit is decided; applying it finishes the transaction."
    if found == {_C}:
        reason = "Commit is decided and every branch has committed: nothing is left to do."
    return Verdicts(_resume(3, reason), _refuse(3, rollback), _allow_resume(3, reason))


def _judge_abort_decided(evidence: Evidence) -> Verdicts:
    """Rows 7 to 9."""
    found = set(evidence.states)
    if _C in found:
        damage = Damage.HEURCOM if found == {_C} else Damage.HEURMIX
        return _refuse_all(
            9,
            f"Abort is decided, yet {_names_in(evidence, _C)} committed; only a compensating transfer can mend it.",
            damage,
        )
    commit = "Abort is decided; it can never be committed."
    if _U in found:
        reason = f"Abort is decided; {_names_in(evidence, _U)} will be confirmed when the shard answers."
        return Verdicts(_refuse(8, commit), _resume(8, reason), _allow_resume(8, reason))
    reason = "Abort is decided; applying it finishes the transaction."
    if found == {_X}:
        reason = "Abort is decided and every branch has rolled back: nothing is left to do."
    return Verdicts(_refuse(7, commit), _resume(7, reason), _allow_resume(7, reason))


def _judge_undecided(evidence: Evidence) -> Verdicts:
    """Rows 1 and 10 to 17: no decision is recorded."""
    found = set(evidence.states)
    resume = "No decision is recorded, so there is none to resume."
    if _C in found and (_X in found or _A in found):
        other = _X if _X in found else _A
        return _refuse_all(
            13,
            f"{_names_in(evidence, _C)} committed while {_names_in(evidence, other)} did not; "
            "only a compensating transfer can mend it.",
            Damage.HEURMIX,
        )
    if evidence.coordinator is CoordinatorStatus.ALIVE:
        reason = "The coordinator is alive and may be deciding: ask it, or wait for its lease to run out."
        return Verdicts(_refuse(1, reason), _refuse(1, reason), _refuse(1, resume))
    if evidence.log is LogStatus.LOST and _U in found:
        reason = (
            f"The coordinator's log is lost and {_are(_in_state(evidence, _U))} unreachable: "
            "the absence of a decision proves nothing."
        )
        return Verdicts(_refuse(17, reason), _refuse(17, reason), _refuse(17, resume))
    commit, rollback = _undecided_forces(evidence, found)
    return Verdicts(commit, rollback, _refuse(commit.row, resume))


def _undecided_forces(evidence: Evidence, found: set[BranchState]) -> tuple[Verdict, Verdict]:
    """Rows 10 to 16, the coordinator not alive, no contradiction among the branches."""
    log_lost = evidence.log is LogStatus.LOST
    refused = [branch.participant for branch in evidence.branches if branch.vote is Vote.NO]
    unproven = [
        branch.participant for branch in evidence.branches if branch.state is _U and branch.vote is not Vote.YES
    ]
    if _C in found:
        row = 16 if _U in found else 12
        rollback = _refuse(row, f"{_names_in(evidence, _C)} committed, so commit was decided and the log lost it.")
        if refused:
            return _refuse(row, f"{_names(refused)} voted no, yet another branch committed."), rollback
        if unproven:
            return _refuse(16, f"{_are(unproven)} unreachable, and no yes vote is logged."), rollback
        reason = f"{_names_in(evidence, _C)} committed already; committing the rest restores atomicity."
        return _allow(row, reason, log_lost=True), rollback
    if found & {_X, _A} or refused:
        failed = refused or [branch.participant for branch in evidence.branches if branch.state in (_X, _A)]
        return (
            _refuse(11, f"{_are(failed)} not prepared, so the transaction must not commit."),
            _allow(11, f"{_are(failed)} not prepared and nothing committed.", log_lost=log_lost),
        )
    if unproven:
        return (
            _refuse(15, f"{_are(unproven)} unreachable, and no yes vote is logged."),
            _allow(15, f"{_names(unproven)} cannot have committed without a decision."),
        )
    if _U in found:
        away = f"{_are(_in_state(evidence, _U))} unreachable and will be confirmed when the shard answers"
        return (
            _allow(14, f"Every vote is yes; {away}."),
            _allow(14, f"No decision is recorded: presumed abort; {away}."),
        )
    return (
        _allow(
            10,
            "Every participant is prepared. If the client saw a failure and sent the transfer again, "
            "committing pays twice.",
            log_lost=log_lost,
        ),
        _allow(10, "No decision is recorded: presumed abort makes rollback the protocol's answer.", log_lost=log_lost),
    )


def _while_alive(verdicts: Verdicts) -> Verdicts:
    """Row 1 for a decided transaction: forcing is refused, resuming the recorded decision stays harmless."""
    if verdicts.damage is not None:
        return verdicts
    reason = "The coordinator is alive and finishes the transaction itself: wait for its lease to run out."
    return Verdicts(_refuse(1, reason), _refuse(1, reason), verdicts.resume)


def _allow(row: int, reason: str, *, log_lost: bool = False) -> Verdict:
    requires = {Requirement.APPROVAL} | ({Requirement.ACKNOWLEDGE_LOG_LOST} if log_lost else set())
    return Verdict(Ruling.ALLOW, row, (reason,), frozenset(requires))


def _allow_resume(row: int, reason: str) -> Verdict:
    return Verdict(Ruling.ALLOW, row, (reason,))


def _resume(row: int, reason: str) -> Verdict:
    return Verdict(Ruling.RESUME, row, (reason,))


def _refuse(row: int, reason: str) -> Verdict:
    return Verdict(Ruling.REFUSE, row, (reason,))


def _refuse_all(row: int, reason: str, damage: Damage | None = None) -> Verdicts:
    refusal = _refuse(row, reason)
    return Verdicts(refusal, refusal, refusal, damage)


def _in_state(evidence: Evidence, state: BranchState) -> list[str]:
    return [branch.participant for branch in evidence.branches if branch.state is state]


def _names_in(evidence: Evidence, state: BranchState) -> str:
    return _names(_in_state(evidence, state))


def _are(participants: Sequence[str]) -> str:
    return f"{_names(participants)} {'is' if len(participants) == 1 else 'are'}"


def _names(participants: Iterable[str]) -> str:
    return ", ".join(safe_text(participant, 40) for participant in participants)
