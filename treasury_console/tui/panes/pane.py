"""What the panes have in common: title, table, filter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

from treasury_console.domain.money import Currencies
from treasury_console.operations.overview import Overview
from treasury_console.tui.columns import Column
from treasury_console.tui.lines import Line, Span, Tone, line
from treasury_console.tui.presentation.rows import RowFilter, RowSource
from treasury_console.tui.widgets.row_table import RowTable
from treasury_console.tui.widgets.text_lines import TextLines


class Pane(Vertical):
    """A titled table of a part of the overview. Subclasses say what its rows, title and notice are."""

    TITLE: ClassVar[str] = ""
    COLUMNS: ClassVar[Sequence[Column]] = ()

    class SelectionChanged(Message):
        """Another row is selected in the pane, or it has another content."""

    def __init__(self, widget_id: str) -> None:
        super().__init__(id=widget_id, classes="pane")
        self.title_line = TextLines(classes="pane-title")
        self.table = RowTable(self.COLUMNS, widget_id=f"{widget_id}-table")
        self.row_filter = RowFilter.parse("")
        self.overview: Overview | None = None
        self.now: datetime | None = None

    @property
    def currencies(self) -> Currencies:
        """The currencies amounts are printed in."""
        currencies: Currencies = self.app.treasury.settings.currencies  # type: ignore[attr-defined]
        return currencies

    def compose(self) -> ComposeResult:
        """Compose title, table, and what the pane has besides."""
        yield self.title_line
        yield self.table
        yield from self.compose_below()

    def compose_below(self) -> Iterator[Widget]:
        """Compose what is below the table."""
        yield from ()

    def on_mount(self) -> None:
        """Say that nothing has been read yet."""
        if self.overview is None:
            self.table.show(self.table.rows, [line(Span("Reading…", Tone.DIM))])
        self._show_title()

    def show(self, overview: Overview, now: datetime) -> None:
        """Show `overview`, ages as of `now`."""
        self.overview = overview
        self.now = now
        rows = self.rows(overview, now)
        shown = self.row_filter.apply(rows)
        self.table.show(shown, self.notice(overview, filtered=len(rows) > len(shown)))
        self._show_title()

    def filter_by(self, text: str) -> None:
        """Show only rows that pass the filter `text`."""
        self.row_filter = RowFilter.parse(text)
        self.show_again()

    def show_again(self) -> None:
        """Show the same overview, after the way to show it changed."""
        if self.overview is not None and self.now is not None:
            self.show(self.overview, self.now)

    def rows(self, overview: Overview, now: datetime) -> RowSource:
        """Return the pane's rows."""
        raise NotImplementedError

    def summary(self, overview: Overview, now: datetime) -> Sequence[Span]:
        """Return what the title says of the pane's content."""
        raise NotImplementedError

    def notice(self, overview: Overview, *, filtered: bool) -> Sequence[Line]:
        """Return what stands in the place of rows when there are none."""
        raise NotImplementedError

    def stamps(self) -> Iterator[Span]:
        """Yield what the title says about how the rows are shown."""
        if self.row_filter:
            yield Span(f" filter: {self.row_filter.text} ", Tone.BADGE)
            yield Span(" ")
        if self.table.position:
            yield Span(f"{self.table.position} ", Tone.DIM)

    def on_row_table_cursor_moved(self, event: RowTable.CursorMoved) -> None:
        """Tell the screen that another row is selected."""
        event.stop()
        self._show_title()
        self.selection_moved()
        self.post_message(self.SelectionChanged())

    def selection_moved(self) -> None:
        """Show what depends on the selected row."""

    def on_descendant_focus(self) -> None:
        """Show which pane has the keys."""
        self._show_title()

    def on_descendant_blur(self) -> None:
        """Show that another pane has the keys."""
        self._show_title()

    def _show_title(self) -> None:
        focused = self.table.has_focus
        mark = Span(" > " if focused else "   ", Tone.ACCENT)
        title = Span(f"{self.TITLE}  ", Tone.HEADING if focused else Tone.STRONG)
        summary: Sequence[Span] = ()
        if self.overview is not None and self.now is not None:
            summary = self.summary(self.overview, self.now)
        self.title_line.show([Line((mark, title, *summary), tuple(self.stamps()) or (Span(""),))])
