"""Running the app under a pilot, and waiting for what is to happen instead of for time to pass."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from textual.pilot import Pilot
from textual.screen import Screen

from tests.tui.screen_text import screen_text
from treasury_console.domain.resolution import Action
from treasury_console.operations.transactions import TransactionSummary
from treasury_console.operations.treasury import Treasury
from treasury_console.tui.app import ConsoleApp
from treasury_console.tui.screens.resolution import ResolutionScreen, Stage
from treasury_console.tui.watch import Timing

QUICK = Timing(poll=0.02, dwell=0.0, retry_first=0.02, retry_most=0.05)
"""Polls often, and takes a confirmation's keys as soon as it can be seen."""

_PATIENCE = 2000


@dataclass(frozen=True)
class Desk:
    """The running app, and what a person does with it."""

    app: ConsoleApp
    pilot: Pilot[None]

    @property
    def text(self) -> str:
        """What is on the screen."""
        return screen_text(self.app)

    @property
    def toasts(self) -> list[str]:
        """What the app is telling."""
        return [notification.message for notification in self.app._notifications]

    @property
    def pending(self) -> tuple[TransactionSummary, ...]:
        """The pending transactions that the overview was last told of."""
        overview = self.app.overview_screen.pending.overview
        assert overview is not None
        return overview.pending

    @property
    def resolution(self) -> ResolutionScreen:
        """The guided resolution that is open."""
        assert isinstance(self.app.screen, ResolutionScreen), self.text
        return self.app.screen

    async def press(self, *keys: str) -> None:
        """Press keys and let the app settle."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def write(self, text: str) -> None:
        """Type a text."""
        await self.press(*("space" if character == " " else character for character in text))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the app run until `condition` holds."""
        for _ in range(_PATIENCE):
            if condition():
                await self.pilot.pause()
                return
            await self.pilot.pause(0.005)
        raise AssertionError(f"it never happened; the screen is\n{self.text}")

    async def until_shown(self, *words: str) -> None:
        """Let the app run until all of `words` are on the screen."""
        await self.until(lambda: all(word in self.text for word in words))

    async def until_on(self, screen: type[Screen[object]]) -> None:
        """Let the app run until `screen` is the one that is shown."""
        await self.until(lambda: isinstance(self.app.screen, screen))

    async def until_stage(self, stage: Stage) -> None:
        """Let the app run until the guided resolution takes keys at `stage`."""
        await self.until(
            lambda: (
                isinstance(self.app.screen, ResolutionScreen)
                and self.app.screen.stage is stage
                and self.app.screen.accepts_input_after != float("inf")
            )
        )

    async def select(self, index: int) -> str:
        """Put the overview's cursor on a pending transaction; return its id."""
        table = self.app.overview_screen.pending.table
        table.move_to(index)
        await self.pilot.pause()
        return table.rows.key_at(index)

    async def lead_to(self, stage: Stage, action: Action, incident_id: str = "INC-12345") -> None:
        """Start a resolution of the selected transaction and answer its steps until `stage` asks."""
        keys = {Action.FORCE_COMMIT: "c", Action.FORCE_ROLLBACK: "b", Action.RESUME: "u"}
        await self.press(keys[action])
        await self.until_stage(Stage.EVIDENCE)
        if stage is Stage.EVIDENCE:
            return
        await self.press("enter")
        if action is not Action.RESUME:
            await self.until_stage(Stage.INCIDENT)
            if stage is Stage.INCIDENT:
                return
            await self.write(incident_id)
            await self.press("enter")
        await self.until_stage(stage)

    async def confirm(self, word: str) -> None:
        """Give the last confirmation and wait for the end."""
        await self.press("tab")
        await self.write(word)
        await self.press("enter")
        await self.until_stage(Stage.OVER)


@asynccontextmanager
async def at_desk(treasury: Treasury, size: tuple[int, int] = (80, 24), timing: Timing = QUICK) -> AsyncIterator[Desk]:
    """Run the app on `treasury` until the body ends; the overview has been read and shown when it begins."""
    app = ConsoleApp(treasury, timing=timing, true_colour=True)
    async with app.run_test(size=size, notifications=True) as pilot:
        await app.first_shown.wait()
        await pilot.pause()
        yield Desk(app, pilot)
