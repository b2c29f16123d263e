"""Pending two-phase-commit transactions, and why the selected one's verdict is what it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from textual.widget import Widget

from treasury_console.operations.overview import Overview
from treasury_console.operations.transactions import TransactionSummary
from treasury_console.tui.columns import Column
from treasury_console.tui.lines import Line, Span, Tone
from treasury_console.tui.panes.pane import Pane
from treasury_console.tui.presentation.pending import (
    PENDING_COLUMNS,
    SORT_ORDERS,
    pending_detail,
    pending_notice,
    pending_rows,
    pending_title,
)
from treasury_console.tui.presentation.rows import RowSource
from treasury_console.tui.widgets.text_lines import TextLines


class PendingPane(Pane):
    """What is stuck, since when, and what is safe to do."""

    TITLE = "Pending transactions"
    COLUMNS: ClassVar[Sequence[Column]] = PENDING_COLUMNS

    def __init__(self) -> None:
        super().__init__("pending")
        self.detail = TextLines(classes="detail")
        self._order = 0

    @property
    def selected(self) -> TransactionSummary | None:
        """The transaction under the cursor."""
        entry = self.table.cursor_entry
        return entry if isinstance(entry, TransactionSummary) else None

    def compose_below(self) -> Iterator[Widget]:
        """Compose the detail of the selected transaction."""
        yield self.detail

    def sort_next(self) -> None:
        """Order the rows by the next column."""
        self._order = (self._order + 1) % len(SORT_ORDERS)
        self.show_again()

    def show(self, overview: Overview, now: datetime) -> None:
        """Show the transactions and the detail of the selected one."""
        super().show(overview, now)
        self.selection_moved()

    def rows(self, overview: Overview, now: datetime) -> RowSource:
        """Return the transactions in the chosen order; oldest first is how they come."""
        summaries: Sequence[TransactionSummary] = overview.pending
        if self._order:
            order = SORT_ORDERS[self._order]
            summaries = sorted(summaries, key=order.key, reverse=order.reverse)  # type: ignore[arg-type]
        return pending_rows(summaries, now, self.currencies, self._stuck_after)

    def summary(self, overview: Overview, now: datetime) -> Sequence[Span]:
        """Return how many are pending and stuck."""
        return [pending_title(overview.pending, now, self._stuck_after)]

    def notice(self, overview: Overview, *, filtered: bool) -> Sequence[Line]:
        """Return that nothing is pending, or that the filter hides all."""
        return pending_notice(filtered and bool(overview.pending))

    def stamps(self) -> Iterator[Span]:
        """Yield the sort order, too."""
        if self._order:
            yield Span(f"by {SORT_ORDERS[self._order].title} ", Tone.DIM)
        yield from super().stamps()

    def selection_moved(self) -> None:
        """Show the selected transaction's detail."""
        selected = self.selected
        if selected is None or self.now is None:
            self.detail.show([])
        else:
            self.detail.show(pending_detail(selected, self.now, self.currencies))

    @property
    def _stuck_after(self) -> timedelta:
        duration: timedelta = self.app.treasury.settings.pending_after  # type: ignore[attr-defined]
        return duration
