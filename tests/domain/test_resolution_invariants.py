"""What is true of every cell of the decision table, whatever its row: stated without the table and its oracle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations_with_replacement, permutations, product

import pytest

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
    Verdicts,
    judge,
)
from treasury_console.domain.transactions import (
    BranchState,
    Decision,
    TransactionState,
    Vote,
    derive_state,
)

from .resolution_cells import (
    CELLS,
    CONTEXTS,
    branches,
    contradicting,
    few,
    in_every_context,
    ordered,
    recorded,
    unordered,
)

SMALL = [*ordered(1), *ordered(2)]


def allowed(verdicts: Verdicts) -> set[Action]:
    """Return the actions that are open."""
    return {action for action in Action if verdicts.of(action).allowed}


def every_set_of_states() -> Iterator[Evidence]:
    """Yield evidence of up to four branches without regard to order, and of everything a mutant is tried on."""
    yield from in_every_context(unordered(4))
    yield from in_every_context(unordered(3))
    yield from few()


def test_a_commit_is_never_forced_beside_a_rollback_nor_a_rollback_beside_a_commit() -> None:
    looked_at = 0
    for evidence in every_set_of_states():
        verdicts = judge(evidence)
        if BranchState.ROLLED_BACK in evidence.states:
            looked_at += 1
            assert not verdicts.force_commit.allowed, evidence
        if BranchState.COMMITTED in evidence.states:
            looked_at += 1
            assert not verdicts.force_rollback.allowed, evidence
    assert looked_at > 50_000


def test_a_recorded_decision_is_never_reversed_and_only_it_is_ever_resumed() -> None:
    for evidence in few():
        verdicts = judge(evidence)
        decided = evidence.decision.decision if evidence.decision else None
        if decided is Decision.COMMIT:
            assert not verdicts.force_rollback.allowed, evidence
        if decided is Decision.ABORT:
            assert not verdicts.force_commit.allowed, evidence
        if decided is None:
            assert not verdicts.resume.allowed, evidence
        rulings = {verdicts.force_commit.ruling, verdicts.force_rollback.ruling}
        assert Ruling.ALLOW not in rulings if decided else Ruling.RESUME not in rulings, evidence


def test_both_forces_are_open_only_to_a_transaction_whose_every_vote_is_known_to_be_yes() -> None:
    both = [
        evidence
        for evidence in in_every_context([*SMALL, *unordered(3)])
        if {Action.FORCE_COMMIT, Action.FORCE_ROLLBACK} <= allowed(judge(evidence))
    ]
    assert both
    for evidence in both:
        for branch in evidence.branches:
            assert branch.state is BranchState.PREPARED or branch.vote is Vote.YES
            assert branch.vote is not Vote.NO


def test_every_force_needs_approval_and_nothing_refused_or_resumed_needs_anything() -> None:
    for evidence in few():
        verdicts = judge(evidence)
        for force in (verdicts.force_commit, verdicts.force_rollback):
            assert (Requirement.APPROVAL in force.requires) == (force.ruling is Ruling.ALLOW), evidence
            assert not force.requires or force.ruling is Ruling.ALLOW
        assert not verdicts.resume.requires


def test_the_order_of_the_branches_never_matters() -> None:
    contexts = [context for context in CONTEXTS if context[1] is not CoordinatorStatus.FENCED]
    looked_at = 0
    for size in (2, 3):
        for cells in combinations_with_replacement(CELLS, size):
            for decision, coordinator, log in contexts:
                rulings = set()
                for order in set(permutations(branches(cells))):
                    verdicts = judge(Evidence("txn_1", decision, coordinator, log, order))
                    each = (verdicts.of(action) for action in Action)
                    rulings.add((*((one.ruling, one.row, one.requires) for one in each), verdicts.damage))
                    looked_at += 1
                assert len(rulings) == 1, (cells, decision, coordinator, log)
    assert looked_at > 10_000


def test_one_branch_more_never_opens_a_force() -> None:
    for first, second in product(ordered(1), [*ordered(1), *unordered(2)]):
        more = (*first, *(replace(branch, participant=f"other_{branch.participant}") for branch in second))
        for decision, coordinator, log in CONTEXTS:
            of_one = judge(Evidence("txn_1", decision, coordinator, log, first))
            of_more = judge(Evidence("txn_1", decision, coordinator, log, more))
            assert allowed(of_more) <= allowed(of_one), (first, more, decision, coordinator, log)


def test_knowing_less_of_the_log_never_opens_an_action_nor_asks_less() -> None:
    for evidence in few():
        if evidence.log is not LogStatus.INTACT:
            continue
        intact = judge(evidence)
        lost = judge(replace(evidence, log=LogStatus.LOST))
        assert allowed(lost) <= allowed(intact), evidence
        assert allowed(judge(replace(evidence, log=LogStatus.UNREADABLE))) == set()
        for action in allowed(lost):
            assert lost.of(action).requires >= intact.of(action).requires


def test_a_branch_that_falls_silent_without_a_logged_vote_never_opens_a_force_commit() -> None:
    for evidence in in_every_context(SMALL):
        if judge(evidence).force_commit.allowed:
            continue
        for position, branch in enumerate(evidence.branches):
            if evidence.decision is None and branch.vote is None:
                silent = list(evidence.branches)
                silent[position] = replace(branch, state=BranchState.UNKNOWN)
                assert not judge(replace(evidence, branches=tuple(silent))).force_commit.allowed, evidence


def test_a_fenced_coordinator_and_a_lapsed_one_are_the_same_and_a_living_one_opens_no_force() -> None:
    for evidence in few():
        if evidence.coordinator is not CoordinatorStatus.FENCED:
            continue
        fenced = judge(evidence)
        assert judge(replace(evidence, coordinator=CoordinatorStatus.LAPSED)) == fenced
        alive = judge(replace(evidence, coordinator=CoordinatorStatus.ALIVE))
        assert allowed(alive) <= allowed(fenced)
        assert alive.resume.allowed == fenced.resume.allowed
        if evidence.orphan is None:
            assert allowed(alive) <= {Action.RESUME}


def test_damage_is_told_exactly_of_a_heuristic_transaction_and_opens_nothing() -> None:
    looked_at = 0
    for evidence in in_every_context([*SMALL, *unordered(3)]):
        if evidence.log is LogStatus.UNREADABLE:
            continue
        verdicts = judge(evidence)
        state = derive_state(evidence.decision.decision if evidence.decision else None, evidence.states)
        assert (verdicts.damage is not None) == (state is TransactionState.HEURISTIC), evidence
        if verdicts.damage is not None:
            looked_at += 1
            assert allowed(verdicts) == set(), evidence
    assert looked_at > 1_000


def test_names_from_outside_are_harmless_in_the_reasons() -> None:
    for evidence in in_every_context([*ordered(1), *ordered(2), *contradicting(1)]):
        hostile = tuple(
            replace(branch, participant=f"\x1b]52;c;{n}\u202e") for n, branch in enumerate(evidence.branches)
        )
        verdicts = judge(replace(evidence, branches=hostile))
        for action in Action:
            told = " ".join(verdicts.of(action).reasons)
            assert told.isprintable(), told


def test_the_fingerprint_is_another_for_every_other_state_of_the_facts() -> None:
    logs_and_decisions = [context for context in CONTEXTS if context[1] is CoordinatorStatus.FENCED]
    digests: set[str] = set()
    count = 0
    for size in (1, 2, 3):
        for evidence in in_every_context(ordered(size), logs_and_decisions):
            digests.add(evidence.fingerprint())
            count += 1
    for evidence in in_every_context([(), *contradicting(1), *contradicting(2)], logs_and_decisions):
        digests.add(evidence.fingerprint())
        count += 1
    assert len(digests) == count > 30_000


BASE = Evidence(
    "txn_1",
    None,
    CoordinatorStatus.LAPSED,
    LogStatus.INTACT,
    (
        BranchEvidence("ada", "north", BranchState.PREPARED, Vote.YES),
        BranchEvidence("bob", "south", BranchState.UNKNOWN, Vote.YES),
        BranchEvidence("cyd", "south", BranchState.PREPARED, None),
    ),
)


def _with_first(**changes: object) -> Evidence:
    return replace(BASE, branches=(replace(BASE.branches[0], **changes), *BASE.branches[1:]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        replace(BASE, txn_id="txn_2"),
        replace(BASE, decision=recorded(Decision.COMMIT)),
        replace(BASE, decision=recorded(Decision.ABORT)),
        replace(BASE, log=LogStatus.LOST),
        replace(BASE, log=LogStatus.UNREADABLE),
        replace(BASE, branches=BASE.branches[:2]),
        replace(BASE, branches=(*BASE.branches, BranchEvidence("dan", "north", BranchState.PREPARED))),
        _with_first(participant="dan"),
        _with_first(shard="south"),
        _with_first(state=BranchState.ROLLED_BACK),
        _with_first(vote=None),
        _with_first(vote=Vote.NO),
        _with_first(consistent=False),
    ],
    ids=lambda changed: changed.fingerprint(),
)
def test_the_fingerprint_changes_with_any_one_fact(changed: Evidence) -> None:
    assert changed.fingerprint() != BASE.fingerprint()


def test_the_fingerprint_does_not_change_with_the_order_of_the_branches() -> None:
    digests = {replace(BASE, branches=order).fingerprint() for order in permutations(BASE.branches)}
    assert digests == {BASE.fingerprint()}


def test_the_fingerprint_outlives_the_fence_which_comes_between_the_approval_and_the_act() -> None:
    assert replace(BASE, coordinator=CoordinatorStatus.FENCED).fingerprint() == BASE.fingerprint()


@pytest.mark.parametrize(
    ("decision", "states", "summary"),
    [
        (Decision.COMMIT, "PREPARED COMMITTED", "resume"),
        (Decision.ABORT, "PREPARED UNKNOWN", "resume"),
        (None, "PREPARED PREPARED", "commit or rollback"),
        (None, "PREPARED COMMITTED", "commit only"),
        (None, "PREPARED ROLLED_BACK", "rollback only"),
        (None, "COMMITTED ROLLED_BACK", f"damaged {Damage.HEURMIX}"),
        (Decision.COMMIT, "ROLLED_BACK ROLLED_BACK", f"damaged {Damage.HEURRB}"),
        (None, "COMMITTED UNKNOWN", "wait"),
    ],
)
def test_the_summary_says_what_is_open(decision: Decision | None, states: str, summary: str) -> None:
    found = tuple(BranchEvidence(f"agent_{n}", "shard", BranchState[name]) for n, name in enumerate(states.split()))
    evidence = replace(BASE, decision=recorded(decision) if decision else None, branches=found)
    assert judge(evidence).summary == summary


def test_a_force_has_the_decision_it_records_and_resume_has_none() -> None:
    assert {action: action.decision for action in Action} == {
        Action.FORCE_COMMIT: Decision.COMMIT,
        Action.FORCE_ROLLBACK: Decision.ABORT,
        Action.RESUME: None,
    }


def test_an_orphan_of_which_anything_is_in_doubt_is_left_alone() -> None:
    for doubts in product((True, False), repeat=3):
        evidence = replace(BASE, branches=BASE.branches[:1], orphan=OrphanSighting(*doubts))
        assert allowed(judge(evidence)) == ({Action.FORCE_ROLLBACK} if all(doubts) else set())
