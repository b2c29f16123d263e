"""Carbon sync state per region."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from treasury_console.operations.overview import Overview
from treasury_console.tui.columns import Column
from treasury_console.tui.lines import Line, Span
from treasury_console.tui.panes.pane import Pane
from treasury_console.tui.presentation.carbon import CARBON_COLUMNS, carbon_notice, carbon_rows, carbon_title
from treasury_console.tui.presentation.rows import RowSource


class CarbonPane(Pane):
    """How far each region's emissions data reach."""

    TITLE = "Carbon sync"
    COLUMNS: ClassVar[Sequence[Column]] = CARBON_COLUMNS

    def __init__(self) -> None:
        super().__init__("carbon")

    def rows(self, overview: Overview, now: datetime) -> RowSource:
        """Return the regions."""
        return carbon_rows(overview.carbon, now)

    def summary(self, overview: Overview, now: datetime) -> Sequence[Span]:
        """Return how the syncs stand."""
        return carbon_title(overview.carbon, now)

    def notice(self, overview: Overview, *, filtered: bool) -> Sequence[Line]:
        """Return that nothing was ever synced, or that the filter hides all."""
        return carbon_notice(overview.carbon, filtered=filtered)
