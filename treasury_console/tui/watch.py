"""Noticing that the treasury changed, and reading it only then.

`OverviewWatch` decides, `poll` by `poll`; `Watcher` is the thread that polls, so that a database that hangs never hangs
a key. An unchanged treasury costs a change mark of each database and no table read. A treasury that does not answer is
asked again, ever more slowly, and what was read last stays on the screen, marked as old.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from treasury_console.domain.errors import TreasuryError
from treasury_console.failure_report import report_failure
from treasury_console.operations.overview import ChangeToken, Overview, change_token, read_overview
from treasury_console.operations.treasury import Treasury


@dataclass(frozen=True, slots=True)
class Timing:
    """How often things are looked at, in seconds.

    `poll` is between two looks at the change marks, `tick` between two looks at the clock, for ages. `lease_check` is
    after which a treasury with living coordinators is read again: a lease runs out without any change. `retry_first`
    and `retry_most` bound the wait after a failed read. `dwell` is how long a confirmation takes no key.
    """

    poll: float = 0.25
    tick: int = 30
    lease_check: float = 5.0
    retry_first: float = 0.25
    retry_most: float = 5.0
    dwell: float = 0.5


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The treasury as just read; `silent` are the shards that do not answer."""

    overview: Overview
    silent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stale:
    """The treasury does not answer since `since`."""

    since: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed: ages and the clock may have changed."""


News = Refreshed | Stale | Ticked


class OverviewWatch:
    """Reads the overview when something changed. Not for several threads at once."""

    def __init__(self, treasury: Treasury, timing: Timing, seconds: Callable[[], float] = monotonic) -> None:
        self._treasury = treasury
        self._timing = timing
        self._seconds = seconds
        self._token: ChangeToken | None = None
        self._read_after = 0.0
        self._failing_since: datetime | None = None
        self._retry = timing.retry_first
        self._wanted = True
        self._last_report: tuple[str, str] | None = None
        self.reads = 0

    def want_read(self) -> None:
        """Read at the next poll, changed or not."""
        self._wanted = True

    def poll(self) -> Refreshed | Stale | None:
        """Return what is new, or None."""
        now = self._seconds()
        if self._failing_since is not None and now < self._read_after and not self._wanted:
            return None
        token = change_token(self._treasury)
        if not self._is_due(token, now):
            return None
        self._wanted = False
        try:
            overview = self._read()
        except TreasuryError as error:
            return self._failed(str(error))
        took = self._seconds() - now
        self._token = token
        self._failing_since = None
        self._retry = self._timing.retry_first
        waiting = any(summary.coordinator_alive for summary in overview.pending)
        self._read_after = self._seconds() + max(self._timing.lease_check, 20 * took) if waiting else float("inf")
        return Refreshed(overview, self._silent(token))

    def _is_due(self, token: ChangeToken, now: float) -> bool:
        if self._wanted or self._failing_since is not None or token != self._token:
            return True
        return now >= self._read_after

    def _read(self) -> Overview:
        self.reads += 1
        return read_overview(self._treasury)

    def broke_off(self, error: Exception) -> Stale:
        """Take note that a poll ended in a failure nobody foresaw; the same one again and again is reported once."""
        what = f"{type(error).__name__}: {error}"
        if self._last_report is None or self._last_report[0] != what:
            self._last_report = (what, report_failure(error))
        return self._failed(self._last_report[1])

    def _failed(self, reason: str) -> Stale:
        if self._failing_since is None:
            self._failing_since = self._treasury.clock()
        self._read_after = self._seconds() + self._retry
        self._retry = min(self._retry * 2, self._timing.retry_most)
        return Stale(self._failing_since, reason)

    def _silent(self, token: ChangeToken) -> tuple[str, ...]:
        shards = token.marks[1:]
        return tuple(name for name, mark in zip(self._treasury.shards, shards, strict=True) if mark is None)


class Watcher:
    """Polls in a thread of its own and hands over what is new; the next poll begins when the last one has ended.

    `deliver` is called in that thread.
    """

    def __init__(self, treasury: Treasury, timing: Timing, deliver: Callable[[News], object]) -> None:
        self.watch = OverviewWatch(treasury, timing)
        self.paused = False
        self._clock = treasury.clock
        self._timing = timing
        self._deliver = deliver
        self._wake = threading.Event()
        self._stopped = False
        # A daemon: a database that never answers must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="treasury-watch", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def look_now(self) -> None:
        """Poll without waiting for the next turn."""
        self._wake.set()

    def stop(self, patience: float) -> None:
        """Stop; wait up to `patience` seconds for a poll that is under way."""
        self._stopped = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(patience)

    def _run(self) -> None:
        tick = self._tick()
        while not self._stopped:
            self._wake.clear()
            news = None if self.paused else self._polled()
            if news is not None and not self._stopped:
                self._deliver(news)
            if self._tick() != tick:
                tick = self._tick()
                self._deliver(Ticked())
            self._wake.wait(self._timing.poll)

    def _polled(self) -> Refreshed | Stale | None:
        try:
            return self.watch.poll()
        except Exception as error:
            return self.watch.broke_off(error)

    def _tick(self) -> int:
        return int(self._clock().timestamp()) // self._timing.tick
