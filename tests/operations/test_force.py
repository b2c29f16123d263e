"""Forced resolution does what the decision table allows, proves it, and writes down everything, refusals included."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.operations.forcing import (
    ALL_PREPARED,
    APPROVED,
    COMMIT,
    DECIDED,
    HALF_APPLIED,
    ROLLBACK,
    VOTED,
    assert_resolved,
    both,
    every_step,
    unaudited,
)
from tests.treasuries import (
    ALICE,
    BOB,
    CAROL,
    FORCE_STEPS,
    NOON,
    OPENING_BALANCE,
    OPERATOR,
    TRANSFER_STEPS,
    Recorder,
    ScratchTreasury,
    stuck,
)
from treasury_console.domain.errors import TreasuryError
from treasury_console.domain.resolution import Action
from treasury_console.domain.transactions import BranchState, TransactionState, Vote
from treasury_console.operations.force import (
    Approval,
    DecidedOtherwise,
    ForceRefused,
    Resolution,
    force,
    predict_force,
    resumable,
    resume,
)
from treasury_console.operations.payments import deposit
from treasury_console.operations.transactions import inspect_transaction
from treasury_console.operations.treasury import Treasury
from treasury_console.twophase.steps import Step


@both
def test_a_transaction_whose_participants_are_all_prepared_can_be_forced_either_way(
    scratch: ScratchTreasury, treasury: Treasury, action: Action
) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    resolution = force(treasury, txn_id, action, APPROVED)
    committed = action is COMMIT
    assert resolution.state is (TransactionState.COMMITTED if committed else TransactionState.ABORTED)
    assert (resolution.finished, resolution.verified, resolution.already_decided) == (True, True, False)
    assert resolution.decision.decision is action.decision
    assert (resolution.decision.decided_by, resolution.decision.decided_at, resolution.decision.approval) == (
        OPERATOR,
        scratch.clock(),
        "INC-12345",
    )
    ended = BranchState.COMMITTED if committed else BranchState.ROLLED_BACK
    assert [(branch.participant, branch.state) for branch in resolution.branches] == [(ALICE, ended), (BOB, ended)]
    assert_resolved(scratch, 1000 if committed else 0)


@both
def test_a_force_takes_exactly_the_steps_it_says(scratch: ScratchTreasury, action: Action) -> None:
    steps = Recorder()
    txn_id = stuck(scratch, ALL_PREPARED)
    force(scratch.open(on_step=steps), txn_id, action, APPROVED)
    assert tuple(steps.seen) == FORCE_STEPS


@both
def test_every_event_of_a_force_is_audited_with_its_operator_and_incident(
    scratch: ScratchTreasury, treasury: Treasury, action: Action
) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    force(treasury, txn_id, action, APPROVED)
    by = (OPERATOR, "INC-12345")
    assert scratch.audit_trail(action.value) == [
        ("intent", *by),
        ("step", *by),
        ("step", *by),
        ("step", *by),
        ("outcome", *by),
    ]
    history = inspect_transaction(treasury, txn_id).history
    steps = [event.record.details.get("step") for event in history if event.record.phase.value == "step"]
    assert steps == ["fenced", "decided", "applied"]
    assert history[-1].record.details == {
        "state": "COMMITTED" if action is COMMIT else "ABORTED",
        "verified": True,
        "already_decided": False,
    }


def test_the_decision_and_its_audit_event_are_one_write(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    scratch.execute(
        "treasury",
        "CREATE TRIGGER full BEFORE INSERT ON audit_events WHEN new.details LIKE '%decided%'"
        " BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    )
    with pytest.raises(Exception, match="disk full"):
        force(treasury, txn_id, COMMIT, APPROVED)
    assert scratch.query("treasury", "SELECT * FROM decisions WHERE txn_id = ?", txn_id) == []


@every_step
@both
def test_wherever_the_coordinator_died_a_force_does_what_the_table_says(
    scratch: ScratchTreasury, treasury: Treasury, step: tuple[Step, str], action: Action
) -> None:
    txn_id = stuck(scratch, step)
    at = TRANSFER_STEPS.index(step)
    decided, prepared = at >= TRANSFER_STEPS.index(DECIDED), at >= TRANSFER_STEPS.index(ALL_PREPARED)
    if action is COMMIT and not prepared:
        before = unaudited(scratch)
        with pytest.raises(ForceRefused, match=r"(is|are) not prepared, so the transaction must not commit") as refused:
            force(treasury, txn_id, action, APPROVED)
        assert refused.value.verdict.row == 11
        assert unaudited(scratch) == before
    elif action is ROLLBACK and decided:
        before = unaudited(scratch)
        with pytest.raises(DecidedOtherwise, match=f"{txn_id} was decided commit by platform@test"):
            force(treasury, txn_id, action, APPROVED)
        assert unaudited(scratch) == before
    else:
        resolution = force(treasury, txn_id, action, APPROVED)
        assert (resolution.finished, resolution.verified) == (True, True)
        assert resolution.already_decided == decided
        assert_resolved(scratch, 1000 if action is COMMIT else 0)


@every_step
@both
def test_a_dry_run_writes_nothing_and_says_exactly_what_the_force_then_does(
    scratch: ScratchTreasury, treasury: Treasury, step: tuple[Step, str], action: Action
) -> None:
    txn_id = stuck(scratch, step)
    before = scratch.contents()
    try:
        predicted: Resolution | None = predict_force(treasury, txn_id, action, APPROVED)
    except TreasuryError as refusal:
        predicted, message, kind = None, str(refusal), type(refusal)
    assert scratch.contents() == before
    if predicted is None:
        with pytest.raises(kind) as refused:
            force(treasury, txn_id, action, APPROVED)
        assert str(refused.value) == message
        return
    assert predicted.dry_run
    now = {
        effect.participant: (effect.before.balance, effect.before.held, effect.before.version)
        for effect in predicted.effects
        if effect.before
    }
    assert now == {agent_id: scratch.account(agent_id) for agent_id in (ALICE, BOB)}
    done = force(treasury, txn_id, action, APPROVED)
    then = {
        effect.participant: (effect.after.balance, effect.after.held, effect.after.version)
        for effect in predicted.effects
        if effect.after
    }
    assert then == {agent_id: scratch.account(agent_id) for agent_id in (ALICE, BOB)}
    assert predicted.effects == done.effects
    assert (predicted.decision, predicted.already_decided) == (done.decision, done.already_decided)


@both
def test_a_dry_run_says_the_state_that_would_result(
    scratch: ScratchTreasury, treasury: Treasury, action: Action
) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    predicted = predict_force(treasury, txn_id, action, APPROVED)
    assert predicted.state is force(treasury, txn_id, action, APPROVED).state


def test_a_dry_run_without_an_incident_predicts_the_same(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    without, with_one = predict_force(treasury, txn_id, COMMIT), predict_force(treasury, txn_id, COMMIT, APPROVED)
    assert without.effects == with_one.effects
    assert without.decision.approval is None


def test_a_dry_run_may_be_done_read_only(scratch: ScratchTreasury) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    assert predict_force(scratch.open(read_only=True), txn_id, COMMIT, APPROVED).dry_run


def test_the_fence_comes_before_the_decision_and_stops_the_coordinator(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    force(treasury, txn_id, COMMIT, APPROVED)
    record = treasury.transaction_record(txn_id)
    assert record.transaction.epoch == 2
    assert record.fence is not None


@both
def test_forcing_again_the_same_way_changes_nothing_and_tells_whose_decision_it_was(
    scratch: ScratchTreasury, action: Action
) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    first = force(scratch.open(actor="first@test"), txn_id, action, Approval("INC-1"))
    scratch.clock.advance(timedelta(hours=1))
    before = unaudited(scratch)
    second = force(scratch.open(actor="second@test"), txn_id, action, Approval("INC-2"))
    assert unaudited(scratch) == before
    assert (second.already_decided, second.decision) == (True, first.decision)
    assert (second.state, second.branches, second.verified) == (first.state, first.branches, True)


@both
def test_forcing_again_the_other_way_is_refused_naming_who_and_when(scratch: ScratchTreasury, action: Action) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    first = force(scratch.open(actor="first@test"), txn_id, action, Approval("INC-1"))
    before = unaudited(scratch)
    other = ROLLBACK if action is COMMIT else COMMIT
    with pytest.raises(DecidedOtherwise) as refused:
        force(scratch.open(actor="second@test"), txn_id, other, Approval("INC-2"))
    assert unaudited(scratch) == before
    assert refused.value.decision == first.decision
    direction = "commit" if action is COMMIT else "abort"
    assert f"{txn_id} was decided {direction} by first@test at 2025-12-30T12:12:00.000000Z" in str(refused.value)
    assert scratch.audit_trail(other.value)[-1] == ("refused", "second@test", "INC-2")


def test_the_audit_of_a_second_operator_names_the_incident_that_operator_brought(scratch: ScratchTreasury) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    force(scratch.open(actor="first@test"), txn_id, COMMIT, Approval("INC-1"))
    force(scratch.open(actor="second@test"), txn_id, COMMIT, Approval("INC-2"))
    by_second = [approval for _, actor, approval in scratch.audit_trail(COMMIT.value) if actor == "second@test"]
    assert set(by_second) == {"INC-2"}


def test_a_commit_that_the_coordinator_recorded_is_finished_by_a_force_in_its_name(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    txn_id = stuck(scratch, HALF_APPLIED)
    resolution = force(treasury, txn_id, COMMIT, APPROVED)
    assert (resolution.already_decided, resolution.decision.decided_by) == (True, "platform@test")
    assert treasury.transaction_record(txn_id).fence is None
    assert_resolved(scratch, 1000)


@both
def test_a_logged_yes_permits_deciding_while_a_shard_is_away_and_resume_finishes_it(
    scratch: ScratchTreasury, treasury: Treasury, action: Action
) -> None:
    txn_id = stuck(scratch, VOTED)
    with scratch.without("shard-2"):
        resolution = force(treasury, txn_id, action, APPROVED)
        assert resolution.state is (TransactionState.COMMITTING if action is COMMIT else TransactionState.ABORTING)
        assert (resolution.finished, resolution.verified) == (False, None)
        assert [branch.state for branch in resolution.branches][1] is BranchState.UNKNOWN
        assert treasury.transaction_record(txn_id).finished_at is None
        again = resume(treasury, txn_id)
        assert (again.finished, again.verified) == (False, None)
    assert resumable(treasury) == [txn_id]
    finished = resume(treasury, txn_id)
    assert (finished.finished, finished.verified, finished.decision) == (True, True, resolution.decision)
    assert resumable(treasury) == []
    assert_resolved(scratch, 1000 if action is COMMIT else 0)


def test_a_branch_that_had_not_prepared_when_it_was_rolled_back_from_afar_can_never_prepare(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    txn_id = stuck(scratch, (Step.BEFORE_PREPARE, BOB))
    with scratch.without("shard-2"):
        force(treasury, txn_id, ROLLBACK, APPROVED)
    resume(treasury, txn_id)
    record = treasury.transaction_record(txn_id)
    vote = treasury.shards["shard-2"].manager.prepare(record.transaction, record.transaction.branches[1])
    assert vote.vote is Vote.NO
    assert_resolved(scratch, 0)


@pytest.mark.parametrize("agent_id", [ALICE, BOB])
def test_money_that_was_wrong_before_is_not_called_verified(
    scratch: ScratchTreasury, treasury: Treasury, agent_id: str
) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    shard = "shard-1" if agent_id == ALICE else "shard-2"
    scratch.execute(shard, f"UPDATE accounts SET balance = balance + 7 WHERE agent_id = '{agent_id}'")
    resolution = force(treasury, txn_id, COMMIT, APPROVED)
    assert (resolution.state, resolution.verified) == (TransactionState.COMMITTED, False)
    assert resolution.verification is not None
    [wrong] = [account for account in resolution.verification.accounts if not account.ok]
    assert wrong.sums.agent_id == agent_id
    outcome = inspect_transaction(treasury, txn_id).history[-1].record
    assert (outcome.phase.value, outcome.details["verified"]) == ("outcome", False)


def test_an_account_that_holds_too_little_does_not_keep_the_other_branch_from_ending(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    """The decision is recorded, so every branch that can be applied is, and the outcome says which could not."""
    txn_id = stuck(scratch, ALL_PREPARED)
    scratch.execute("shard-1", f"UPDATE accounts SET held = 0 WHERE agent_id = '{ALICE}'")
    resolution = force(treasury, txn_id, COMMIT, APPROVED)
    assert not resolution.finished
    assert resolution.branches[0].state is BranchState.PREPARED
    assert "holds less USD than its prepared branch" in resolution.branches[0].detail
    assert resolution.branches[1].state is BranchState.COMMITTED
    assert scratch.audit_trail(COMMIT.value)[-1][0] == "outcome"


def test_only_participants_are_verified(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    scratch.execute("shard-1", f"UPDATE accounts SET balance = balance + 7 WHERE agent_id = '{CAROL}'")
    assert force(treasury, txn_id, COMMIT, APPROVED).verified is True


def test_what_happened_to_the_account_meanwhile_is_kept(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    deposit(treasury, ALICE, "3.00", "USD")
    assert force(treasury, txn_id, COMMIT, APPROVED).verified
    assert scratch.account(ALICE) == (OPENING_BALANCE + 300 - 1000, 0, 3)


def test_progress_is_told_in_order(scratch: ScratchTreasury, treasury: Treasury) -> None:
    told: list[str] = []
    force(treasury, stuck(scratch, ALL_PREPARED), COMMIT, APPROVED, on_progress=told.append)
    assert told == ["Reading the evidence", "Fencing the coordinator", "Applying commit", "Verifying balances"]


def test_a_force_of_one_transaction_leaves_every_other_alone(scratch: ScratchTreasury, treasury: Treasury) -> None:
    first = scratch.crash_a_transfer(ALL_PREPARED)
    second = stuck(scratch, ALL_PREPARED)
    other = inspect_transaction(treasury, second)
    force(treasury, first, COMMIT, APPROVED)
    assert inspect_transaction(treasury, second).evidence == other.evidence
    assert scratch.account(ALICE) == (OPENING_BALANCE - 1000, 1000, 2)


def test_times_of_a_force_are_the_clocks(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    force(treasury, txn_id, COMMIT, APPROVED)
    history = inspect_transaction(treasury, txn_id).history
    assert {event.record.at for event in history} == {NOON, NOON + timedelta(minutes=12)}
