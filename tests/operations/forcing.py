"""What the tests of forcing and resuming share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.treasuries import (
    ALICE,
    BOB,
    CAROL,
    OPENING_BALANCE,
    TRANSFER_STEPS,
    ScratchTreasury,
)
from treasury_console.domain.resolution import Action
from treasury_console.operations.force import (
    Approval,
)
from treasury_console.operations.verification import verify_agents
from treasury_console.twophase.steps import Step

COMMIT, ROLLBACK = Action.FORCE_COMMIT, Action.FORCE_ROLLBACK
APPROVED = Approval("INC-12345")
AUDIT = ("audit_events", "audit_head")
ALL_PREPARED = (Step.PREPARED, BOB)
ONE_PREPARED = (Step.PREPARED, ALICE)
VOTED = (Step.VOTES_LOGGED, "")
DECIDED = (Step.DECIDED, "")
HALF_APPLIED = (Step.APPLIED, ALICE)
both = pytest.mark.parametrize("action", [COMMIT, ROLLBACK], ids=str)
every_step = pytest.mark.parametrize("step", TRANSFER_STEPS, ids=lambda step: "-".join(step).strip("-"))


def assert_resolved(scratch: ScratchTreasury, moved: int) -> None:
    """Alice gave `moved` to Bob, nothing is held or in doubt, and balances agree with the journal."""
    assert scratch.account(ALICE)[:2] == (OPENING_BALANCE - moved, 0)
    assert scratch.account(BOB)[:2] == (OPENING_BALANCE + moved, 0)
    for shard in ("shard-1", "shard-2"):
        assert scratch.query(shard, "SELECT * FROM holds") == []
    assert verify_agents(scratch.observer, [ALICE, BOB, CAROL]).ok
    assert scratch.pending() == []


def unaudited(scratch: ScratchTreasury) -> Mapping[str, list[tuple[Any, ...]]]:
    return scratch.contents(without=AUDIT)


def lose_the_decision(scratch: ScratchTreasury, txn_id: str) -> None:
    scratch.tamper("treasury", f"DELETE FROM decisions WHERE txn_id = '{txn_id}'")
