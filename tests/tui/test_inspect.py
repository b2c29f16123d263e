"""The inspect screen: all the evidence, refused actions greyed with their reason."""

from __future__ import annotations

import pytest

from tests.treasuries import ScratchTreasury
from tests.tui.piloting import at_desk
from tests.tui.scenes import ALIVE, BOTH_PREPARED, DECIDED, FROM_HELL, HOSTILE_SHOWN, ONE_PREPARED, WIDE
from tests.tui.screen_text import line_with, screen_lines
from treasury_console.domain.resolution import Action
from treasury_console.operations.force import Approval, force, resume
from treasury_console.operations.transactions import inspect_transaction
from treasury_console.operations.treasury import Treasury
from treasury_console.tui.screens.inspect import InspectScreen
from treasury_console.tui.screens.resolution import ResolutionScreen
from treasury_console.tui.screens.verification import VerificationScreen

TALL = (110, 60)


async def test_it_shows_everything_that_is_known(scene: ScratchTreasury, treasury: Treasury) -> None:
    async with at_desk(treasury, TALL) as desk:
        txn_id = await desk.select(BOTH_PREPARED)
        known = inspect_transaction(scene.observer, txn_id)
        transaction = known.record.transaction
        await desk.press("i")
        await desk.until_shown("What may be done")
        for fact in (
            txn_id,
            "PREPARED for 3h",
            "100.00 USD",
            transaction.coordinator_id,
            "epoch 1",
            "NOT ALIVE",
            "invoice 2041",
            "order-77",
            known.fingerprint,
            "none is recorded",
            "shard-1",
            "shard-2",
            "hold since 2025-12-30 08:55:00Z",
            "agent_1  balance 1000.00 -> 900.00 USD  held 100.00 -> 0.00 USD",
            "agent_2  balance 1000.00 -> 1100.00 USD",
            "transfer intent by operator@test",
        ):
            assert fact in desk.text
        for action in Action:
            for reason in known.verdicts.of(action).reasons:
                assert reason.split(".")[0][:40] in desk.text


async def test_it_shows_whose_decision_is_recorded_and_under_which_approval(
    scene: ScratchTreasury, treasury: Treasury
) -> None:
    async with at_desk(treasury, TALL) as desk:
        txn_id = await desk.select(BOTH_PREPARED)
        await desk.press("i")
        await desk.until_shown("none is recorded")
        force(scene.open(actor="other@test"), txn_id, Action.FORCE_ROLLBACK, Approval("INC-9"))
        await desk.until_shown("abort by other@test at 2025-12-30 12:00:00 UTC, approval INC-9")
        assert "ABORTED" in desk.text
        assert "Fenced       by other@test" in desk.text
        assert "force-rollback outcome INC-9 by other@test" in desk.text


async def test_a_living_coordinator_is_said_to_be_alive(treasury: Treasury) -> None:
    async with at_desk(treasury, TALL) as desk:
        await desk.select(ALIVE)
        await desk.press("i")
        await desk.until_shown("ALIVE", "lease until 2025-12-30 12:00:10 UTC")
        footer = screen_lines(desk.app)[-1]
        assert "- commit" in footer
        assert "- rollback" in footer


@pytest.mark.parametrize(
    ("index", "key", "reason"), [(ONE_PREPARED, "c", "agent_3 is not prepared"), (DECIDED, "b", "Commit is decided")]
)
async def test_a_refused_force_says_why_and_opens_nothing(
    treasury: Treasury, index: int, key: str, reason: str
) -> None:
    async with at_desk(treasury) as desk:
        await desk.select(index)
        await desk.press("i")
        await desk.until_shown("REFUSED")
        await desk.press(key)
        assert isinstance(desk.app.screen, InspectScreen)
        assert reason in desk.toasts[0]


async def test_an_allowed_force_starts_from_here(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        txn_id = await desk.select(BOTH_PREPARED)
        await desk.press("i")
        await desk.until_shown("What may be done")
        await desk.press("b")
        await desk.until_on(ResolutionScreen)
        assert (desk.resolution.txn_id, desk.resolution.action) == (txn_id, Action.FORCE_ROLLBACK)


async def test_v_verifies_the_participants_from_here(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        await desk.press("i")
        await desk.until_shown("What may be done")
        await desk.press("v")
        await desk.until_on(VerificationScreen)


async def test_it_scrolls_where_it_does_not_fit(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        await desk.press("i")
        await desk.until_shown("What may be done")
        assert "History" not in desk.text
        await desk.press("end")
        assert "transfer intent by operator@test" in desk.text
        last = line_with(desk.app, "Evidence", "lines")
        await desk.press("pagedown", "down", "j")
        assert line_with(desk.app, "Evidence", "lines") == last
        await desk.press("home")
        assert "What may be done" in desk.text


async def test_names_from_hell_are_shown_harmless(treasury: Treasury) -> None:
    async with at_desk(treasury, TALL) as desk:
        await desk.select(FROM_HELL)
        await desk.press("i")
        await desk.until_shown("What may be done")
        assert HOSTILE_SHOWN in desk.text
        assert WIDE in desk.text
        assert "\x1b" not in desk.text


async def test_what_became_of_it_elsewhere_is_shown_and_its_actions_end(
    scene: ScratchTreasury, treasury: Treasury
) -> None:
    async with at_desk(treasury) as desk:
        txn_id = await desk.select(DECIDED)
        await desk.press("i")
        await desk.until_shown("COMMITTING")
        resume(scene.open(actor="other@test"), txn_id)
        await desk.until_shown("COMMITTED", "Finished")
