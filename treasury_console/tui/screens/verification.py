"""Whether the balances of some agents agree with their journal and holds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from treasury_console.operations.verification import Verification, verify_agents
from treasury_console.tui.lines import Line, Span, Tone, crop, line
from treasury_console.tui.presentation.text import names, utc
from treasury_console.tui.presentation.verification import verification_lines
from treasury_console.tui.screens.text_screen import TextScreen


class VerificationScreen(TextScreen):
    """The result of `verify`, renewed whenever the treasury changes."""

    def __init__(self, agent_ids: Sequence[str]) -> None:
        super().__init__()
        self.agent_ids = tuple(agent_ids)
        self._verification: Verification | None = None
        self._failed = False

    @property
    def crumb(self) -> str:
        """What the screen is."""
        return "verify"

    @property
    def heading(self) -> str:
        """Whose balances these are."""
        return crop(f"Balances of {names(self.agent_ids)}", 60)

    async def load(self) -> None:
        """Verify."""
        done = await self.read(partial(verify_agents, self.treasury, self.agent_ids))
        self._failed = done is None
        self._verification = done or self._verification

    def lines(self) -> Sequence[Line]:
        """Return the result."""
        if self._verification is None:
            return [line(Span("NOT VERIFIED", Tone.BAD), "  The agents could not be read.")]
        old = [line(Span("STALE: the agents could not be read again.", Tone.WARN))] if self._failed else []
        return [
            *old,
            *verification_lines(self._verification, self.treasury.settings.currencies),
            line(),
            line(Span(f"As of {utc(self.treasury.clock())}", Tone.DIM)),
        ]
