"""Resuming applies a decision that is on record, needs no approval, and can be repeated."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.operations.forcing import (
    ALL_PREPARED,
    DECIDED,
    HALF_APPLIED,
    assert_resolved,
    unaudited,
)
from tests.treasuries import (
    ScratchTreasury,
    stuck,
)
from treasury_console.domain.resolution import Action
from treasury_console.domain.transactions import Decision, TransactionState
from treasury_console.operations.force import (
    ForceRefused,
    resumable,
    resume,
)
from treasury_console.operations.treasury import Treasury


def test_a_resume_without_a_decision_is_refused_and_audited(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    before = unaudited(scratch)
    with pytest.raises(ForceRefused, match=f"resume of {txn_id} is refused: No decision is recorded"):
        resume(treasury, txn_id)
    assert unaudited(scratch) == before
    assert [phase for phase, _, _ in scratch.audit_trail("resume")] == ["intent", "refused"]


def test_a_resume_finishes_what_is_decided_and_needs_no_approval(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = stuck(scratch, HALF_APPLIED)
    resolution = resume(treasury, txn_id)
    assert (resolution.action, resolution.state, resolution.already_decided) == (
        Action.RESUME,
        TransactionState.COMMITTED,
        True,
    )
    assert resolution.decision.decision is Decision.COMMIT
    assert [phase for phase, _, _ in scratch.audit_trail("resume")] == ["intent", "step", "outcome"]
    assert_resolved(scratch, 1000)


def test_resuming_what_is_finished_changes_nothing(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = stuck(scratch, HALF_APPLIED)
    resume(treasury, txn_id)
    scratch.clock.advance(timedelta(hours=1))
    before = unaudited(scratch)
    assert resume(treasury, txn_id).finished
    assert unaudited(scratch) == before


def test_what_can_be_resumed_is_decided_unfinished_and_without_a_coordinator_oldest_first(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    old = scratch.crash_a_transfer(HALF_APPLIED)
    scratch.crash_a_transfer(ALL_PREPARED)
    scratch.clock.advance(timedelta(minutes=1))
    newer = scratch.crash_a_transfer(DECIDED)
    assert resumable(treasury) == [old]
    scratch.clock.advance(timedelta(minutes=1))
    assert resumable(treasury) == [old, newer]
