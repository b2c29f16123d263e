"""One demo, built once for all tests that only look at it; its builder's reports are kept as evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.treasuries import scratch_folder
from treasury_console.demo.build import DemoTreasury, build_demo
from treasury_console.demo.cleanup import stop_live_coordinator
from treasury_console.demo.coordinator_process import Report
from treasury_console.demo.processes import CoordinatorProcesses
from treasury_console.operations.treasury import Treasury, open_treasury


@dataclass(frozen=True)
class BuiltDemo:
    """A finished demo, how its coordinator processes ended, and what its builder said."""

    demo: DemoTreasury
    reports: dict[str, Report]
    messages: tuple[str, ...]
    elsewhere: Path

    def txn_id(self, name: str) -> str:
        """Return the transaction of a story."""
        return next(story.txn_id for story in self.demo.stuck if story.name == name)


@pytest.fixture(scope="session")
def built() -> Iterator[BuiltDemo]:
    """A demo with a live coordinator, not to be changed; the environment names another treasury while it is built."""
    messages: list[str] = []
    reports: dict[str, Report] = {}
    await_reports = CoordinatorProcesses.await_reports

    def await_and_keep(self: CoordinatorProcesses) -> list[Report]:
        found = await_reports(self)
        reports.update({report.name: report for report in found})
        return found

    with scratch_folder() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(CoordinatorProcesses, "await_reports", await_and_keep)
        patch.setenv("TREASURY_DATABASE_URL", f"sqlite:///{folder / 'elsewhere' / 'treasury.sqlite'}")
        patch.setenv("TREASURY_PROFILE", "elsewhere")
        demo = build_demo(folder / "demo", on_progress=messages.append)
        patch.undo()
        try:
            yield BuiltDemo(demo, reports, tuple(messages), folder / "elsewhere")
        finally:
            stop_live_coordinator(demo.directory)


@pytest.fixture(scope="session")
def opened(built: BuiltDemo) -> Iterator[Treasury]:
    """The demo's treasury, opened as a person would."""
    with open_treasury(built.demo.settings) as treasury:
        yield treasury
