"""Drift of agents' balances as the last full run found it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from treasury_console.domain.drift import Finding
from treasury_console.operations.overview import Overview
from treasury_console.tui.actions import BY_ID, key_display, key_of
from treasury_console.tui.columns import Column
from treasury_console.tui.lines import Line, Span, Tone
from treasury_console.tui.panes.pane import Pane
from treasury_console.tui.presentation.drift import DRIFT_COLUMNS, drift_notice, drift_rows, drift_title
from treasury_console.tui.presentation.rows import RowSource


class DriftPane(Pane):
    """Whose balance drifts, by how much, and why."""

    TITLE = "Balance drift"
    COLUMNS: ClassVar[Sequence[Column]] = DRIFT_COLUMNS

    def __init__(self) -> None:
        super().__init__("drift")
        self._progress = ""

    @property
    def selected(self) -> Finding | None:
        """The finding under the cursor."""
        entry = self.table.cursor_entry
        return entry if isinstance(entry, Finding) else None

    def show_progress(self, message: str) -> None:
        """Show how far a running reconciliation is; nothing when it is over."""
        self._progress = message
        self._show_title()

    def rows(self, overview: Overview, now: datetime) -> RowSource:  # noqa: ARG002 (findings have no age)
        """Return the findings."""
        return drift_rows(overview.drift, self.currencies)

    def summary(self, overview: Overview, now: datetime) -> Sequence[Span]:
        """Return the run's status and age, or the progress of a running one."""
        if self._progress:
            return [Span(f"{self._progress}…", Tone.ACCENT)]
        return drift_title(overview.drift, now)

    def notice(self, overview: Overview, *, filtered: bool) -> Sequence[Line]:
        """Return that there is no drift, or no run."""
        settings = self.app.treasury.settings  # type: ignore[attr-defined]
        key = key_display(key_of(BY_ID["reconcile"], settings.keys))
        return drift_notice(overview.drift, key, filtered=filtered, may_run=not settings.read_only)
