"""A force that would break atomicity, or that nobody approved, is refused: audited, and nothing else is changed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.operations.forcing import (
    ALL_PREPARED,
    APPROVED,
    COMMIT,
    HALF_APPLIED,
    ONE_PREPARED,
    ROLLBACK,
    VOTED,
    assert_resolved,
    both,
    lose_the_decision,
    unaudited,
)
from tests.treasuries import (
    ALICE,
    BOB,
    OPERATOR,
    ScratchTreasury,
    stuck,
)
from treasury_console.domain.approvals import IncidentPattern
from treasury_console.domain.errors import ExitStatus, InvalidRequest, Refused, UnknownId, Unreachable
from treasury_console.domain.resolution import Action
from treasury_console.domain.transactions import TransactionState
from treasury_console.operations.force import (
    Approval,
    ForceRefused,
    force,
    predict_force,
    resume,
)
from treasury_console.operations.transactions import inspect_transaction
from treasury_console.operations.treasury import Treasury
from treasury_console.twophase.steps import Step


def test_what_is_refused_is_audited_as_intent_and_refusal_with_the_reason(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    txn_id = stuck(scratch, ONE_PREPARED)
    with pytest.raises(ForceRefused) as refused:
        force(treasury, txn_id, COMMIT, APPROVED)
    assert scratch.audit_trail(COMMIT.value) == [("intent", OPERATOR, "INC-12345"), ("refused", OPERATOR, "INC-12345")]
    [event] = [
        event for event in inspect_transaction(treasury, txn_id).history if event.record.phase.value == "refused"
    ]
    assert event.record.details == {"reason": str(refused.value)}
    assert refused.value.exit_status is ExitStatus.REFUSED


def test_a_failure_to_reach_a_database_is_audited_as_refused_too(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = stuck(scratch, ONE_PREPARED)
    with scratch.without("shard-2"), pytest.raises(ForceRefused):
        force(treasury, txn_id, COMMIT, APPROVED)
    assert [phase for phase, _, _ in scratch.audit_trail(COMMIT.value)] == ["intent", "refused"]


@pytest.mark.parametrize(
    "incident_id",
    [
        "",
        "INC-",
        "INC-12345 ",
        " INC-12345",
        "inc-1",
        "INC-1a",
        "12345",
        "INC-1\n",
        "INC-１",
        "INC-" + "1" * 80,
        "\x1b[2J",
    ],
)
@both
def test_a_malformed_incident_id_is_refused_before_anything_is_written(
    scratch: ScratchTreasury, treasury: Treasury, action: Action, incident_id: str
) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    before = scratch.contents()
    for approval in (Approval(incident_id), Approval("INC-1", fence_approval=incident_id)):
        for act in (force, predict_force):
            with pytest.raises(InvalidRequest, match="is not an incident ID; it must look like INC-12345") as refused:
                act(treasury, txn_id, action, approval)
            assert str(refused.value).isprintable()
    assert scratch.contents() == before


def test_the_incident_pattern_is_the_configured_one(scratch: ScratchTreasury) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    treasury = scratch.open(incidents=IncidentPattern(r"OPS-[0-9]{3}"))
    with pytest.raises(InvalidRequest, match="it must look like the pattern OPS"):
        force(treasury, txn_id, COMMIT, APPROVED)
    assert force(treasury, txn_id, COMMIT, Approval("OPS-007")).finished


@both
def test_an_unknown_transaction_is_refused_and_writes_nothing(
    scratch: ScratchTreasury, treasury: Treasury, action: Action
) -> None:
    before = scratch.contents()
    with pytest.raises(UnknownId, match="there is no transaction 'txn_none'"):
        force(treasury, "txn_none", action, APPROVED)
    with pytest.raises(UnknownId):
        predict_force(treasury, "txn_none", action, APPROVED)
    with pytest.raises(UnknownId):
        resume(treasury, "txn_none")
    assert scratch.contents() == before


@both
def test_a_treasury_open_read_only_forces_nothing(scratch: ScratchTreasury, action: Action) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    before = scratch.contents()
    with pytest.raises(Refused, match=f"read-only, so {action.value} is refused"):
        force(scratch.open(read_only=True), txn_id, action, APPROVED)
    with pytest.raises(Refused, match="read-only, so resume is refused"):
        resume(scratch.open(read_only=True), txn_id)
    assert scratch.contents() == before


def test_resume_is_no_force(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    before = scratch.contents()
    for act in (force, predict_force):
        with pytest.raises(InvalidRequest, match="only force-commit and force-rollback make one"):
            act(treasury, txn_id, Action.RESUME, APPROVED)
    assert scratch.contents() == before


@both
def test_what_a_coordinator_that_is_alive_works_on_is_left_to_it(
    scratch: ScratchTreasury, treasury: Treasury, action: Action
) -> None:
    txn_id = stuck(scratch, ALL_PREPARED, age=timedelta(seconds=14))
    before = unaudited(scratch)
    with pytest.raises(ForceRefused, match="The coordinator is alive and may be deciding") as refused:
        force(treasury, txn_id, action, APPROVED)
    assert refused.value.verdict.row == 1
    assert unaudited(scratch) == before


@both
def test_a_second_incident_permits_taking_it_from_a_coordinator_that_is_alive(
    scratch: ScratchTreasury, treasury: Treasury, action: Action
) -> None:
    txn_id = stuck(scratch, ALL_PREPARED, age=timedelta(seconds=14))
    resolution = force(treasury, txn_id, action, Approval("INC-1", fence_approval="INC-2"))
    assert (resolution.finished, resolution.verified) == (True, True)
    [intent] = [
        event for event in inspect_transaction(treasury, txn_id).history if event.record.phase.value == "intent"
    ][1:]
    assert intent.record.details["fence_approval"] == "INC-2"
    fence = treasury.transaction_record(txn_id).fence
    assert fence is not None
    assert (fence.by, fence.at) == (OPERATOR, scratch.clock())


def test_permission_to_fence_permits_nothing_else(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = stuck(scratch, ONE_PREPARED, age=timedelta(seconds=14))
    with pytest.raises(ForceRefused, match=r"(is|are) not prepared"):
        force(treasury, txn_id, COMMIT, Approval("INC-1", fence_approval="INC-2"))
    assert treasury.transaction_record(txn_id).fence is None


def test_one_committed_branch_without_a_decision_needs_the_acknowledgement_that_the_log_lost_it(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    txn_id = stuck(scratch, HALF_APPLIED)
    lose_the_decision(scratch, txn_id)
    before = unaudited(scratch)
    for act in (force, predict_force):
        with pytest.raises(ForceRefused, match="needs the acknowledgement that the coordinator's log lost a decision"):
            act(treasury, txn_id, COMMIT, APPROVED)
    assert unaudited(scratch) == before
    resolution = force(treasury, txn_id, COMMIT, Approval("INC-1", acknowledge_log_lost=True))
    assert (resolution.state, resolution.verified) == (TransactionState.COMMITTED, True)
    assert_resolved(scratch, 1000)


@pytest.mark.parametrize("acknowledge", [False, True])
def test_what_committed_on_one_shard_is_never_rolled_back(
    scratch: ScratchTreasury, treasury: Treasury, *, acknowledge: bool
) -> None:
    txn_id = stuck(scratch, HALF_APPLIED)
    lose_the_decision(scratch, txn_id)
    before = unaudited(scratch)
    with pytest.raises(ForceRefused, match="committed, so commit was decided and the log lost it"):
        force(treasury, txn_id, ROLLBACK, Approval("INC-1", acknowledge_log_lost=acknowledge))
    assert unaudited(scratch) == before


def test_an_acknowledgement_that_is_not_needed_does_no_harm(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    assert force(treasury, txn_id, COMMIT, Approval("INC-1", acknowledge_log_lost=True)).finished


def test_a_branch_that_is_not_what_was_recorded_quarantines_the_transaction(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    txn_id = stuck(scratch, VOTED)
    scratch.execute("shard-2", "UPDATE holds SET amount = amount + 1")
    before = unaudited(scratch)
    for action in (COMMIT, ROLLBACK):
        with pytest.raises(ForceRefused, match="contradicts the record") as refused:
            force(treasury, txn_id, action, Approval("INC-1", "INC-2", acknowledge_log_lost=True))
        assert refused.value.verdict.row == 19
    assert unaudited(scratch) == before


def test_a_commit_that_a_shard_rolled_back_can_only_be_reported(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = stuck(scratch, HALF_APPLIED)
    record = treasury.transaction_record(txn_id)
    treasury.shards["shard-2"].manager.rollback(record.transaction, record.transaction.branches[1])
    before = unaudited(scratch)
    for action in (COMMIT, ROLLBACK):
        with pytest.raises(Refused):
            force(treasury, txn_id, action, Approval("INC-1", "INC-2", acknowledge_log_lost=True))
    with pytest.raises(ForceRefused, match="only a compensating transfer can mend it"):
        resume(treasury, txn_id)
    assert unaudited(scratch) == before


@both
def test_what_was_inspected_is_what_is_forced(scratch: ScratchTreasury, treasury: Treasury, action: Action) -> None:
    txn_id = stuck(scratch, VOTED)
    seen = inspect_transaction(treasury, txn_id).fingerprint
    assert force(treasury, txn_id, action, Approval("INC-1", fingerprint=seen)).finished


@both
def test_evidence_that_changed_since_it_was_inspected_refuses_the_force(
    scratch: ScratchTreasury, treasury: Treasury, action: Action
) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    seen = inspect_transaction(treasury, txn_id).fingerprint
    record = treasury.transaction_record(txn_id)
    treasury.shards["shard-2"].manager.rollback(record.transaction, record.transaction.branches[1])
    before = unaudited(scratch)
    for act in (force, predict_force):
        with pytest.raises(Refused, match="has changed since you looked at it; inspect it again"):
            act(treasury, txn_id, action, Approval("INC-1", fingerprint=seen))
    assert unaudited(scratch) == before
    assert scratch.audit_trail(action.value)[-1] == ("refused", OPERATOR, "INC-1")


def test_evidence_that_changes_while_the_force_fences_refuses_it_too(scratch: ScratchTreasury) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)

    def roll_bob_back(step: Step, _participant: str) -> None:
        if step is Step.FENCED:
            other = scratch.open()
            record = other.transaction_record(txn_id)
            other.shards["shard-2"].manager.rollback(record.transaction, record.transaction.branches[1])

    treasury = scratch.open(on_step=roll_bob_back)
    seen = inspect_transaction(treasury, txn_id).fingerprint
    with pytest.raises(Refused, match="has changed since you looked at it"):
        force(treasury, txn_id, COMMIT, Approval("INC-1", fingerprint=seen))
    with pytest.raises(ForceRefused, match=r"(is|are) not prepared"):
        force(treasury, txn_id, COMMIT, Approval("INC-1"))
    assert force(treasury, txn_id, ROLLBACK, Approval("INC-1")).finished
    assert_resolved(scratch, 0)


def test_the_verdict_after_the_fence_counts_also_without_a_fingerprint(scratch: ScratchTreasury) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)

    def roll_bob_back(step: Step, _participant: str) -> None:
        if step is Step.FENCED:
            other = scratch.open()
            record = other.transaction_record(txn_id)
            other.shards["shard-2"].manager.rollback(record.transaction, record.transaction.branches[1])

    with pytest.raises(ForceRefused, match=r"(is|are) not prepared"):
        force(scratch.open(on_step=roll_bob_back), txn_id, COMMIT, APPROVED)
    assert scratch.query("treasury", "SELECT * FROM decisions WHERE txn_id = ?", txn_id) == []


def test_without_a_logged_yes_a_shard_that_is_away_permits_only_rollback(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    with scratch.without("shard-2"):
        with pytest.raises(ForceRefused, match=r"(is|are) unreachable, and no yes vote is logged") as refused:
            force(treasury, txn_id, COMMIT, APPROVED)
        assert refused.value.verdict.row == 15
        assert force(treasury, txn_id, ROLLBACK, APPROVED).state is TransactionState.ABORTING
    assert resume(treasury, txn_id).state is TransactionState.ABORTED
    assert_resolved(scratch, 0)


def test_a_treasury_that_does_not_answer_refuses_everything(scratch: ScratchTreasury, treasury: Treasury) -> None:
    """Without the coordinator's log nothing is known to be undecided."""
    txn_id = stuck(scratch, ALL_PREPARED)
    held = scratch.account(ALICE), scratch.account(BOB)
    with scratch.without("treasury"):
        for action in (COMMIT, ROLLBACK):
            with pytest.raises(Unreachable, match="database treasury did not answer"):
                force(treasury, txn_id, action, APPROVED)
    assert (scratch.account(ALICE), scratch.account(BOB)) == held
