"""Coordinators as processes: they really die, or stay as long as they are told to, and nobody else is ever stopped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.treasuries import ALICE, BOB, CAROL, NOON, ScratchTreasury
from treasury_console.demo.cleanup import PID_FILE, LiveMark, live_coordinator_pid, stop_live_coordinator
from treasury_console.demo.coordinator_process import Order
from treasury_console.demo.processes import CoordinatorProcesses, DemoFailed
from treasury_console.demo.stories import Rival
from treasury_console.domain.resolution import CoordinatorStatus
from treasury_console.domain.transactions import BranchState, Leg, TransactionState, Vote
from treasury_console.ledger.transactions import find_by_idempotency_key
from treasury_console.operations.transactions import Inspection, inspect_transaction
from treasury_console.twophase.steps import Step

P, A = BranchState.PREPARED, BranchState.ACTIVE


@pytest.fixture(scope="module")
def processes() -> Iterator[CoordinatorProcesses]:
    with CoordinatorProcesses.start() as started:
        yield started


@pytest.fixture
def order(scratch: ScratchTreasury) -> Iterator[Order]:
    """A transfer of 10.00 USD from Alice to Bob, to die after the votes are logged."""
    config_file = scratch.folder / "treasury.toml"
    config_file.write_text('[profiles.default]\ntreasury = "sqlite:///treasury.sqlite"\n', encoding="utf-8")
    yield Order(
        name="test",
        config_file=str(config_file),
        seed=1,
        at=NOON,
        currency="USD",
        legs=(Leg(ALICE, -1000), Leg(BOB, 1000)),
        step=Step.VOTES_LOGGED,
        participant="",
    )
    stop_live_coordinator(scratch.folder)


def inspected(scratch: ScratchTreasury, order: Order) -> Inspection:
    with scratch.open().store.snapshot() as connection:
        known = find_by_idempotency_key(connection, order.idempotency_key)
    assert known is not None
    return inspect_transaction(scratch.open(), known[0])


def order_and_wait(processes: CoordinatorProcesses, order: Order) -> None:
    """Order something twice: the end of the other side may show when it is written to or when it is read from."""
    for _ in range(2):
        processes.order(order)
        processes.await_reports()


def await_end(mark: int) -> None:
    """Wait for the process that holds the lock on the open file `mark` to end."""
    import fcntl

    fcntl.flock(mark, fcntl.LOCK_EX)


@pytest.fixture
def other_process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with the demo; it ends when its standard input does."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_an_order_survives_its_journey_as_a_line(order: Order) -> None:
    rival = Rival(BOB, CAROL, Step.PREPARED, ALICE)
    for sent in (order, replace(order, rival=rival, stay_seconds=1.5)):
        assert "\n" not in sent.to_line()
        assert Order.from_line(sent.to_line()) == sent


@pytest.mark.parametrize(
    ("step", "participant", "states", "state"),
    [
        (Step.CREATED, "", (A, A), TransactionState.PREPARING),
        (Step.PREPARED, ALICE, (P, A), TransactionState.PREPARING),
        (Step.VOTES_LOGGED, "", (P, P), TransactionState.PREPARED),
        (Step.DECIDED, "", (P, P), TransactionState.COMMITTING),
        (Step.APPLIED, ALICE, (BranchState.COMMITTED, P), TransactionState.COMMITTING),
    ],
)
def test_a_coordinator_is_killed_by_sigkill_exactly_where_it_was_told_to(
    scratch: ScratchTreasury,
    processes: CoordinatorProcesses,
    order: Order,
    step: Step,
    participant: str,
    states: tuple[BranchState, ...],
    state: TransactionState,
) -> None:
    processes.order(replace(order, step=step, participant=participant))
    [report] = processes.await_reports()
    assert (report.signal, report.exit_status) == (signal.SIGKILL, None)
    with pytest.raises(ProcessLookupError):
        os.kill(report.pid, 0)
    found = inspected(scratch, order)
    assert (found.evidence.states, found.state) == (states, state)
    assert found.record.transaction.created_at.replace(microsecond=0) == NOON


def test_a_rival_takes_the_money_between_the_check_and_the_vote(
    scratch: ScratchTreasury, processes: CoordinatorProcesses, order: Order
) -> None:
    legs = (Leg(ALICE, -1000), Leg(BOB, -2000), Leg(CAROL, 3000))
    processes.order(replace(order, legs=legs, rival=Rival(BOB, CAROL, Step.PREPARED, ALICE)))
    processes.await_reports()
    branches = inspected(scratch, order).evidence.branches
    assert [(branch.state, branch.vote) for branch in branches] == [(P, Vote.YES), (A, Vote.NO), (A, None)]
    assert scratch.balances() == {ALICE: 100_000, BOB: 0, CAROL: 200_000}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"step": Step.FENCED}, "never at fenced"),
        ({"currency": "ETH"}, "has no ETH account"),
        ({"config_file": "/nowhere/treasury.toml"}, "there is no configuration file"),
    ],
)
def test_a_coordinator_that_does_not_die_as_told_is_a_failure_with_its_reason(
    processes: CoordinatorProcesses, order: Order, change: dict[str, object], reason: str
) -> None:
    processes.order(replace(order, **change))  # type: ignore[arg-type]
    with pytest.raises(DemoFailed, match=reason):
        processes.await_reports()


def test_orders_are_carried_out_one_after_the_other(
    scratch: ScratchTreasury, processes: CoordinatorProcesses, order: Order
) -> None:
    names = ["first", "second", "third"]
    for name in names:
        processes.order(replace(order, name=name))
    assert [report.name for report in processes.await_reports()] == names
    assert scratch.account(ALICE)[1] == 3000


def test_modules_in_the_working_directory_are_not_taken_for_the_programs_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: Order
) -> None:
    for name in ("json", "random", "sqlalchemy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not the real one')\n")
    monkeypatch.chdir(tmp_path)
    with CoordinatorProcesses.start() as started:
        started.order(order)
        [report] = started.await_reports()
    assert report.signal == signal.SIGKILL


def test_the_end_of_the_forking_process_is_noticed(order: Order) -> None:
    with CoordinatorProcesses.start() as started:
        started._process.kill()
        started._process.wait()
        with pytest.raises(DemoFailed, match="ended before their time"):
            order_and_wait(started, order)


def test_a_coordinator_that_stays_is_alive_by_its_lease_until_it_is_stopped(
    scratch: ScratchTreasury, processes: CoordinatorProcesses, order: Order
) -> None:
    processes.order(replace(order, stay_seconds=60.0))
    [report] = processes.await_reports()
    assert (report.signal, report.exit_status) == (None, None)
    assert live_coordinator_pid(scratch.folder) == report.pid
    found = inspected(scratch, order)
    assert (found.state, found.evidence.coordinator) == (TransactionState.PREPARED, CoordinatorStatus.ALIVE)
    assert stop_live_coordinator(scratch.folder)
    assert live_coordinator_pid(scratch.folder) is None
    assert not (scratch.folder / PID_FILE).exists()
    assert not stop_live_coordinator(scratch.folder)


def test_a_coordinator_that_stays_finishes_its_transfer_when_its_time_is_over(
    scratch: ScratchTreasury, processes: CoordinatorProcesses, order: Order
) -> None:
    processes.order(replace(order, stay_seconds=0.2))
    processes.await_reports()
    with (scratch.folder / PID_FILE).open() as mark:
        await_end(mark.fileno())
    assert inspected(scratch, order).state is TransactionState.COMMITTED
    assert not (scratch.folder / PID_FILE).exists()


def test_a_coordinator_that_stays_ends_when_its_directory_is_deleted(
    scratch: ScratchTreasury, processes: CoordinatorProcesses, order: Order, tmp_path: Path
) -> None:
    directory = tmp_path / "demo"
    shutil.copytree(scratch.folder, directory)
    processes.order(replace(order, config_file=str(directory / "treasury.toml"), stay_seconds=60.0))
    processes.await_reports()
    with (directory / PID_FILE).open() as mark:
        shutil.rmtree(directory)
        await_end(mark.fileno())
    assert not directory.exists()


def test_a_pid_that_belongs_to_another_process_now_is_not_touched(
    tmp_path: Path, other_process: subprocess.Popen[bytes]
) -> None:
    (tmp_path / PID_FILE).write_text(f"{other_process.pid}\n")
    assert live_coordinator_pid(tmp_path) is None
    assert not stop_live_coordinator(tmp_path)
    assert not (tmp_path / PID_FILE).exists()
    assert other_process.poll() is None


@pytest.mark.parametrize("content", ["", "1\n", "0\n", "-5\n", "not a number", "\x00\xff"])
def test_a_mark_that_holds_no_usable_pid_names_nobody(tmp_path: Path, content: str) -> None:
    with LiveMark.claim(tmp_path) as mark:
        mark.file.write_text(content)
        assert live_coordinator_pid(tmp_path) is None


def test_only_one_coordinator_can_be_the_live_one_of_a_directory(tmp_path: Path) -> None:
    with LiveMark.claim(tmp_path):
        assert live_coordinator_pid(tmp_path) == os.getpid()
        with pytest.raises(FileExistsError):
            LiveMark.claim(tmp_path)
    assert list(tmp_path.iterdir()) == []
