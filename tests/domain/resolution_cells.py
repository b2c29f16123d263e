"""Every cell of the decision table that the tests enumerate, as evidence, and the comparison with the oracle.

A cell is a context (decision, coordinator, log) with branches (state, logged vote). Up to three branches every ordered
combination is made, at four every combination without regard to order; then one contradicting branch, and orphans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations_with_replacement, product

from treasury_console.domain.resolution import (
    Action,
    BranchEvidence,
    CoordinatorStatus,
    Damage,
    Evidence,
    LogStatus,
    OrphanSighting,
    Verdicts,
)
from treasury_console.domain.transactions import BranchState, Decision, RecordedDecision, Vote

from .resolution_oracle import Answer, Answers, expected

Judge = Callable[[Evidence], Verdicts]
Cell = tuple[BranchState, Vote | None]
Context = tuple[RecordedDecision | None, CoordinatorStatus, LogStatus]

VOTES: tuple[Vote | None, ...] = (None, Vote.YES, Vote.NO)
CELLS: tuple[Cell, ...] = tuple(product(BranchState, VOTES))
SIGHTINGS: tuple[OrphanSighting, ...] = tuple(
    OrphanSighting(ours, epoch_is_old, seen_twice)
    for ours, epoch_is_old, seen_twice in product((True, False), repeat=3)
)


def recorded(decision: Decision) -> RecordedDecision:
    """Return `decision` as its row says it."""
    return RecordedDecision(decision, "coordinator-1", datetime(2025, 12, 30, tzinfo=UTC), None)


DECISIONS: tuple[RecordedDecision | None, ...] = (None, recorded(Decision.COMMIT), recorded(Decision.ABORT))
CONTEXTS: tuple[Context, ...] = tuple(product(DECISIONS, CoordinatorStatus, LogStatus))


def _branch(position: int, cell: Cell, consistent: bool) -> BranchEvidence:
    return BranchEvidence(f"agent_{position}", f"shard_{position % 2}", cell[0], cell[1], consistent=consistent)


_BRANCH = {
    (position, cell, consistent): _branch(position, cell, consistent)
    for position, cell, consistent in product(range(4), CELLS, (True, False))
}


def branches(cells: Sequence[Cell], contradicting: int | None = None) -> tuple[BranchEvidence, ...]:
    """Return one branch for each of `cells`; the one at `contradicting` is not consistent with its record."""
    return tuple(_BRANCH[position, cell, position != contradicting] for position, cell in enumerate(cells))


def in_every_context(
    combinations: Iterable[tuple[BranchEvidence, ...]], contexts: Sequence[Context] = CONTEXTS
) -> Iterator[Evidence]:
    """Yield evidence of every one of `combinations` in every one of `contexts`."""
    for combination in combinations:
        for decision, coordinator, log in contexts:
            yield Evidence("txn_1", decision, coordinator, log, combination)


def ordered(size: int) -> Iterator[tuple[BranchEvidence, ...]]:
    """Yield every combination of `size` branches."""
    return (branches(cells) for cells in product(CELLS, repeat=size))


def unordered(size: int) -> Iterator[tuple[BranchEvidence, ...]]:
    """Yield every combination of `size` branches, without regard to their order."""
    return (branches(cells) for cells in combinations_with_replacement(CELLS, size))


def contradicting(size: int) -> Iterator[tuple[BranchEvidence, ...]]:
    """Yield every combination of `size` branches of which one contradicts its record."""
    for cells in combinations_with_replacement(CELLS, size):
        for position in range(size):
            yield branches(cells, position)


def orphans() -> Iterator[Evidence]:
    """Yield every sighting of none, one or two branches without a record, in every context."""
    sighted = [(), *ordered(1), *contradicting(1), *unordered(2), *contradicting(2)]
    for combination in sighted:
        for (decision, coordinator, log), sighting in product(CONTEXTS, SIGHTINGS):
            yield Evidence("txn_1", decision, coordinator, log, combination, sighting)


def few() -> Iterator[Evidence]:
    """Yield a smaller table that still has every kind of cell: what a mutant is tried on."""
    yield from in_every_context([(), *ordered(1), *ordered(2), *contradicting(1), *contradicting(2)])
    for combination in (*ordered(1), *contradicting(1)):
        for (decision, coordinator, log), sighting in product(CONTEXTS, SIGHTINGS):
            yield Evidence("txn_1", decision, coordinator, log, combination, sighting)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A cell in which the code and the oracle say different things of `what`."""

    evidence: Evidence
    what: str
    oracle: str
    code: str

    def __str__(self) -> str:
        decided = self.evidence.decision
        found = ", ".join(
            f"{branch.state.value}/{branch.vote.value if branch.vote else 'no vote'}"
            f"{'' if branch.consistent else '/contradicting'}"
            for branch in self.evidence.branches
        )
        return (
            f"{self.what}: the table says {self.oracle}, the code {self.code}, when the decision is "
            f"{decided.decision.value if decided else 'none'}, the coordinator {self.evidence.coordinator.value}, "
            f"the log {self.evidence.log.value}, the branches [{found}], orphan {self.evidence.orphan}"
        )


def disagreements(judge: Judge, cells: Iterable[Evidence]) -> tuple[int, list[Disagreement]]:
    """Return how many cells were compared, and where `judge` and the oracle differ."""
    compared = 0
    found: list[Disagreement] = []
    for evidence in cells:
        compared += 1
        found.extend(compare(judge, evidence))
    return compared, found


def compare(judge: Judge, evidence: Evidence) -> Iterable[Disagreement]:
    """Return where `judge` and the oracle differ in one cell."""
    verdicts, answers = judge(evidence), expected(evidence)
    return () if _agree(answers, verdicts) else _differences(evidence, answers, verdicts)


def report(found: Sequence[Disagreement], shown: int = 10) -> str:
    """Return the first of `found`, one on a line."""
    return "\n".join([f"{len(found)} disagreements", *(str(one) for one in found[:shown])])


def _agree(answers: Answers, verdicts: Verdicts) -> bool:
    commit, rollback, resume = verdicts.force_commit, verdicts.force_rollback, verdicts.resume
    return (
        commit.ruling is answers.force_commit.ruling
        and rollback.ruling is answers.force_rollback.ruling
        and resume.ruling is answers.resume.ruling
        and commit.requires == answers.force_commit.requires
        and rollback.requires == answers.force_rollback.requires
        and resume.requires == answers.resume.requires
        and verdicts.damage is answers.damage
        and all(_explains(verdict.reasons) for verdict in (commit, rollback, resume))
    )


def _explains(reasons: tuple[str, ...]) -> bool:
    return len(reasons) > 0 and all(reason.strip() for reason in reasons)


def _differences(evidence: Evidence, answers: Answers, verdicts: Verdicts) -> Iterator[Disagreement]:
    for action, answer in zip(Action, (answers.force_commit, answers.force_rollback, answers.resume), strict=True):
        verdict = verdicts.of(action)
        code = Answer(verdict.ruling, verdict.requires)
        if code != answer:
            yield Disagreement(evidence, action.value, _shown(answer), _shown(code))
        if not _explains(verdict.reasons):
            yield Disagreement(evidence, action.value, "why", "nothing")
    if verdicts.damage is not answers.damage:
        yield Disagreement(evidence, "damage", _named(answers.damage), _named(verdicts.damage))


def _shown(answer: Answer) -> str:
    return " + ".join([answer.ruling.value, *sorted(requirement.value for requirement in answer.requires)])


def _named(damage: Damage | None) -> str:
    return damage.value if damage else "none"
