"""A force can be killed anywhere and run again, by anyone, and two operators get one decision."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.operations.forcing import APPROVED, COMMIT, ROLLBACK, assert_resolved, both
from tests.treasuries import (
    ALICE,
    BOB,
    FORCE_STEPS,
    OPENING_BALANCE,
    TRANSFER_STEPS,
    Crash,
    Recorder,
    ScratchTreasury,
    before_snapshot,
    once_at,
    stuck,
)
from treasury_console.domain.errors import Fenced, TreasuryError
from treasury_console.domain.resolution import Action
from treasury_console.domain.transactions import TransactionState
from treasury_console.operations.force import Approval, DecidedOtherwise, ForceRefused, Resolution, force, resume
from treasury_console.operations.payments import transfer
from treasury_console.twophase.steps import Step

ALL_PREPARED = (Step.PREPARED, BOB)
DECISION = FORCE_STEPS.index((Step.DECIDED, ""))

every_force_step = pytest.mark.parametrize("step", FORCE_STEPS, ids=lambda step: "-".join(step).strip("-"))


def other_than(action: Action) -> Action:
    return ROLLBACK if action is COMMIT else COMMIT


def interrupted(scratch: ScratchTreasury, step: tuple[Step, str], action: Action) -> str:
    """Leave a transaction behind whose force died at `step`."""
    txn_id = stuck(scratch, ALL_PREPARED)
    with pytest.raises(Crash):
        force(scratch.open(actor="first@test", on_step=Recorder(dies_at=step)), txn_id, action, Approval("INC-1"))
    return txn_id


@every_force_step
@both
def test_a_force_that_died_is_finished_by_running_it_again(
    scratch: ScratchTreasury, step: tuple[Step, str], action: Action
) -> None:
    txn_id = interrupted(scratch, step, action)
    again = force(scratch.open(actor="second@test"), txn_id, action, Approval("INC-2"))
    decided = FORCE_STEPS.index(step) >= DECISION
    assert (again.finished, again.verified, again.already_decided) == (True, True, decided)
    assert again.decision.decided_by == ("first@test" if decided else "second@test")
    assert_resolved(scratch, 1000 if action is COMMIT else 0)


@every_force_step
@both
def test_a_force_that_died_can_be_turned_around_only_before_its_decision(
    scratch: ScratchTreasury, step: tuple[Step, str], action: Action
) -> None:
    txn_id = interrupted(scratch, step, action)
    treasury = scratch.open(actor="second@test")
    if FORCE_STEPS.index(step) < DECISION:
        assert force(treasury, txn_id, other_than(action), Approval("INC-2")).verified
        assert_resolved(scratch, 0 if action is COMMIT else 1000)
    else:
        with pytest.raises(DecidedOtherwise, match="by first@test"):
            force(treasury, txn_id, other_than(action), Approval("INC-2"))
        assert resume(treasury, txn_id).verified
        assert_resolved(scratch, 1000 if action is COMMIT else 0)


@pytest.mark.parametrize("step", FORCE_STEPS[:DECISION], ids=lambda step: "-".join(step).strip("-"))
def test_before_the_decision_nothing_has_changed_but_the_fence(
    scratch: ScratchTreasury, step: tuple[Step, str]
) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    left_out = ("audit_events", "audit_head", "transactions")
    before = scratch.contents(without=left_out)
    with pytest.raises(Crash):
        force(scratch.open(on_step=Recorder(dies_at=step)), txn_id, COMMIT, APPROVED)
    assert scratch.contents(without=left_out) == before


@every_force_step
def test_the_intent_is_on_record_whatever_happens_next(scratch: ScratchTreasury, step: tuple[Step, str]) -> None:
    interrupted(scratch, step, COMMIT)
    assert scratch.audit_trail("force-commit")[0] == ("intent", "first@test", "INC-1")


@every_force_step
@pytest.mark.parametrize("same", [True, False], ids=["same way", "other way"])
@both
def test_of_two_operators_one_decides_and_the_other_is_told_whose_decision_it_is(
    scratch: ScratchTreasury, step: tuple[Step, str], action: Action, *, same: bool
) -> None:
    """The second operator's whole force happens while the first one's stands at `step`."""
    txn_id = stuck(scratch, ALL_PREPARED)
    second_action = action if same else other_than(action)
    results: dict[str, Resolution | TreasuryError] = {}

    def run(name: str, wanted: Action, at: tuple[Step, str] | None = None) -> None:
        hook = once_at(at, lambda: run("second@test", second_action)) if at else Recorder()
        try:
            results[name] = force(scratch.open(actor=name, on_step=hook), txn_id, wanted, Approval("INC-1"))
        except TreasuryError as refusal:
            results[name] = refusal

    run("first@test", action, step)
    winner, loser = (
        ("second@test", "first@test") if FORCE_STEPS.index(step) < DECISION else ("first@test", "second@test")
    )
    won, lost = results[winner], results[loser]
    assert isinstance(won, Resolution)
    assert (won.already_decided, won.finished, won.verified) == (False, True, True)
    if same:
        assert isinstance(lost, Resolution)
        assert (lost.already_decided, lost.finished, lost.verified) == (True, True, True)
        assert lost.decision == won.decision
    else:
        assert isinstance(lost, DecidedOtherwise)
        assert lost.decision == won.decision
        assert f"by {winner} at 2025-12-30T12:12:00" in str(lost)
    assert_resolved(scratch, 1000 if won.action is COMMIT else 0)


@both
@pytest.mark.parametrize("same", [True, False], ids=["same way", "other way"])
def test_a_decision_that_comes_after_the_last_look_wins_over_this_one(
    scratch: ScratchTreasury, action: Action, *, same: bool
) -> None:
    """The other operator decides between this one's last reading of the evidence and its own decision."""
    txn_id = stuck(scratch, ALL_PREPARED)
    first = scratch.open(actor="first@test")
    fenced: list[Step] = []
    first.on_step = lambda step, _participant: fenced.append(step) if step is Step.FENCED else None
    readings: list[datetime] = []

    def clock() -> datetime:
        if fenced:
            readings.append(scratch.clock())
            if len(readings) == 2:
                force(
                    scratch.open(actor="second@test"), txn_id, action if same else other_than(action), Approval("INC-2")
                )
        return scratch.clock()

    first.clock = clock
    if same:
        resolution = force(first, txn_id, action, Approval("INC-1"))
        assert (resolution.already_decided, resolution.decision.decided_by) == (True, "second@test")
        assert_resolved(scratch, 1000 if action is COMMIT else 0)
    else:
        with pytest.raises(DecidedOtherwise, match="by second@test"):
            force(first, txn_id, action, Approval("INC-1"))
        assert_resolved(scratch, 0 if action is COMMIT else 1000)


@both
@pytest.mark.parametrize("same", [True, False], ids=["same way", "other way"])
@pytest.mark.parametrize("moment", ["shard-1", "shard-2"])
@pytest.mark.parametrize("look", ["first look", "look after the fence"])
def test_a_decision_that_comes_while_the_evidence_is_read_is_told_and_not_taken_for_a_lost_log(
    scratch: ScratchTreasury, action: Action, look: str, moment: str, *, same: bool
) -> None:
    """The other operator's whole force happens after this one read the record and before it reads a shard."""
    txn_id = stuck(scratch, ALL_PREPARED)
    first = scratch.open(actor="first@test")
    second_action = action if same else other_than(action)

    def overtake() -> None:
        force(scratch.open(actor="second@test"), txn_id, second_action, Approval("INC-2"))

    def arm() -> None:
        before_snapshot(first.shards[moment].database, overtake)

    if look == "first look":
        arm()
    else:
        first.on_step = once_at((Step.FENCED, ""), arm)
    if same:
        resolution = force(first, txn_id, action, Approval("INC-1"))
        assert (resolution.already_decided, resolution.decision.decided_by) == (True, "second@test")
    else:
        with pytest.raises(DecidedOtherwise, match="by second@test"):
            force(first, txn_id, action, Approval("INC-1"))
    assert_resolved(scratch, 1000 if second_action is COMMIT else 0)


def test_threads_of_operators_that_disagree_get_one_decision_each_time(scratch: ScratchTreasury) -> None:
    handles = [scratch.open(actor=f"operator-{number}@test") for number in range(4)]
    moved = 0
    for _ in range(4):
        txn_id = stuck(scratch, ALL_PREPARED)
        start = threading.Barrier(4)
        resolved: list[Resolution] = []
        refused: list[TreasuryError] = []

        def run(number: int, txn_id: str = txn_id) -> None:
            start.wait()  # noqa: B023
            try:
                resolved.append(force(handles[number], txn_id, [COMMIT, ROLLBACK][number % 2], APPROVED))  # noqa: B023
            except (DecidedOtherwise, ForceRefused) as refusal:
                refused.append(refusal)  # noqa: B023

        threads = [threading.Thread(target=run, args=[number]) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(resolved), len(refused)) == (2, 2)
        assert sorted(resolution.already_decided for resolution in resolved) == [False, True]
        assert len({resolution.decision for resolution in resolved}) == 1
        assert all(isinstance(refusal, DecidedOtherwise) for refusal in refused)
        moved += 1000 if resolved[0].action is COMMIT else 0
        assert_resolved(scratch, moved)


@pytest.mark.parametrize("step", TRANSFER_STEPS[:-1], ids=lambda step: "-".join(step).strip("-"))
@both
def test_an_operator_who_forces_while_the_coordinator_works_gets_one_outcome_with_it(
    scratch: ScratchTreasury, step: tuple[Step, str], action: Action
) -> None:
    """The force happens, with permission to fence, while the coordinator stands at `step`, which then goes on."""
    forced: list[Resolution | TreasuryError] = []

    def force_it() -> None:
        [record] = scratch.pending()
        approval = Approval("INC-1", fence_approval="INC-2")
        try:
            forced.append(force(scratch.open(), record.transaction.txn_id, action, approval))
        except TreasuryError as refusal:
            forced.append(refusal)

    at = TRANSFER_STEPS.index(step)
    decided, prepared = at >= TRANSFER_STEPS.index((Step.DECIDED, "")), at >= TRANSFER_STEPS.index(ALL_PREPARED)
    platform = scratch.open(actor="platform@test", on_step=once_at(step, force_it))
    taken = not decided and (action is ROLLBACK or prepared)
    if taken:
        with pytest.raises(Fenced):
            transfer(platform, ALICE, BOB, "10.00", "USD")
    else:
        assert transfer(platform, ALICE, BOB, "10.00", "USD").state is TransactionState.COMMITTED
    [result] = forced
    if action is ROLLBACK and decided:
        assert isinstance(result, DecidedOtherwise)
    elif action is COMMIT and not prepared:
        assert isinstance(result, ForceRefused)
    else:
        assert isinstance(result, Resolution)
        assert result.finished
    assert_resolved(scratch, 0 if taken and action is ROLLBACK else 1000)


def test_a_prepare_that_comes_after_the_rollback_was_finished_is_refused(scratch: ScratchTreasury) -> None:
    """The coordinator slept through its own abort; its prepare arrives when everybody has forgotten the transaction."""

    def force_it() -> None:
        scratch.clock.advance(timedelta(hours=3))
        [record] = scratch.pending()
        assert force(scratch.open(), record.transaction.txn_id, ROLLBACK, APPROVED).finished

    platform = scratch.open(on_step=once_at((Step.CREATED, ""), force_it))
    with pytest.raises(Fenced):
        transfer(platform, ALICE, BOB, "10.00", "USD")
    assert scratch.account(ALICE) == (OPENING_BALANCE, 0, 1)
    assert_resolved(scratch, 0)


def test_a_lease_that_ran_out_while_the_coordinator_slept_does_not_let_it_decide(scratch: ScratchTreasury) -> None:
    results: list[Resolution] = []

    def force_it() -> None:
        scratch.clock.advance(timedelta(minutes=10))
        [record] = scratch.pending()
        results.append(force(scratch.open(), record.transaction.txn_id, ROLLBACK, APPROVED))

    platform = scratch.open(on_step=once_at((Step.BEFORE_DECISION, ""), force_it))
    with pytest.raises(Fenced):
        transfer(platform, ALICE, BOB, "10.00", "USD")
    assert results[0].state is TransactionState.ABORTED
    assert_resolved(scratch, 0)


def test_a_resume_that_died_is_finished_by_running_it_again(scratch: ScratchTreasury) -> None:
    steps: list[tuple[Step, str]] = [step for step in FORCE_STEPS if step[0] not in (Step.FENCED, Step.DECIDED)]
    for count, step in enumerate(steps, 1):
        txn_id = stuck(scratch, (Step.APPLIED, ALICE))
        with pytest.raises(Crash):
            resume(scratch.open(on_step=Recorder(dies_at=step)), txn_id)
        assert resume(scratch.open(), txn_id).verified
        assert_resolved(scratch, 1000 * count)


def test_two_resumes_at_once_move_the_money_once(scratch: ScratchTreasury) -> None:
    for count, step in enumerate([(Step.BEFORE_APPLY, ALICE), (Step.APPLIED, ALICE), (Step.BEFORE_CONFIRM, "")], 1):
        txn_id = stuck(scratch, (Step.DECIDED, ""))
        inner: Callable[[], object] = lambda txn_id=txn_id: resume(scratch.open(), txn_id)  # type: ignore[misc]  # noqa: E731
        assert resume(scratch.open(on_step=once_at(step, inner)), txn_id).verified
        assert_resolved(scratch, 1000 * count)
