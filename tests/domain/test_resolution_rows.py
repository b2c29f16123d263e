"""The decision table row by row: an example of each, the branches it names, and that a cited row holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from treasury_console.domain.resolution import (
    BranchEvidence,
    CoordinatorStatus,
    Damage,
    Evidence,
    LogStatus,
    OrphanSighting,
    Ruling,
    Verdict,
    judge,
)
from treasury_console.domain.transactions import BranchState, Decision, Vote

from .resolution_cells import few, recorded

COMMIT, ABORT = Decision.COMMIT, Decision.ABORT
ALIVE, LAPSED, FENCED = CoordinatorStatus.ALIVE, CoordinatorStatus.LAPSED, CoordinatorStatus.FENCED
INTACT, LOST, UNREADABLE = LogStatus.INTACT, LogStatus.LOST, LogStatus.UNREADABLE
ALLOW, RESUME, REFUSE = Ruling.ALLOW, Ruling.RESUME, Ruling.REFUSE
OLD_AND_OURS = OrphanSighting(ours=True, epoch_is_old=True, seen_twice=True)

_LETTERS: Mapping[str, BranchState] = {
    "P": BranchState.PREPARED,
    "C": BranchState.COMMITTED,
    "X": BranchState.ROLLED_BACK,
    "A": BranchState.ACTIVE,
    "U": BranchState.UNKNOWN,
}
_MARKS: Mapping[str, Vote | None] = {"": None, "+": Vote.YES, "-": Vote.NO}
_NAMES = ("ada", "bob", "cyd")


def seen(branches: str) -> tuple[BranchEvidence, ...]:
    """Return the branches that `branches` lists for ada, bob and cyd: `"P U+ X-"`, a logged vote as + or -, `!` odd."""
    return tuple(
        BranchEvidence(name, "shard", _LETTERS[one[0]], _MARKS[one[1:].rstrip("!")], consistent=not one.endswith("!"))
        for name, one in zip(_NAMES, branches.split(), strict=False)
    )


@dataclass(frozen=True, slots=True)
class Example:
    """An example of a row: what is known, the two forces, whom the reasons name."""

    row: int
    decision: Decision | None
    branches: str
    commit: Ruling
    rollback: Ruling
    named: tuple[str, ...] = ()
    resume: Ruling = REFUSE
    damage: Damage | None = None
    coordinator: CoordinatorStatus = FENCED
    log: LogStatus = INTACT
    orphan: OrphanSighting | None = None

    @property
    def evidence(self) -> Evidence:
        """The example as evidence."""
        decision = recorded(self.decision) if self.decision else None
        return Evidence("txn_1", decision, self.coordinator, self.log, seen(self.branches), self.orphan)

    def __str__(self) -> str:
        return f"row {self.row}: {self.decision or 'none'} {self.branches}"


EXAMPLES = (
    Example(1, None, "P P", REFUSE, REFUSE, coordinator=ALIVE),
    Example(1, COMMIT, "P C", REFUSE, REFUSE, resume=ALLOW, coordinator=ALIVE),
    Example(2, COMMIT, "P P", REFUSE, REFUSE, log=UNREADABLE),
    Example(3, COMMIT, "P C", RESUME, REFUSE, resume=ALLOW),
    Example(4, COMMIT, "P U C", RESUME, REFUSE, ("bob",), resume=ALLOW),
    Example(5, COMMIT, "X X", REFUSE, REFUSE, ("ada", "bob"), damage=Damage.HEURRB),
    Example(5, COMMIT, "C X", REFUSE, REFUSE, ("bob",), damage=Damage.HEURMIX),
    Example(6, COMMIT, "P A", REFUSE, REFUSE, ("bob",), damage=Damage.HEURHAZ),
    Example(7, ABORT, "P A X", REFUSE, RESUME, resume=ALLOW),
    Example(8, ABORT, "U P", REFUSE, RESUME, ("ada",), resume=ALLOW),
    Example(9, ABORT, "C C", REFUSE, REFUSE, ("ada", "bob"), damage=Damage.HEURCOM),
    Example(9, ABORT, "X C", REFUSE, REFUSE, ("bob",), damage=Damage.HEURMIX),
    Example(10, None, "P P", ALLOW, ALLOW, coordinator=LAPSED),
    Example(11, None, "P X", REFUSE, ALLOW, ("bob",)),
    Example(11, None, "A P U", REFUSE, ALLOW, ("ada",)),
    Example(11, None, "P P-", REFUSE, ALLOW, ("bob",)),
    Example(12, None, "C P", ALLOW, REFUSE, ("ada",)),
    Example(12, None, "C P-", REFUSE, REFUSE),
    Example(13, None, "C X", REFUSE, REFUSE, ("ada", "bob"), damage=Damage.HEURMIX),
    Example(14, None, "P U+", ALLOW, ALLOW, ("bob",)),
    Example(15, None, "U P U+", REFUSE, ALLOW, ("ada",)),
    Example(16, None, "U C", REFUSE, REFUSE),
    Example(16, None, "U+ C", ALLOW, REFUSE, ("bob",)),
    Example(17, None, "P U+", REFUSE, REFUSE, ("bob",), log=LOST),
    Example(18, None, "P", REFUSE, ALLOW, orphan=OLD_AND_OURS),
    Example(18, None, "P", REFUSE, REFUSE, orphan=OrphanSighting(ours=False, epoch_is_old=True, seen_twice=True)),
    Example(19, COMMIT, "P C!", REFUSE, REFUSE, ("bob",)),
    Example(19, None, "", REFUSE, REFUSE),
)


def _told(verdict: Verdict) -> str:
    return " ".join(verdict.reasons)


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_of_each_row(example: Example) -> None:
    verdicts = judge(example.evidence)
    assert verdicts.force_commit.ruling is example.commit
    assert verdicts.force_rollback.ruling is example.rollback
    assert verdicts.resume.ruling is example.resume
    assert verdicts.damage is example.damage
    assert {verdicts.force_commit.row, verdicts.force_rollback.row} == {example.row}


@pytest.mark.parametrize("example", [example for example in EXAMPLES if example.named], ids=str)
def test_the_reasons_name_the_branches_they_rest_on_and_no_others(example: Example) -> None:
    verdicts = judge(example.evidence)
    told = f"{_told(verdicts.force_commit)} {_told(verdicts.force_rollback)}"
    assert {name for name in _NAMES if name in told} == set(example.named)


def test_every_row_has_an_example() -> None:
    assert {example.row for example in EXAMPLES} == set(range(1, 20))


def test_a_participant_that_refused_is_named_when_its_vote_speaks_against_a_branch_that_committed() -> None:
    example = Example(12, None, "C P-", REFUSE, REFUSE)
    assert "bob" in _told(judge(example.evidence).force_commit)


@pytest.mark.parametrize("branches", ["C P", "C U+", "C U", "C P-"])
def test_who_committed_is_named_when_a_rollback_is_refused_for_it(branches: str) -> None:
    assert "ada" in _told(judge(Example(12, None, branches, REFUSE, REFUSE).evidence).force_rollback)


@pytest.mark.parametrize("branches", ["C P", "C U+"])
def test_who_committed_is_named_when_the_rest_may_follow(branches: str) -> None:
    assert "ada" in _told(judge(Example(12, None, branches, ALLOW, REFUSE).evidence).force_commit)


def test_a_branch_that_never_voted_beside_a_committed_one_is_a_mix_and_both_are_named() -> None:
    verdicts = judge(Example(13, None, "C A", REFUSE, REFUSE).evidence)
    assert verdicts.damage is Damage.HEURMIX
    for verdict in (verdicts.force_commit, verdicts.force_rollback, verdicts.resume):
        assert verdict.ruling is REFUSE
        assert "ada" in _told(verdict)
        assert "bob" in _told(verdict)


def _letters(evidence: Evidence) -> set[str]:
    return {letter for letter, state in _LETTERS.items() if state in evidence.states}


def _undecided(evidence: Evidence) -> bool:
    return evidence.decision is None


def _is(evidence: Evidence, decision: Decision) -> bool:
    return evidence.decision is not None and evidence.decision.decision is decision


def _votes_no(evidence: Evidence) -> bool:
    return any(branch.vote is Vote.NO for branch in evidence.branches)


def _silent_voted_yes(evidence: Evidence) -> bool:
    return all(branch.vote is Vote.YES for branch in evidence.branches if branch.state is BranchState.UNKNOWN)


# When a row may be cited: its columns D, coordinator and branches. Row 6 is also cited for a branch that never voted
# beside a committed one, which the table calls impossible by protocol.
HOLDS: Mapping[int, Callable[[Evidence, set[str]], bool]] = {
    1: lambda it, found: it.coordinator is ALIVE,
    2: lambda it, found: it.log is UNREADABLE,
    3: lambda it, found: _is(it, COMMIT) and found <= set("PC"),
    4: lambda it, found: _is(it, COMMIT) and "U" in found and found <= set("PCU"),
    5: lambda it, found: _is(it, COMMIT) and "X" in found,
    6: lambda it, found: "A" in found and (_is(it, COMMIT) or (_undecided(it) and "C" in found)),
    7: lambda it, found: _is(it, ABORT) and found <= set("PAX"),
    8: lambda it, found: _is(it, ABORT) and "U" in found and "C" not in found,
    9: lambda it, found: _is(it, ABORT) and "C" in found,
    10: lambda it, found: _undecided(it) and found == {"P"} and not _votes_no(it),
    11: lambda it, found: _undecided(it) and "C" not in found and (bool(found & set("XA")) or _votes_no(it)),
    12: lambda it, found: _undecided(it) and "C" in found and found <= set("CP"),
    13: lambda it, found: _undecided(it) and "C" in found and bool(found & set("XA")),
    14: lambda it, found: _undecided(it) and "U" in found and found <= set("PU") and _silent_voted_yes(it),
    15: lambda it, found: _undecided(it) and "U" in found and found <= set("PU") and not _silent_voted_yes(it),
    16: lambda it, found: _undecided(it) and {"C", "U"} <= found,
    17: lambda it, found: _undecided(it) and "U" in found and it.log is LOST,
    18: lambda it, found: it.orphan is not None,
    19: lambda it, found: not it.branches or not all(branch.consistent for branch in it.branches),
}


def test_a_cited_row_holds_for_what_it_is_cited_for_and_every_row_is_cited() -> None:
    cited: set[int] = set()
    for evidence in few():
        verdicts = judge(evidence)
        found = _letters(evidence)
        for verdict in (verdicts.force_commit, verdicts.force_rollback, verdicts.resume):
            assert HOLDS[verdict.row](evidence, found), (verdict, evidence)
            cited.add(verdict.row)
    assert cited == set(HOLDS) == set(range(1, 20))
