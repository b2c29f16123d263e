"""The overview: three panes, keys, filter, pause, what is greyed and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from textual import events
from textual.command import CommandPalette
from textual.widgets import Input

from tests.treasuries import ALICE, BOB, CAROL, ScratchTreasury
from tests.tui.piloting import QUICK, at_desk
from tests.tui.scenes import ALIVE, BOTH_PREPARED, DECIDED, HOSTILE_SHOWN, ONE_PREPARED, STUCK
from tests.tui.screen_text import line_with, screen_lines
from treasury_console.domain.drift import RunStatus
from treasury_console.domain.errors import ConfigurationError
from treasury_console.ledger.runs import latest_run
from treasury_console.operations.payments import deposit, transfer
from treasury_console.operations.reconciliation import reconcile_full
from treasury_console.operations.treasury import Treasury
from treasury_console.tui.app import ConsoleApp
from treasury_console.tui.screens.base import TOO_SMALL
from treasury_console.tui.screens.finding import FindingScreen
from treasury_console.tui.screens.help import HelpScreen
from treasury_console.tui.screens.inspect import InspectScreen
from treasury_console.tui.screens.overview import OverviewScreen
from treasury_console.tui.screens.resolution import ResolutionScreen, Stage
from treasury_console.tui.screens.verification import VerificationScreen


def drift_of(scene: ScratchTreasury, treasury: Treasury, agent_id: str = ALICE) -> None:
    """Make the stored balance of an agent too high, and let a run find it."""
    scene.tamper("shard-1", f"UPDATE accounts SET balance = balance + 1 WHERE agent_id = '{agent_id}'")
    reconcile_full(treasury)


async def test_every_pending_transaction_is_listed_oldest_first(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        rows = desk.app.overview_screen.pending.table.rows
        assert [rows[index].cells[4] for index in range(len(rows))] == [stuck[4] for stuck in STUCK]
        assert [rows[index].cells[6] for index in range(len(rows))] == [
            "commit or rollback",
            "rollback only",
            "resume",
            "commit or rollback",
            "wait",
        ]


async def test_it_says_honestly_that_nothing_was_ever_reconciled_or_synced(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        assert "No run yet: press r." in desk.text
        assert "Never synced." in desk.text


async def test_a_payment_made_elsewhere_shows_without_a_key(scene: ScratchTreasury, treasury: Treasury) -> None:
    async with at_desk(treasury, (120, 36)) as desk:
        txn_id = scene.crash_a_transfer(STUCK[BOTH_PREPARED][1], amount="77.77")
        await desk.until_shown(txn_id, "77.77")


async def test_r_reconciles_and_shows_the_result(scene: ScratchTreasury, treasury: Treasury) -> None:
    scene.tamper("shard-1", "UPDATE accounts SET balance = balance + 41237 WHERE agent_id = 'agent_1'")
    async with at_desk(treasury, (120, 36)) as desk:
        await desk.press("r")
        await desk.until(lambda: bool(desk.toasts))
        assert desk.toasts == ["Reconciled: DRIFT, 1 finding, 4 transactions stuck."]
        await desk.until_shown("+412.37")
        assert "DRIFT 1 finding, just now" in desk.text
    with scene.observer.store.snapshot() as connection:
        run = latest_run(connection)
    assert run is not None
    assert run.status is RunStatus.DRIFT


@pytest.mark.parametrize("key", ["i", "enter"])
async def test_i_and_enter_inspect_the_selected_transaction(treasury: Treasury, key: str) -> None:
    async with at_desk(treasury) as desk:
        txn_id = await desk.select(ONE_PREPARED)
        await desk.press(key)
        await desk.until_shown("What may be done", txn_id)
        assert isinstance(desk.app.screen, InspectScreen)
        await desk.press("escape")
        assert isinstance(desk.app.screen, OverviewScreen)


async def test_i_on_a_drift_shows_the_finding(scene: ScratchTreasury, treasury: Treasury) -> None:
    drift_of(scene, treasury)
    async with at_desk(treasury) as desk:
        await desk.press("tab", "i")
        await desk.until_shown("Likely cause", "Rebuild the stored balance from the journal")
        assert isinstance(desk.app.screen, FindingScreen)


async def test_v_verifies_the_participants(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        await desk.press("v")
        await desk.until_shown("VERIFIED")
        assert isinstance(desk.app.screen, VerificationScreen)
        assert desk.app.screen.agent_ids == (ALICE, BOB)


async def test_v_on_a_drift_verifies_the_agent(scene: ScratchTreasury, treasury: Treasury) -> None:
    drift_of(scene, treasury)
    async with at_desk(treasury) as desk:
        await desk.press("tab", "v")
        await desk.until_shown("DRIFT  1 of 1 account do not agree", "DIFFERS FROM entries")
        assert isinstance(desk.app.screen, VerificationScreen)
        assert desk.app.screen.agent_ids == (ALICE,)


async def test_tab_goes_round_the_panes(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        overview = desk.app.overview_screen
        seen = [overview.pane]
        for _ in range(3):
            await desk.press("tab")
            seen.append(overview.pane)
        assert seen == [overview.pending, overview.drift, overview.carbon, overview.pending]
        await desk.press("shift+tab")
        assert overview.pane is overview.carbon


async def test_the_carbon_pane_has_nothing_to_inspect_or_force(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        await desk.press("tab", "tab", "i", "c")
        assert isinstance(desk.app.screen, OverviewScreen)
        assert desk.toasts == ["no transaction is selected"]


async def test_a_refused_force_is_greyed_and_says_why(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        txn_id = await desk.select(ONE_PREPARED)
        footer = screen_lines(desk.app)[-1]
        assert "- commit" in footer
        assert "b rollback" in footer
        await desk.press("c")
        assert isinstance(desk.app.screen, OverviewScreen)
        assert desk.toasts == [
            f"force-commit of {txn_id} is refused: agent_3 is not prepared, so the transaction must not commit."
        ]


async def test_both_forces_are_refused_while_the_coordinator_is_alive(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        await desk.select(ALIVE)
        await desk.press("c")
        assert "The coordinator is alive and may be deciding" in desk.toasts[0]
        await desk.press("b")
        assert "The coordinator is alive and may be deciding" in desk.toasts[0]
        assert isinstance(desk.app.screen, OverviewScreen)


async def test_when_the_lease_runs_out_the_forces_open_by_themselves(
    scene: ScratchTreasury, treasury: Treasury
) -> None:
    async with at_desk(treasury, timing=replace(QUICK, lease_check=0.0)) as desk:
        await desk.select(ALIVE)
        assert "- commit" in screen_lines(desk.app)[-1]
        scene.clock.advance(timedelta(minutes=1))
        await desk.until(lambda: "c commit" in screen_lines(desk.app)[-1])


async def test_read_only_mode_is_shown_and_its_keys_say_why_they_do_nothing(
    scene: ScratchTreasury, read_only: Treasury
) -> None:
    before = scene.contents()
    async with at_desk(read_only, (120, 36)) as desk:
        assert "READ-ONLY" in desk.text
        for key, label in (("c", "commit"), ("b", "rollback"), ("r", "reconcile")):
            await desk.press(key)
            assert desk.toasts == [f"the treasury is open read-only, so {label} is off"]
        await desk.select(DECIDED)
        await desk.press("u")
        assert desk.toasts == ["the treasury is open read-only, so resume is off"]
        assert isinstance(desk.app.screen, OverviewScreen)
    assert scene.contents() == before


async def test_p_pauses_and_goes_on(scene: ScratchTreasury, treasury: Treasury) -> None:
    async with at_desk(treasury, (120, 36)) as desk:
        await desk.press("p")
        assert "PAUSED" in desk.text
        reads = desk.app.watcher.watch.reads
        txn_id = scene.crash_a_transfer(STUCK[BOTH_PREPARED][1], amount="77.77")
        await desk.press("down", "up", "tab", "shift+tab")
        assert desk.app.watcher.watch.reads == reads
        assert txn_id not in desk.text
        await desk.press("p")
        await desk.until_shown(txn_id)
        assert "PAUSED" not in desk.text


async def test_a_filter_shows_on_the_screen_hides_rows_and_is_cleared_by_escape(treasury: Treasury) -> None:
    async with at_desk(treasury, (120, 36)) as desk:
        await desk.press("slash")
        await desk.write("agent_3 !rollback")
        table = desk.app.overview_screen.pending.table
        assert [table.rows[index].cells[4] for index in range(len(table.rows))] == [STUCK[DECIDED][4]]
        await desk.press("enter")
        assert "filter: agent_3 !rollback" in desk.text
        assert table.has_focus
        await desk.press("escape")
        assert "filter:" not in desk.text
        assert len(table.rows) == len(STUCK)


async def test_escape_while_typing_a_filter_drops_it(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        await desk.press("slash")
        await desk.write("nothing like this")
        assert "No pending transaction passes the filter" in desk.text
        await desk.press("escape")
        assert len(desk.app.overview_screen.pending.table.rows) == len(STUCK)


async def test_letters_typed_into_a_filter_are_no_keys(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        await desk.press("slash")
        await desk.write("qcbr")
        assert isinstance(desk.app.screen, OverviewScreen)
        assert desk.app.is_running
        assert desk.toasts == []


@pytest.mark.parametrize(("opener", "character"), [("slash", "/"), ("colon", ":")])
async def test_letters_that_arrive_in_one_burst_behind_what_opens_an_entry_are_text(
    treasury: Treasury, opener: str, character: str
) -> None:
    """A slow line delivers several keys at once: "b" behind "/" must not begin a rollback."""
    async with at_desk(treasury) as desk:
        overview = desk.app.screen
        for key, typed in ((opener, character), ("b", "b"), ("c", "c")):
            desk.app.post_message(events.Key(key, typed))
        await desk.until(lambda: isinstance(desk.app.focused, Input) and desk.app.focused.value == "bc")
        assert desk.app.screen is overview or isinstance(desk.app.screen, CommandPalette)


async def test_an_action_works_on_its_transaction_also_when_a_filter_hides_it_later(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        txn_id = await desk.select(BOTH_PREPARED)
        await desk.press("c")
        await desk.until_stage(Stage.EVIDENCE)
        desk.app.overview_screen.pending.filter_by("no such row")
        await desk.pilot.pause()
        assert desk.resolution.txn_id == txn_id
        assert desk.resolution.inspection is not None
        assert desk.resolution.inspection.record.transaction.txn_id == txn_id


async def test_o_sorts_by_the_next_column_and_says_so(treasury: Treasury) -> None:
    async with at_desk(treasury, (120, 36)) as desk:
        table = desk.app.overview_screen.pending.table
        await desk.press("o")
        assert "by AMOUNT" in desk.text
        amounts = [float(table.rows[index].cells[4]) for index in range(len(table.rows))]
        assert amounts == sorted(amounts, reverse=True)


async def test_the_cursor_stays_on_its_transaction_when_others_come_and_go(
    scene: ScratchTreasury, treasury: Treasury
) -> None:
    async with at_desk(treasury, (120, 36)) as desk:
        txn_id = await desk.select(DECIDED)
        scene.execute("treasury", "UPDATE transactions SET finished_at = created_at WHERE amount = 10000")
        await desk.until(lambda: len(desk.app.overview_screen.pending.table.rows) == len(STUCK) - 1)
        selected = desk.app.overview_screen.pending.selected
        assert selected is not None
        assert selected.txn_id == txn_id
        assert line_with(desk.app, "> ", txn_id, "COMMITTING")


async def test_ages_pass_without_a_read(scene: ScratchTreasury, treasury: Treasury) -> None:
    scene.execute("treasury", "UPDATE coordinators SET lease_until = started_at")
    async with at_desk(treasury, timing=replace(QUICK, tick=1)) as desk:
        assert line_with(desk.app, "41m")
        reads = desk.app.watcher.watch.reads
        scene.clock.advance(timedelta(minutes=1))
        await desk.until_shown("42m", "12:01 UTC")
        assert desk.app.watcher.watch.reads == reads


async def test_on_a_terminal_too_small_the_forces_are_off(treasury: Treasury) -> None:
    async with at_desk(treasury, (59, 16)) as desk:
        assert TOO_SMALL in desk.text
        await desk.press("c")
        assert desk.toasts == [TOO_SMALL]
        assert isinstance(desk.app.screen, OverviewScreen)
        await desk.pilot.resize_terminal(60, 16)
        await desk.until_shown("Pending transactions")
        await desk.press("c")
        await desk.until_on(ResolutionScreen)


async def test_the_palette_does_what_the_keys_do(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        await desk.press("colon")
        await desk.until_shown("Search for commands")
        await desk.write("inspect")
        await desk.until(lambda: "Show the evidence" in desk.text)
        await desk.press("down", "enter")
        await desk.until_on(InspectScreen)


async def test_question_mark_shows_help_and_escape_goes_back(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        await desk.press("question_mark", "question_mark")
        assert [type(screen) for screen in desk.app.screen_stack] == [OverviewScreen, HelpScreen]
        await desk.press("escape")
        assert isinstance(desk.app.screen, OverviewScreen)


@pytest.mark.parametrize("key", ["q", "ctrl+q"])
async def test_q_quits_with_status_0(treasury: Treasury, key: str) -> None:
    async with at_desk(treasury) as desk:
        await desk.press(key)
        assert desk.app._exit
        assert (desk.app.return_code or 0) == 0


async def test_ctrl_c_says_how_to_quit(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        await desk.press("ctrl+c")
        assert desk.toasts == ["Press q to quit."]


async def test_keys_are_remapped_by_the_profile(scene: ScratchTreasury) -> None:
    treasury = scene.open(keys={"force-commit": "f5", "inspect": "x", "quit": "Q"})
    async with at_desk(treasury, (120, 36)) as desk:
        assert "f5 commit" in screen_lines(desk.app)[-1]
        await desk.press("c")
        assert isinstance(desk.app.screen, OverviewScreen)
        assert desk.toasts == []
        await desk.press("x")
        await desk.until_on(InspectScreen)
        await desk.until_shown("f5 force-commit")
        await desk.press("f5")
        await desk.until_on(ResolutionScreen)
        await desk.press("escape", "escape", "Q")
        assert desk.app._exit


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"explode": "x"}, "not known"),
        ({"inspect": "c"}, "the same key"),
        ({"pause": "enter"}, "the same key"),
        ({"force-commit": "enter"}, "too easily pressed"),
        ({"force-commit": "no such key"}, "is no key"),
        ({"force-commit": ""}, "is no key"),
    ],
)
def test_keys_that_cannot_be_used_are_refused(scene: ScratchTreasury, keys: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        ConsoleApp(scene.open(keys=keys))


async def test_a_shard_that_does_not_answer_is_named_and_its_branches_are_unknown(
    scene: ScratchTreasury, treasury: Treasury
) -> None:
    scene.take_away("shard-2")
    async with at_desk(treasury, (120, 36)) as desk:
        assert "shard-2 SILENT" in desk.text
        assert HOSTILE_SHOWN in desk.text
        scene.bring_back("shard-2")
        await desk.until(lambda: "SILENT" not in desk.text)


async def test_money_moves_while_the_console_watches(treasury: Treasury, scene: ScratchTreasury) -> None:
    platform = scene.open(actor="platform@test")
    async with at_desk(treasury) as desk:
        for _ in range(5):
            deposit(platform, CAROL, "1.00", "USD")
            transfer(platform, CAROL, BOB, "1.00", "USD")
        await desk.press("down")
        assert "STALE" not in desk.text
