"""Names and references from outside do no harm anywhere: they are shown, never obeyed, never parsed."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App

from tests.treasuries import ScratchTreasury
from tests.tui.piloting import at_desk
from tests.tui.scenes import FROM_HELL, HOSTILE, HOSTILE_SHOWN
from tests.tui.screen_text import screen_lines
from treasury_console.domain.resolution import Action
from treasury_console.operations.accounts import open_accounts
from treasury_console.operations.reconciliation import reconcile_full
from treasury_console.operations.treasury import Treasury
from treasury_console.tui.lines import Tone, fit, joined_spans, line, visible, wrap
from treasury_console.tui.presentation.text import name
from treasury_console.tui.screens.overview import OverviewScreen
from treasury_console.tui.screens.resolution import Stage

TALL = (110, 60)


def assert_harmless(app: App[None]) -> None:
    """Nothing on the screen is a control character, and the hostile name is there in its harmless form."""
    assert all(text.isprintable() for text in screen_lines(app))
    assert any(HOSTILE_SHOWN in text for text in screen_lines(app))


@pytest.fixture
def drifting(scene: ScratchTreasury) -> ScratchTreasury:
    """The scene, where the agent with the hostile name drifts, too."""
    scene.tamper("shard-1", "UPDATE accounts SET balance = balance + 1 WHERE agent_id LIKE '%pwn%'")
    reconcile_full(scene.open())
    return scene


async def test_on_the_overview(drifting: ScratchTreasury) -> None:
    async with at_desk(drifting.open(), TALL) as desk:
        await desk.select(FROM_HELL)
        assert_harmless(desk.app)


async def test_in_the_finding_and_the_verification(drifting: ScratchTreasury) -> None:
    async with at_desk(drifting.open(), TALL) as desk:
        await desk.press("tab", "i")
        await desk.until_shown("Likely cause")
        assert_harmless(desk.app)
        await desk.press("escape", "v")
        await desk.until_shown("DIFFERS FROM")
        assert_harmless(desk.app)


async def test_in_the_evidence_and_through_a_whole_resolution(scene: ScratchTreasury, treasury: Treasury) -> None:
    async with at_desk(treasury, TALL) as desk:
        await desk.select(FROM_HELL)
        await desk.press("i")
        await desk.until_shown("What may be done")
        assert_harmless(desk.app)
        await desk.press("escape")
        for stage in (Stage.EVIDENCE, Stage.INCIDENT, Stage.CONFIRMATION):
            await desk.lead_to(stage, Action.FORCE_COMMIT)
            assert_harmless(desk.app)
            if stage is not Stage.CONFIRMATION:
                await desk.press("escape")
        await desk.confirm("commit")
        assert "VERIFIED" in desk.text
        assert_harmless(desk.app)


async def test_in_toasts(treasury: Treasury) -> None:
    async with at_desk(treasury, TALL) as desk:
        desk.app.tell(f"{HOSTILE} [true, false] [/nope]")
        await desk.until(lambda: f"{HOSTILE_SHOWN} [true, false] [/nope]" in desk.text)
        assert_harmless(desk.app)


async def test_in_a_filter(treasury: Treasury) -> None:
    async with at_desk(treasury, TALL) as desk:
        await desk.press("slash")
        await desk.write("[@click=app.quit]x[/]")
        await desk.press("enter")
        assert len(desk.app.overview_screen.pending.table.rows) == 1
        assert_harmless(desk.app)


async def test_in_reasons_that_name_it(scene: ScratchTreasury) -> None:
    open_accounts(scene.open(), "[/]\x9b31m", ["USD"], shard="shard-2")
    async with at_desk(scene.open(), TALL) as desk:
        scene.execute("shard-1", "DELETE FROM holds WHERE participant LIKE '%pwn%'")
        await desk.until(lambda: desk.pending[FROM_HELL].verdict == "rollback only")
        await desk.select(FROM_HELL)
        await desk.press("c")
        assert HOSTILE_SHOWN in desk.toasts[0]
        assert_harmless(desk.app)


async def test_clicking_on_it_does_nothing_but_select_its_row(treasury: Treasury) -> None:
    async with at_desk(treasury, TALL) as desk:
        [(y, text)] = [(y, text) for y, text in enumerate(screen_lines(desk.app)) if "@click" in text]
        for x in range(text.index("[@click"), text.index("x07")):
            await desk.pilot.click(offset=(x, y))
        assert not desk.app._exit
        assert isinstance(desk.app.screen, OverviewScreen)
        assert desk.app.overview_screen.pending.table.cursor == FROM_HELL
        for line_number, shown in enumerate(screen_lines(desk.app)):
            if "@click" in shown and line_number != y:
                await desk.pilot.click(offset=(shown.index("@click"), line_number))
        assert not desk.app._exit


async def test_clicking_on_it_in_the_evidence_does_nothing(treasury: Treasury) -> None:
    async with at_desk(treasury, TALL) as desk:
        await desk.select(FROM_HELL)
        await desk.press("i")
        await desk.until_shown("What may be done")
        for y, text in enumerate(screen_lines(desk.app)):
            if "@click" in text:
                await desk.pilot.click(offset=(text.index("@click"), y))
        assert not desk.app._exit


def texts(spans: Iterable[tuple[str, Tone]]) -> str:
    """Return the text of spans."""
    return "".join(text for text, _ in spans)


@given(st.text())
def test_no_name_puts_a_control_character_on_the_screen(text: str) -> None:
    for width in (1, 7, 80):
        for row in wrap(line(name(text), indent=4), width):
            assert not {unicodedata.category(character) for character in visible(texts(row))} & {"Cc", "Cs", "Zl", "Zp"}


@given(st.text(max_size=60), st.integers(0, 40))
def test_no_text_takes_more_cells_than_it_is_given(text: str, width: int) -> None:
    from rich.cells import cell_len

    shown = texts(fit(joined_spans(line(name(text)).left), width))
    assert cell_len(shown) <= width
