"""The comparison with the oracle can fail: every wrong table below is noticed.

A mutant is `judge` misled about one fact, or its verdicts bent after the fact, or one numbered row ruled the other way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from treasury_console.domain.resolution import (
    BranchEvidence,
    CoordinatorStatus,
    Damage,
    Evidence,
    LogStatus,
    Requirement,
    Ruling,
    Verdict,
    Verdicts,
    judge,
)
from treasury_console.domain.transactions import BranchState, Decision, Vote

from .resolution_cells import Disagreement, Judge, compare, disagreements, few, recorded

ROWS = range(1, 20)


def misled(mislead: Callable[[Evidence], Evidence]) -> Judge:
    """Return a judge that sees what `mislead` makes of the evidence."""
    return lambda evidence: judge(mislead(evidence))


def bent(bend: Callable[[Verdict], Verdict]) -> Judge:
    """Return a judge whose every verdict goes through `bend`."""

    def judged(evidence: Evidence) -> Verdicts:
        verdicts = judge(evidence)
        return Verdicts(
            bend(verdicts.force_commit), bend(verdicts.force_rollback), bend(verdicts.resume), verdicts.damage
        )

    return judged


def state(seen: BranchState, taken_for: BranchState) -> Judge:
    """Return a judge that takes one branch state for another."""
    return each_branch(lambda branch: replace(branch, state=taken_for) if branch.state is seen else branch)


def each_branch(mislead: Callable[[BranchEvidence], BranchEvidence]) -> Judge:
    """Return a judge misled about every branch."""
    return misled(lambda evidence: replace(evidence, branches=tuple(map(mislead, evidence.branches))))


def log(seen: LogStatus, taken_for: LogStatus) -> Judge:
    """Return a judge that takes one status of the log for another."""
    return misled(lambda evidence: replace(evidence, log=taken_for) if evidence.log is seen else evidence)


def coordinator(seen: CoordinatorStatus, taken_for: CoordinatorStatus) -> Judge:
    """Return a judge that takes one status of the coordinator for another."""
    return misled(
        lambda evidence: replace(evidence, coordinator=taken_for) if evidence.coordinator is seen else evidence
    )


def sighting(*, ours: bool = False, epoch_is_old: bool = False, seen_twice: bool = False) -> Judge:
    """Return a judge that takes the named facts of an orphan for granted."""

    def mislead(evidence: Evidence) -> Evidence:
        orphan = evidence.orphan
        if orphan is None:
            return evidence
        return replace(
            evidence,
            orphan=replace(
                orphan,
                ours=orphan.ours or ours,
                epoch_is_old=orphan.epoch_is_old or epoch_is_old,
                seen_twice=orphan.seen_twice or seen_twice,
            ),
        )

    return misled(mislead)


def of_orphans(mislead: Callable[[Evidence], Evidence]) -> Judge:
    """Return a judge misled about orphans alone."""
    return misled(lambda evidence: mislead(evidence) if evidence.orphan else evidence)


def of_records(mislead: Callable[[Evidence], Evidence]) -> Judge:
    """Return a judge misled about transactions that have a record."""
    return misled(lambda evidence: evidence if evidence.orphan else mislead(evidence))


def opposite(evidence: Evidence) -> Evidence:
    """Return `evidence` with the other decision recorded."""
    if evidence.decision is None:
        return evidence
    other = Decision.ABORT if evidence.decision.decision is Decision.COMMIT else Decision.COMMIT
    return replace(evidence, decision=recorded(other))


def without(requirement: Requirement) -> Judge:
    """Return a judge that never asks for `requirement`."""
    return bent(lambda verdict: replace(verdict, requires=verdict.requires - {requirement}))


def damaged(bend: Callable[[Damage | None], Damage | None]) -> Judge:
    """Return a judge that classes damage as `bend` says."""

    def judged(evidence: Evidence) -> Verdicts:
        verdicts = judge(evidence)
        return replace(verdicts, damage=bend(verdicts.damage))

    return judged


def vote(seen: Vote | None, taken_for: Vote | None) -> Judge:
    """Return a judge that takes one logged vote for another."""
    return each_branch(lambda branch: replace(branch, vote=taken_for) if branch.vote is seen else branch)


P, C, X, A, U = (
    BranchState.PREPARED,
    BranchState.COMMITTED,
    BranchState.ROLLED_BACK,
    BranchState.ACTIVE,
    BranchState.UNKNOWN,
)

MUTANTS: Mapping[str, Judge] = {
    "a silent branch is taken for prepared": state(U, P),
    "a silent branch is taken for rolled back": state(U, X),
    "a silent branch is taken for committed": state(U, C),
    "an active branch is taken for prepared": state(A, P),
    "an active branch is taken for rolled back": state(A, X),
    "a tombstone is taken for an active branch": state(X, A),
    "a tombstone is taken for a prepared branch": state(X, P),
    "a tombstone is taken for a silent branch": state(X, U),
    "a committed branch is taken for prepared": state(C, P),
    "a committed branch is taken for silent": state(C, U),
    "a prepared branch is taken for silent": state(P, U),
    "logged votes are not read": each_branch(lambda branch: replace(branch, vote=None)),
    "a missing vote is taken for yes": vote(None, Vote.YES),
    "a missing vote is taken for no": vote(None, Vote.NO),
    "a logged no is taken for yes": vote(Vote.NO, Vote.YES),
    "a logged no is taken for missing": vote(Vote.NO, None),
    "a logged yes is taken for no": vote(Vote.YES, Vote.NO),
    "a contradicting branch is believed": each_branch(lambda branch: replace(branch, consistent=True)),
    "only the first branch is looked at": misled(lambda it: replace(it, branches=it.branches[:1])),
    "only the last branch is looked at": misled(lambda it: replace(it, branches=it.branches[-1:])),
    "no branch at all is taken for one prepared": misled(
        lambda it: it if it.branches else replace(it, branches=(BranchEvidence("agent", "shard", P),))
    ),
    "a lost log is taken for intact": log(LogStatus.LOST, LogStatus.INTACT),
    "an intact log is taken for lost": log(LogStatus.INTACT, LogStatus.LOST),
    "an unreadable log is taken for lost": log(LogStatus.UNREADABLE, LogStatus.LOST),
    "an unreadable log is taken for intact": log(LogStatus.UNREADABLE, LogStatus.INTACT),
    "a lost log is taken for unreadable": log(LogStatus.LOST, LogStatus.UNREADABLE),
    "a living coordinator is overruled": coordinator(CoordinatorStatus.ALIVE, CoordinatorStatus.LAPSED),
    "a lapsed coordinator is taken for alive": coordinator(CoordinatorStatus.LAPSED, CoordinatorStatus.ALIVE),
    "a fenced coordinator is taken for alive": coordinator(CoordinatorStatus.FENCED, CoordinatorStatus.ALIVE),
    "the recorded decision is not read": of_records(lambda it: replace(it, decision=None)),
    "the recorded decision is read upside down": misled(opposite),
    "an orphan need not be ours": sighting(ours=True),
    "an orphan may be of this epoch": sighting(epoch_is_old=True),
    "an orphan is believed at first sight": sighting(seen_twice=True),
    "an orphan's decision is not read": of_orphans(lambda it: replace(it, decision=None)),
    "an orphan's log may be lost": of_orphans(
        lambda it: replace(it, log=LogStatus.INTACT) if it.log is LogStatus.LOST else it
    ),
    "an orphan is judged as if it had a record": misled(lambda it: replace(it, orphan=None)),
    "a force needs no approval": without(Requirement.APPROVAL),
    "nobody is told that the log was lost": without(Requirement.ACKNOWLEDGE_LOG_LOST),
    "resuming needs approval": bent(
        lambda it: replace(it, requires=it.requires | {Requirement.APPROVAL}) if it.allowed else it
    ),
    "a decided force is taken for an open one": bent(
        lambda it: replace(it, ruling=Ruling.ALLOW) if it.ruling is Ruling.RESUME else it
    ),
    "a decided force is refused": bent(
        lambda it: replace(it, ruling=Ruling.REFUSE) if it.ruling is Ruling.RESUME else it
    ),
    "no reason is given": bent(lambda it: replace(it, reasons=())),
    "the reason is blank": bent(lambda it: replace(it, reasons=(" ",))),
    "damage is not told": damaged(lambda damage: None),
    "all damage is a mix": damaged(lambda damage: damage and Damage.HEURMIX),
    "every transaction is a hazard": damaged(lambda damage: damage or Damage.HEURHAZ),
}


def flipped(row: int) -> Judge:
    """Return a judge that allows what `row` refuses, and refuses what it allows."""

    def flip(verdict: Verdict) -> Verdict:
        if verdict.row != row:
            return verdict
        return replace(verdict, ruling=Ruling.REFUSE if verdict.allowed else Ruling.ALLOW)

    return bent(flip)


@pytest.fixture(scope="module")
def honest() -> frozenset[Disagreement]:
    """What the comparison reports of `judge` itself, so that a mutant has to add to it."""
    compared, found = disagreements(judge, few())
    assert compared > 10_000
    return frozenset(found)


def noticed(mutant: Judge, honest: frozenset[Disagreement]) -> bool:
    """Say whether the comparison reports anything of `mutant` that it does not report of `judge`."""
    return any(found not in honest for evidence in few() for found in compare(mutant, evidence))


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_a_wrong_table_is_noticed(mutant: Judge, honest: frozenset[Disagreement]) -> None:
    assert noticed(mutant, honest)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_ruled_the_other_way_is_noticed(row: int, honest: frozenset[Disagreement]) -> None:
    assert noticed(flipped(row), honest)
