"""An independent statement of the forced-resolution table (two-phase commit design 1.2), to hold `judge` against.

It does not walk the rows. It asks of every branch which ends are still open to it, given what is known, and permits an
end only when it is open to all of them:

- a recorded decision is obeyed while it is open to every branch, and nothing else may be done;
- without one, a force towards an end is permitted exactly when that end is open to every branch;
- evidence that cannot be believed (log unreadable, a branch that contradicts its record, no branch) opens nothing;
- a living coordinator is not overruled, but applying what it recorded does no harm.

What harm was already done (rows 5, 6, 9, 13) and what may be done to an orphan (row 18) are stated apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from treasury_console.domain.resolution import (
    Action,
    BranchEvidence,
    CoordinatorStatus,
    Damage,
    Evidence,
    LogStatus,
    OrphanSighting,
    Requirement,
    Ruling,
)
from treasury_console.domain.transactions import BranchState, Decision, Vote

COMMIT, ABORT = Decision.COMMIT, Decision.ABORT
P, C, X, A, U = (
    BranchState.PREPARED,
    BranchState.COMMITTED,
    BranchState.ROLLED_BACK,
    BranchState.ACTIVE,
    BranchState.UNKNOWN,
)

Ends = frozenset[Decision]
_EITHER: Ends = frozenset({COMMIT, ABORT})
_ONLY_COMMIT: Ends = frozenset({COMMIT})
_ONLY_ABORT: Ends = frozenset({ABORT})
_NEITHER: Ends = frozenset()

# What a branch's own state leaves open. An active branch never voted, so it cannot belong to a commit.
_OPEN_BY_STATE: Mapping[BranchState, Ends] = MappingProxyType(
    {P: _EITHER, C: _ONLY_COMMIT, X: _ONLY_ABORT, A: _ONLY_ABORT, U: _EITHER}
)

# What the logged vote leaves open to an undecided branch that does not answer: only a logged yes proves that it is
# prepared, and without a decision it cannot have committed by the protocol.
_OPEN_BY_VOTE_OF_UNKNOWN: Mapping[Vote | None, Ends] = MappingProxyType(
    {Vote.YES: _EITHER, Vote.NO: _ONLY_ABORT, None: _ONLY_ABORT}
)

_FORCE_TOWARDS: Mapping[Action, Decision] = MappingProxyType(
    {Action.FORCE_COMMIT: COMMIT, Action.FORCE_ROLLBACK: ABORT}
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the table says of one action."""

    ruling: Ruling
    requires: frozenset[Requirement] = frozenset()


@dataclass(frozen=True, slots=True)
class Answers:
    """What the table says of one transaction."""

    force_commit: Answer
    force_rollback: Answer
    resume: Answer
    damage: Damage | None


_REFUSED = Answer(Ruling.REFUSE)
_OBEY = Answer(Ruling.RESUME)
_APPLY = Answer(Ruling.ALLOW)


def expected(evidence: Evidence) -> Answers:
    """Return what the design's table says of `evidence`."""
    if not _believable(evidence):
        return Answers(_REFUSED, _REFUSED, _REFUSED, None)
    ends = _EITHER.intersection(*(open_ends(branch, evidence) for branch in evidence.branches))
    if evidence.orphan is not None:
        rollback = _with_approval() if _orphan_may_go(evidence, evidence.orphan, ends) else _REFUSED
        return Answers(_REFUSED, rollback, _REFUSED, None)
    return Answers(
        _force(Action.FORCE_COMMIT, evidence, ends),
        _force(Action.FORCE_ROLLBACK, evidence, ends),
        _resume(evidence, ends),
        damage_done(_decided(evidence), frozenset(evidence.states)),
    )


def open_ends(branch: BranchEvidence, evidence: Evidence) -> Ends:
    """Return the ends that `branch` can still be brought to, as far as the evidence proves.

    A recorded decision proves that every vote was yes or that none matters, so only what a branch already did can
    speak against it.
    """
    by_state = _OPEN_BY_STATE[branch.state]
    if _decided(evidence) is not None:
        return by_state
    by_vote = _ONLY_ABORT if branch.vote is Vote.NO else _EITHER
    if branch.state is not U:
        return by_state & by_vote
    return _NEITHER if evidence.log is LogStatus.LOST else _OPEN_BY_VOTE_OF_UNKNOWN[branch.vote]


def damage_done(decision: Decision | None, states: frozenset[BranchState]) -> Damage | None:
    """Return the class of the harm already visible in `states`.

    With both ends visible, or one of them against the decision beside others, it is a mix; wholly against the decision
    has a class of its own; a branch that should be prepared and is not is a hazard.
    """
    against = {COMMIT: X, ABORT: C, None: None}[decision]
    if against is not None and states == {against}:
        return Damage.HEURRB if decision is COMMIT else Damage.HEURCOM
    if against in states or (decision is None and C in states and states & {X, A}):
        return Damage.HEURMIX
    return Damage.HEURHAZ if decision is COMMIT and A in states else None


def _decided(evidence: Evidence) -> Decision | None:
    return None if evidence.decision is None else evidence.decision.decision


def _believable(evidence: Evidence) -> bool:
    return (
        evidence.log is not LogStatus.UNREADABLE
        and len(evidence.branches) > 0
        and all(branch.consistent for branch in evidence.branches)
    )


def _orphan_may_go(evidence: Evidence, orphan: OrphanSighting, ends: Ends) -> bool:
    proofs = {
        "its identifier is one of ours": orphan.ours,
        "its epoch is behind": orphan.epoch_is_old,
        "it was there twice, apart": orphan.seen_twice,
        "nothing was decided": evidence.decision is None,
        "the log would know": evidence.log is LogStatus.INTACT,
        "none of it committed": ABORT in ends,
    }
    return all(proofs.values())


def _force(action: Action, evidence: Evidence, ends: Ends) -> Answer:
    end = _FORCE_TOWARDS[action]
    if evidence.coordinator is CoordinatorStatus.ALIVE or end not in ends:
        return _REFUSED
    if evidence.decision is not None:
        return _OBEY if _decided(evidence) is end else _REFUSED
    # A commit nobody recorded, and yet a branch committed: the log has lost it, whatever it says of itself.
    lost = evidence.log is LogStatus.LOST or C in evidence.states
    return _with_approval(Requirement.ACKNOWLEDGE_LOG_LOST) if lost else _with_approval()


def _resume(evidence: Evidence, ends: Ends) -> Answer:
    return _APPLY if _decided(evidence) in ends else _REFUSED


def _with_approval(*more: Requirement) -> Answer:
    return Answer(Ruling.ALLOW, frozenset({Requirement.APPROVAL, *more}))
