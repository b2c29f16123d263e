"""What is on its way is explained and never drift, wherever it stands and whenever it moves."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.treasuries import ALICE, BOB, CAROL, NOON, TRANSFER_STEPS, ScratchTreasury, before_snapshot
from treasury_console.domain.drift import InFlight, RunStatus
from treasury_console.operations.force import resume
from treasury_console.operations.payments import deposit, transfer
from treasury_console.operations.reconciliation import Reconciliation, reconcile_agent, reconcile_full
from treasury_console.operations.treasury import Treasury
from treasury_console.operations.verification import verify_agents
from treasury_console.twophase.steps import Step

ROOT = Path(__file__).parents[2]
WEEK = timedelta(days=7)

WITH_ENTRIES = TRANSFER_STEPS[TRANSFER_STEPS.index((Step.APPLIED, ALICE)) : -1]

every_step = pytest.mark.parametrize("step", TRANSFER_STEPS, ids=lambda step: "-".join(step).strip("-"))


def assert_clean(result: Reconciliation) -> None:
    assert result.findings == ()
    assert result.run.status is RunStatus.CLEAN


@every_step
def test_wherever_a_coordinator_died_nothing_is_a_finding(scratch: ScratchTreasury, step: tuple[Step, str]) -> None:
    txn_id = scratch.crash_a_transfer(step)
    treasury = scratch.open()
    result = reconcile_full(treasury)
    assert_clean(result)
    expected = (InFlight(txn_id, "USD", 1000, NOON),) if step in WITH_ENTRIES else ()
    assert (result.in_flight, result.run.in_flight) == (expected, len(expected))
    for agent_id in (ALICE, BOB, CAROL):
        assert_clean(reconcile_agent(treasury, agent_id, WEEK))
    assert verify_agents(treasury, [ALICE, BOB, CAROL]).ok
    scratch.clock.advance(timedelta(hours=1))
    later = reconcile_full(treasury)
    assert later.findings == ()
    assert later.run.status is (RunStatus.CLEAN if step == (Step.CONFIRMED, "") else RunStatus.PENDING)


def test_many_in_flight_at_once_are_each_explained(scratch: ScratchTreasury) -> None:
    for step in TRANSFER_STEPS:
        scratch.crash_a_transfer(step)
    result = reconcile_full(scratch.open())
    assert_clean(result)
    assert len(result.in_flight) == len(WITH_ENTRIES)


def test_what_was_in_flight_is_settled_once_it_is_resumed(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = scratch.crash_a_transfer((Step.APPLIED, ALICE))
    scratch.clock.advance(timedelta(minutes=1))
    resume(treasury, txn_id)
    result = reconcile_full(treasury)
    assert_clean(result)
    assert result.in_flight == ()


def test_in_flight_does_not_hide_drift_of_the_same_amount(scratch: ScratchTreasury, treasury: Treasury) -> None:
    scratch.crash_a_transfer((Step.APPLIED, ALICE))
    scratch.execute("shard-2", f"UPDATE accounts SET balance = balance + 1000 WHERE agent_id = '{BOB}'")
    [finding] = reconcile_full(treasury).findings
    assert (finding.check.value, finding.agent_id, finding.drift) == ("B1", BOB, 1000)


@every_step
@pytest.mark.parametrize("moment", ["shard-1", "shard-2"])
@pytest.mark.parametrize("pair", [(ALICE, BOB), (BOB, ALICE)], ids=["one way", "other way"])
def test_a_transfer_that_happens_between_the_snapshots_is_no_finding(
    scratch: ScratchTreasury, step: tuple[Step, str], moment: str, pair: tuple[str, str]
) -> None:
    """It gets as far as `step` after the treasury was read and before (or between) the shards are."""
    treasury = scratch.open()
    sender, receiver = pair
    there = (step[0], {ALICE: sender, BOB: receiver}.get(step[1], ""))

    def move() -> None:
        scratch.crash_a_transfer(there, sender=sender, receiver=receiver)

    before_snapshot(treasury.shards[moment].database, move)
    assert_clean(reconcile_full(treasury))
    assert_clean(reconcile_full(treasury))


@pytest.mark.parametrize("moment", ["shard-1", "shard-2"])
def test_a_transfer_that_is_finished_between_the_snapshots_is_no_finding(scratch: ScratchTreasury, moment: str) -> None:
    """It stood at every step in turn when the treasury was read, and is resumed before (or between) the shards are."""
    treasury = scratch.open()
    for step in TRANSFER_STEPS[TRANSFER_STEPS.index((Step.DECIDED, "")) : -1]:
        txn_id = scratch.crash_a_transfer(step)
        scratch.clock.advance(timedelta(minutes=1))
        before_snapshot(treasury.shards[moment].database, lambda txn_id=txn_id: resume(scratch.open(), txn_id))  # type: ignore[misc]
        assert_clean(reconcile_full(treasury))


@pytest.mark.parametrize("moment", ["Checking balances", "Checking transactions", "Checking holds"])
def test_transfers_while_a_run_looks_are_no_finding(scratch: ScratchTreasury, moment: str) -> None:
    treasury, other = scratch.open(), scratch.open()

    def move(told: str) -> None:
        if told == moment:
            transfer(other, ALICE, BOB, "1.00", "USD")
            deposit(other, CAROL, "5.00", "USD")
            scratch.crash_a_transfer((Step.APPLIED, ALICE))

    result = reconcile_full(treasury, on_progress=move)
    assert_clean(result)
    assert (result.in_flight, result.run.entries_checked) == ((), 3)


@pytest.mark.parametrize("moment", ["shard-1", "shard-2"])
def test_a_spot_check_beside_a_transfer_is_clean(scratch: ScratchTreasury, moment: str) -> None:
    treasury = scratch.open()
    for step in TRANSFER_STEPS:
        before_snapshot(treasury.shards[moment].database, lambda step=step: scratch.crash_a_transfer(step))  # type: ignore[misc]
        for agent_id in (ALICE, BOB):
            assert_clean(reconcile_agent(treasury, agent_id, WEEK))


def test_a_process_that_moves_money_all_the_time_never_makes_a_finding(scratch: ScratchTreasury) -> None:
    treasury = scratch.open()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.operations.paying", str(scratch.folder), "mover"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()
    checked = []
    for _ in range(20):
        result = reconcile_full(treasury)
        assert result.findings == ()
        checked.append(result.run.entries_checked)
    moved, _ = process.communicate()
    assert process.returncode == 0
    assert checked == sorted(checked)
    assert len(set(checked)) > 5, "the other process moved money between and during the runs"
    final = reconcile_full(treasury)
    assert_clean(final)
    assert final.run.entries_checked == 3 + 2 * int(moved)
