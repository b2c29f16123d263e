"""The keys, and what the words on the screens mean."""

from __future__ import annotations

from collections.abc import Sequence

from treasury_console.tui.lines import Line
from treasury_console.tui.presentation.help import help_lines
from treasury_console.tui.screens.text_screen import TextScreen


class HelpScreen(TextScreen):
    """Help, from the registry and with the profile's keys."""

    @property
    def crumb(self) -> str:
        """What the screen is."""
        return "help"

    @property
    def heading(self) -> str:
        """What the screen is."""
        return "Keys, verdicts, states"

    def lines(self) -> Sequence[Line]:
        """Return the help."""
        settings = self.treasury.settings
        return help_lines(settings.keys, read_only=settings.read_only)

    def treasury_changed(self) -> None:
        """Nothing here depends on the treasury."""
