"""What the screens look like, compared with the files in `snapshots/`.

`UPDATE_SCREENS=1` writes the files anew; look at the difference before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.treasuries import ScratchTreasury
from tests.tui.piloting import Desk, at_desk
from tests.tui.scenes import BOTH_PREPARED, ONE_PREPARED
from treasury_console.domain.resolution import Action
from treasury_console.operations.reconciliation import reconcile_full
from treasury_console.operations.treasury import Treasury
from treasury_console.tui.screens.resolution import Stage

SNAPSHOTS = Path(__file__).parent / "snapshots"
SMALL, WIDE, VERY_WIDE = (80, 24), (120, 36), (160, 48)

sizes = pytest.mark.parametrize("size", [SMALL, WIDE], ids=lambda size: f"{size[0]}x{size[1]}")


def assert_looks_like(desk: Desk, name: str) -> None:
    """Compare the screen with a file."""
    width, height = desk.app.size
    file = SNAPSHOTS / f"{name}-{width}x{height}.txt"
    shown = desk.text + "\n"
    if os.environ.get("UPDATE_SCREENS"):
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("size", [(60, 16), SMALL, WIDE, VERY_WIDE], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_overview_before_the_first_run(treasury: Treasury, size: tuple[int, int]) -> None:
    async with at_desk(treasury, size) as desk:
        assert_looks_like(desk, "overview")


@sizes
async def test_the_overview_with_drift(scene: ScratchTreasury, treasury: Treasury, size: tuple[int, int]) -> None:
    scene.tamper("shard-1", "UPDATE accounts SET balance = balance + 41237 WHERE agent_id = 'agent_1'")
    reconcile_full(treasury)
    async with at_desk(treasury, size) as desk:
        await desk.press("tab")
        assert_looks_like(desk, "overview-drift")


@sizes
async def test_the_overview_in_read_only_mode(read_only: Treasury, size: tuple[int, int]) -> None:
    async with at_desk(read_only, size) as desk:
        assert_looks_like(desk, "overview-read-only")


@sizes
async def test_the_evidence_about_a_transaction(treasury: Treasury, size: tuple[int, int]) -> None:
    async with at_desk(treasury, size) as desk:
        await desk.press("i")
        await desk.until_shown("What may be done")
        assert_looks_like(desk, "inspect")


async def test_the_evidence_when_commit_is_refused(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        await desk.select(ONE_PREPARED)
        await desk.press("i")
        await desk.until_shown("REFUSED")
        assert_looks_like(desk, "inspect-refused")


@pytest.mark.parametrize("stage", [Stage.EVIDENCE, Stage.INCIDENT, Stage.CONFIRMATION], ids=str)
async def test_the_steps_of_the_guided_resolution(treasury: Treasury, stage: Stage) -> None:
    async with at_desk(treasury) as desk:
        await desk.select(BOTH_PREPARED)
        await desk.lead_to(stage, Action.FORCE_COMMIT)
        assert_looks_like(desk, f"resolution-{stage}")


async def test_the_result_of_a_force(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        await desk.select(BOTH_PREPARED)
        await desk.lead_to(Stage.CONFIRMATION, Action.FORCE_COMMIT)
        await desk.confirm("commit")
        assert_looks_like(desk, "resolution-result")


async def test_the_help(treasury: Treasury) -> None:
    async with at_desk(treasury, (100, 80)) as desk:
        await desk.press("question_mark")
        await desk.until_shown("Verdicts")
        assert_looks_like(desk, "help")


async def test_the_verified_balances(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        await desk.press("v")
        await desk.until_shown("VERIFIED")
        assert_looks_like(desk, "verify")
