"""A treasury that stops answering: the console keeps what it has, says so, and recovers by itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.treasuries import BOB, CAROL, NOON, ScratchTreasury
from tests.tui.piloting import QUICK, at_desk
from treasury_console.operations.payments import deposit
from treasury_console.operations.treasury import Treasury
from treasury_console.tui import watch as watch_module
from treasury_console.tui.watch import OverviewWatch, Refreshed, Stale, Timing, Watcher
from treasury_console.twophase.steps import Step


class Seconds:
    """A clock of seconds that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def watch(treasury: Treasury, seconds: Seconds) -> OverviewWatch:
    return OverviewWatch(treasury, Timing(), seconds)


def test_the_first_poll_reads_and_the_next_does_not(watch: OverviewWatch, scene: ScratchTreasury) -> None:
    scene.execute("treasury", "UPDATE coordinators SET lease_until = started_at")
    assert isinstance(watch.poll(), Refreshed)
    assert [watch.poll() for _ in range(10)] == [None] * 10
    assert watch.reads == 1


def test_a_change_is_read_once(watch: OverviewWatch, scene: ScratchTreasury) -> None:
    watch.poll()
    deposit(scene.open(), CAROL, "1.00", "USD")
    assert isinstance(watch.poll(), Refreshed)
    assert watch.poll() is None


def test_a_living_coordinator_is_looked_at_again_without_a_change(watch: OverviewWatch, seconds: Seconds) -> None:
    first = watch.poll()
    assert isinstance(first, Refreshed)
    assert any(summary.coordinator_alive for summary in first.overview.pending)
    seconds.now += Timing().lease_check - 0.1
    assert watch.poll() is None
    seconds.now += 0.2
    assert isinstance(watch.poll(), Refreshed)


def test_without_a_living_coordinator_nothing_is_read_however_long_it_takes(
    watch: OverviewWatch, scene: ScratchTreasury, seconds: Seconds
) -> None:
    scene.execute("treasury", "UPDATE coordinators SET lease_until = started_at")
    watch.poll()
    seconds.now += 1_000_000
    assert watch.poll() is None


def test_a_treasury_that_is_away_is_asked_ever_more_slowly_up_to_five_seconds(
    watch: OverviewWatch, scene: ScratchTreasury, seconds: Seconds
) -> None:
    watch.poll()
    scene.take_away("treasury")
    waits: list[float] = []
    asked_at = seconds.now
    while len(waits) < 8:
        news = watch.poll()
        if news is not None:
            assert isinstance(news, Stale)
            assert news.since == NOON
            waits.append(seconds.now - asked_at)
            asked_at = seconds.now
        seconds.now += 0.25
    assert waits[1:] == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    scene.bring_back("treasury")
    seconds.now += 5
    assert isinstance(watch.poll(), Refreshed)


def test_it_tells_since_when_the_treasury_is_away(
    watch: OverviewWatch, scene: ScratchTreasury, seconds: Seconds
) -> None:
    watch.poll()
    scene.take_away("treasury")
    scene.clock.advance(timedelta(minutes=1))
    first = watch.poll()
    scene.clock.advance(timedelta(minutes=1))
    seconds.now += 10
    second = watch.poll()
    assert isinstance(first, Stale)
    assert isinstance(second, Stale)
    assert first.since == second.since == NOON + timedelta(minutes=1)


def test_a_shard_that_is_away_is_named_and_the_rest_is_read(watch: OverviewWatch, scene: ScratchTreasury) -> None:
    scene.take_away("shard-1")
    news = watch.poll()
    assert isinstance(news, Refreshed)
    assert news.silent == ("shard-1",)


async def test_the_console_keeps_what_it_has_and_recovers_by_itself(scene: ScratchTreasury, treasury: Treasury) -> None:
    async with at_desk(treasury, (120, 36)) as desk:
        scene.take_away("treasury")
        await desk.until_shown("STALE since 12:00 UTC", "database treasury did not answer")
        assert "5 pending" in desk.text
        await desk.press("down", "tab", "question_mark")
        await desk.until_shown("Guided resolution", "STALE since 12:00 UTC")
        await desk.press("escape")
        scene.bring_back("treasury")
        await desk.until(lambda: "STALE" not in desk.text)
        deposit(scene.open(), CAROL, "1.00", "USD")
        txn_id = scene.crash_a_transfer((Step.PREPARED, BOB), amount="9.99")
        await desk.until_shown(txn_id)


async def test_inspecting_while_the_treasury_is_away_says_so_and_goes_on(
    scene: ScratchTreasury, treasury: Treasury
) -> None:
    async with at_desk(treasury, (120, 36)) as desk:
        scene.take_away("treasury")
        await desk.until_shown("STALE")
        await desk.press("i")
        await desk.until_shown("The evidence could not be read")
        await desk.press("escape")
        scene.bring_back("treasury")
        await desk.until(lambda: "STALE" not in desk.text)


async def test_a_locked_treasury_is_stale_and_not_the_end(scene: ScratchTreasury) -> None:
    impatient = scene.open(busy_timeout=timedelta(milliseconds=10))
    async with at_desk(impatient, (120, 36)) as desk:
        await desk.press("p")
        impatient.store.close()
        with closing(sqlite3.connect(scene.file("treasury"), timeout=5)) as greedy:
            greedy.execute("PRAGMA locking_mode = EXCLUSIVE")
            greedy.execute("BEGIN EXCLUSIVE")
            await desk.press("p")
            desk.app.watcher.watch.want_read()
            await desk.until_shown("STALE", "locked")
            await desk.press("down", "tab")
            greedy.rollback()
        await desk.until(lambda: "STALE" not in desk.text)


async def test_a_defect_in_reading_leaves_the_console_running_with_a_report(
    treasury: Treasury, scene: ScratchTreasury, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_desk(treasury, (120, 36), replace(QUICK, poll=0.01)) as desk:

        def broken(_treasury: Treasury) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as patch:
            patch.setattr(watch_module, "read_overview", broken)
            desk.app.watcher.watch.want_read()
            await desk.until_shown("STALE", "unexpected ZeroDivisionError")
        desk.app.watcher.watch.want_read()
        await desk.until(lambda: "STALE" not in desk.text)
    assert list((scene.folder / "state" / "treasury-console").iterdir())


def test_a_failure_nobody_foresaw_is_reported_once_however_often_it_returns(
    treasury: Treasury, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[BaseException] = []

    def broken(_treasury: Treasury) -> None:
        raise RuntimeError("a defect")

    def report(error: BaseException) -> str:
        reports.append(error)
        return "its report is in a file"

    monkeypatch.setattr("treasury_console.tui.watch.read_overview", broken)
    monkeypatch.setattr("treasury_console.tui.watch.report_failure", report)
    watcher = Watcher(treasury, QUICK, lambda _news: None)
    for _ in range(5):
        watcher.watch.want_read()
        news = watcher._polled()
        assert isinstance(news, Stale)
        assert news.reason == "its report is in a file"
    assert len(reports) == 1
