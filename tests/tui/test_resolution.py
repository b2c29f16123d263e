"""The guided resolution, from the evidence to the verified balances, and everything that must not get through it."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace

import pytest
from textual import events

from tests.treasuries import ALICE, BOB, CAROL, OPENING_BALANCE, ScratchTreasury
from tests.tui.piloting import QUICK, at_desk
from tests.tui.scenes import ALIVE, BOTH_PREPARED, DECIDED, ONE_PREPARED
from treasury_console.domain.approvals import IncidentPattern
from treasury_console.domain.resolution import Action
from treasury_console.domain.transactions import Decision
from treasury_console.operations.force import Approval, force
from treasury_console.operations.transactions import inspect_transaction
from treasury_console.operations.treasury import Treasury
from treasury_console.tui.screens.overview import OverviewScreen
from treasury_console.tui.screens.resolution import ResolutionScreen, Stage
from treasury_console.twophase.steps import Step

COMMIT, ROLLBACK, RESUME = Action.FORCE_COMMIT, Action.FORCE_ROLLBACK, Action.RESUME


def undecided(scene: ScratchTreasury, txn_id: str) -> bool:
    """Say whether no decision is on record."""
    return inspect_transaction(scene.observer, txn_id).record.decision is None


async def test_commit_goes_the_whole_way(scene: ScratchTreasury, treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        txn_id = await desk.select(BOTH_PREPARED)
        await desk.lead_to(Stage.CONFIRMATION, COMMIT)
        await desk.confirm("commit")
        assert "COMMITTED" in desk.text
        assert "VERIFIED" in desk.text
        assert "agent_1  balance 1000.00 -> 900.00 USD" in desk.text
        assert "agent_2  balance 1000.00 -> 1100.00 USD" in desk.text
        await desk.press("enter")
        assert isinstance(desk.app.screen, OverviewScreen)
        await desk.until(lambda: txn_id not in {row.txn_id for row in desk.pending})
    assert scene.account(ALICE)[:2] == (OPENING_BALANCE - 10_000, 0)
    assert scene.account(BOB)[0] == OPENING_BALANCE + 10_000
    decision = inspect_transaction(scene.observer, txn_id).record.decision
    assert decision is not None
    assert (decision.decision, decision.approval) == (Decision.COMMIT, "INC-12345")


async def test_rollback_goes_the_whole_way(scene: ScratchTreasury, treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        await desk.select(ONE_PREPARED)
        await desk.lead_to(Stage.CONFIRMATION, ROLLBACK, "INC-7")
        await desk.confirm("rollback")
        assert "ROLLED BACK" in desk.text
        assert "agent_2  balance 1000.00 -> 1000.00 USD  held 66.50 -> 41.00" in desk.text
    assert scene.balances() == dict.fromkeys((ALICE, BOB, CAROL), OPENING_BALANCE)


async def test_resume_needs_no_incident(scene: ScratchTreasury, treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        await desk.select(DECIDED)
        await desk.lead_to(Stage.CONFIRMATION, RESUME)
        assert Stage.INCIDENT not in desk.resolution.steps
        await desk.confirm("resume")
        assert "COMMITTED" in desk.text
        assert "It was on record already and has been applied." in desk.text
    assert scene.account(CAROL)[0] == OPENING_BALANCE - 1275


@pytest.mark.parametrize("typed", ["", "INC-", "inc-1", "INC-12x", "INC-1 2"])
async def test_what_is_no_incident_id_goes_no_further(treasury: Treasury, typed: str) -> None:
    async with at_desk(treasury) as desk:
        await desk.lead_to(Stage.INCIDENT, COMMIT)
        await desk.write(typed)
        await desk.press("enter")
        assert desk.resolution.stage is Stage.INCIDENT
        assert "it must look like INC-12345" in desk.text
        assert ("not an incident ID" in desk.text) is bool(typed)


async def test_the_incident_pattern_is_the_profiles_own(scene: ScratchTreasury) -> None:
    async with at_desk(scene.open(incidents=IncidentPattern("P[0-9]{3}"))) as desk:
        await desk.lead_to(Stage.INCIDENT, COMMIT)
        await desk.write("INC-1")
        assert "P[0-9]{3}" in desk.text
        await desk.press("enter", *["backspace"] * 5)
        assert desk.resolution.stage is Stage.INCIDENT
        await desk.write("P123")
        await desk.press("enter")
        await desk.until_stage(Stage.CONFIRMATION)


async def test_the_confirmation_begins_with_cancel(scene: ScratchTreasury, treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        txn_id = await desk.select(BOTH_PREPARED)
        await desk.lead_to(Stage.CONFIRMATION, COMMIT)
        assert desk.app.focused is desk.resolution.cancel_button
        await desk.press("enter")
        assert isinstance(desk.app.screen, OverviewScreen)
    assert undecided(scene, txn_id)


@pytest.mark.parametrize("stage", [Stage.EVIDENCE, Stage.INCIDENT, Stage.CONFIRMATION], ids=str)
async def test_escape_leaves_every_step_and_nothing_was_written(
    scene: ScratchTreasury, treasury: Treasury, stage: Stage
) -> None:
    before = scene.contents()
    async with at_desk(treasury) as desk:
        await desk.lead_to(stage, COMMIT)
        await desk.press("escape")
        assert isinstance(desk.app.screen, OverviewScreen)
    assert scene.contents() == before


@pytest.mark.parametrize("word", ["", "y", "yes", "Commit", "rollback", "commi", "commitcommit"])
async def test_only_the_word_confirms(scene: ScratchTreasury, treasury: Treasury, word: str) -> None:
    async with at_desk(treasury) as desk:
        txn_id = await desk.select(BOTH_PREPARED)
        await desk.lead_to(Stage.CONFIRMATION, COMMIT)
        await desk.press("tab")
        await desk.write(word)
        await desk.press("enter")
        assert desk.resolution.stage is Stage.CONFIRMATION
    assert undecided(scene, txn_id)


async def test_the_word_typed_on_cancel_confirms_nothing(scene: ScratchTreasury, treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        txn_id = await desk.select(BOTH_PREPARED)
        await desk.lead_to(Stage.CONFIRMATION, COMMIT)
        await desk.write("commit")
        await desk.press("enter")
        assert isinstance(desk.app.screen, OverviewScreen)
    assert undecided(scene, txn_id)


async def test_a_confirmation_cannot_be_pasted(scene: ScratchTreasury, treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        txn_id = await desk.select(BOTH_PREPARED)
        await desk.lead_to(Stage.CONFIRMATION, COMMIT)
        await desk.press("tab")
        desk.app.post_message(events.Paste("commit"))
        await desk.pilot.pause()
        assert desk.resolution.field.value == ""
        await desk.press("enter")
        assert desk.resolution.stage is Stage.CONFIRMATION
    assert undecided(scene, txn_id)


async def test_an_incident_id_can_be_pasted(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        await desk.lead_to(Stage.INCIDENT, COMMIT)
        desk.app.post_message(events.Paste("INC-4711\n"))
        await desk.pilot.pause()
        await desk.press("enter")
        await desk.until_stage(Stage.CONFIRMATION)


async def test_keys_typed_ahead_never_confirm(scene: ScratchTreasury, treasury: Treasury) -> None:
    """Everything that a whole resolution needs is in the queue before its first step can be seen."""
    async with at_desk(treasury) as desk:
        txn_id = await desk.select(BOTH_PREPARED)
        keys = ["c", "enter", *"INC-1", "enter", "tab", *"commit", "enter", "enter", "enter"]
        for key in keys:
            desk.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await desk.until_stage(Stage.EVIDENCE)
        assert desk.resolution.field.value == ""
    assert undecided(scene, txn_id)


async def test_keys_pressed_during_the_dwell_are_lost(scene: ScratchTreasury, treasury: Treasury) -> None:
    async with at_desk(treasury, timing=replace(QUICK, dwell=3600.0)) as desk:
        txn_id = await desk.select(BOTH_PREPARED)
        await desk.lead_to(Stage.CONFIRMATION, COMMIT)
        await desk.press("tab")
        await desk.write("commit")
        await desk.press("enter", "enter", "escape")
        assert desk.resolution.stage is Stage.CONFIRMATION
        assert desk.resolution.field.value == ""
        assert desk.app.focused is desk.resolution.cancel_button
    assert undecided(scene, txn_id)


async def test_a_held_enter_never_confirms(scene: ScratchTreasury, treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        txn_id = await desk.select(BOTH_PREPARED)
        await desk.lead_to(Stage.INCIDENT, COMMIT)
        await desk.write("INC-1")
        for _ in range(15):
            await desk.press("enter")
    assert undecided(scene, txn_id)
    assert scene.balances() == dict.fromkeys((ALICE, BOB, CAROL), OPENING_BALANCE)


async def test_evidence_that_changed_since_it_was_shown_stops_the_force(
    scene: ScratchTreasury, treasury: Treasury
) -> None:
    async with at_desk(treasury) as desk:
        txn_id = await desk.select(BOTH_PREPARED)
        await desk.lead_to(Stage.CONFIRMATION, COMMIT)
        scene.take_away("shard-2")
        await desk.confirm("commit")
        assert "NOT DONE" in desk.text
        assert "has changed since you looked at it" in desk.text
        scene.bring_back("shard-2")
    assert undecided(scene, txn_id)


async def test_the_loser_of_a_race_is_told_by_whom_and_when(scene: ScratchTreasury) -> None:
    other = scene.open(actor="other@test")
    rolled_back: list[str] = []

    def first(step: Step, _participant: str) -> None:
        if step is Step.FENCED and not rolled_back:
            rolled_back.append(force(other, txn_id, ROLLBACK, Approval("INC-9")).txn_id)

    async with at_desk(scene.open(on_step=first)) as desk:
        txn_id = await desk.select(BOTH_PREPARED)
        await desk.lead_to(Stage.CONFIRMATION, COMMIT)
        await desk.confirm("commit")
        shown = " ".join(desk.text.split())
        assert "NOT DONE" in shown
    assert rolled_back == [txn_id]
    decision = inspect_transaction(scene.observer, txn_id).record.decision
    assert decision is not None
    assert decision.decided_by == "other@test"
    assert scene.balances() == dict.fromkeys((ALICE, BOB, CAROL), OPENING_BALANCE)


async def test_a_treasury_that_went_away_leaves_the_outcome_open_and_says_so(
    scene: ScratchTreasury, treasury: Treasury
) -> None:
    async with at_desk(treasury) as desk:
        txn_id = await desk.select(BOTH_PREPARED)
        await desk.lead_to(Stage.CONFIRMATION, COMMIT)
        scene.take_away("treasury")
        await desk.confirm("commit")
        assert "OUTCOME UNKNOWN" in desk.text
        scene.bring_back("treasury")
        await desk.until(lambda: "STALE" not in desk.text)
    assert undecided(scene, txn_id)


async def test_a_lost_decision_has_to_be_acknowledged_in_words(scene: ScratchTreasury, treasury: Treasury) -> None:
    """Row 12: one branch committed, the decision is gone from the log."""
    txn_id = scene.crash_a_transfer((Step.APPLIED, ALICE), amount="5.00")
    scene.tamper("treasury", f"DELETE FROM decisions WHERE txn_id = '{txn_id}'")
    scene.execute("treasury", "UPDATE coordinators SET lease_until = started_at")
    async with at_desk(treasury) as desk:
        table = desk.app.overview_screen.pending.table
        await desk.until(lambda: txn_id in [table.rows.key_at(index) for index in range(len(table.rows))])
        await desk.until(lambda: desk.pending[-1].verdict == "commit only")
        await desk.select(len(table.rows) - 1)
        await desk.lead_to(Stage.ACKNOWLEDGEMENT, COMMIT)
        assert "lost a decision" in desk.text
        await desk.write("yes")
        await desk.press("enter")
        assert desk.resolution.stage is Stage.ACKNOWLEDGEMENT
        await desk.press(*["backspace"] * 3)
        await desk.write("log lost")
        await desk.press("enter")
        await desk.until_stage(Stage.CONFIRMATION)
        await desk.confirm("commit")
        assert "COMMITTED" in desk.text


async def test_one_cannot_quit_while_a_force_is_running(scene: ScratchTreasury) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def hold(step: Step, _participant: str) -> None:
        if step is Step.DECIDED:
            reached.set()
            go_on.wait(30)

    async with at_desk(scene.open(on_step=hold)) as desk:
        txn_id = await desk.select(BOTH_PREPARED)
        await desk.lead_to(Stage.CONFIRMATION, COMMIT)
        await desk.press("tab")
        await desk.write("commit")
        await desk.press("enter")
        await desk.until(reached.is_set)
        assert desk.resolution.stage is Stage.ACTING
        assert "Fencing the coordinator" in desk.text
        await desk.press("ctrl+q")
        assert not desk.app._exit
        assert desk.toasts == [f"force-commit of {txn_id} is running; quit when it has ended."]
        await desk.press("escape")
        assert desk.resolution.stage is Stage.ACTING
        go_on.set()
        await desk.until_stage(Stage.OVER)
        await desk.press("enter", "q")
        assert desk.app._exit


async def test_a_force_ends_its_work_also_when_the_app_is_told_to_end(scene: ScratchTreasury) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def hold(step: Step, _participant: str) -> None:
        if step is Step.DECIDED:
            reached.set()
            go_on.wait(30)

    with suppress(AssertionError):
        async with at_desk(scene.open(on_step=hold)) as desk:
            txn_id = await desk.select(BOTH_PREPARED)
            await desk.lead_to(Stage.CONFIRMATION, COMMIT)
            await desk.press("tab")
            await desk.write("commit")
            await desk.press("enter")
            await desk.until(reached.is_set)
            desk.app.exit(return_code=143)
            go_on.set()
    for _ in range(500):
        if scene.account(BOB)[0] == OPENING_BALANCE + 10_000 and not scene.query(
            "treasury", "SELECT 1 FROM transactions WHERE txn_id = ? AND finished_at IS NULL", txn_id
        ):
            break
        threading.Event().wait(0.01)
    assert scene.account(ALICE)[:2] == (OPENING_BALANCE - 10_000, 0)


async def test_the_evidence_of_a_transaction_that_turned_refused_ends_there(
    scene: ScratchTreasury, treasury: Treasury
) -> None:
    """The list still says that it may be forced; what is read when the key is pressed decides."""
    async with at_desk(treasury) as desk:
        await desk.press("p")
        txn_id = await desk.select(BOTH_PREPARED)
        force(scene.open(actor="other@test"), txn_id, ROLLBACK, Approval("INC-9"))
        await desk.press("c")
        await desk.until_stage(Stage.OVER)
        assert "NOT DONE" in desk.text
        assert "other@test" in " ".join(desk.text.split())


async def test_a_terminal_that_shrank_takes_no_confirmation(scene: ScratchTreasury, treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        txn_id = await desk.select(BOTH_PREPARED)
        await desk.lead_to(Stage.CONFIRMATION, COMMIT)
        await desk.press("tab")
        await desk.write("commit")
        await desk.pilot.resize_terminal(50, 10)
        await desk.press("enter")
        assert isinstance(desk.app.screen, ResolutionScreen)
        assert desk.resolution.stage is Stage.CONFIRMATION
    assert undecided(scene, txn_id)


async def test_a_living_coordinators_transaction_cannot_be_reached_by_a_stale_list(
    scene: ScratchTreasury, treasury: Treasury
) -> None:
    async with at_desk(treasury) as desk:
        txn_id = await desk.select(ALIVE)
        desk.app.push_screen(ResolutionScreen(txn_id, COMMIT))
        await desk.until_stage(Stage.OVER)
        assert "NOT DONE" in desk.text
    assert undecided(scene, txn_id)
