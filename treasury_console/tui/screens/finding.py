"""What is known about one finding of a reconciliation run."""

from __future__ import annotations

from collections.abc import Sequence

from treasury_console.domain.drift import Finding
from treasury_console.ledger.runs import RunRecord
from treasury_console.tui.lines import Line
from treasury_console.tui.presentation.drift import finding_lines
from treasury_console.tui.screens.text_screen import TextScreen


class FindingScreen(TextScreen):
    """The amounts, the likely cause with its evidence, and what the runbook says to do."""

    def __init__(self, finding: Finding, run: RunRecord) -> None:
        super().__init__()
        self._finding = finding
        self._run = run

    @property
    def crumb(self) -> str:
        """The finding's name."""
        return self._finding.finding_id

    @property
    def heading(self) -> str:
        """What the screen is."""
        return "Finding"

    def lines(self) -> Sequence[Line]:
        """Return what is known."""
        treasury = self.treasury
        return finding_lines(self._finding, self._run, treasury.settings.currencies, treasury.clock())
