"""A table of any length that paints the rows on the screen and no others.

The rows come from a `RowSource`, which makes a row when it is looked at. The cursor stays on the same key when rows
come and go. A row that changes sends its changed cells, a row off the screen nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import BindingType
from textual.message import Message

from treasury_console.tui.actions import Scope, bindings_for
from treasury_console.tui.columns import GAP, Column, Place, place_columns
from treasury_console.tui.lines import Line, Span, Spans, Tone, wrap_all
from treasury_console.tui.presentation.rows import NO_ROWS, Row, RowSource, find_key
from treasury_console.tui.widgets.painted_lines import PaintedLines

_HEADER_ROWS = 1
_MARGIN = 2
_POINTER, _NO_POINTER = "> ", "  "
_WHEEL_ROWS = 3


class RowTable(PaintedLines, can_focus=True):
    """A header and rows, one of them under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.CURSOR)

    class CursorMoved(Message):
        """Another row is under the cursor, or what can be seen has changed."""

    def __init__(self, columns: Sequence[Column], *, widget_id: str | None = None) -> None:
        super().__init__(widget_id=widget_id)
        self._columns = columns
        self._rows: RowSource = NO_ROWS
        self._places: list[Place] = []
        self._notice: tuple[Line, ...] = ()
        self._cursor = 0
        self._cursor_key: str | None = None
        self._top = 0

    @property
    def rows(self) -> RowSource:
        """The rows, as given."""
        return self._rows

    @property
    def cursor(self) -> int:
        """Index of the row under the cursor; 0 if there are no rows."""
        return self._cursor

    @property
    def cursor_row(self) -> Row | None:
        """The row under the cursor."""
        return self._rows[self._cursor] if len(self._rows) else None

    @property
    def cursor_entry(self) -> object:
        """What the row under the cursor is made from; None if there are no rows."""
        return self._rows.entry_at(self._cursor) if len(self._rows) else None

    @property
    def position(self) -> str:
        """Which rows can be seen, empty when all can."""
        total, page = len(self._rows), self._page
        if total <= page:
            return ""
        return f"{self._top + 1:,}-{min(self._top + page, total):,} of {total:,}"

    def show(self, rows: RowSource, notice: Iterable[Line] = ()) -> None:
        """Show `rows`, or `notice` when there are none. The cursor stays on its key, at its place on the screen."""
        before = (self._cursor_key, self._top, len(self._rows))
        moved_to = find_key(rows, self._cursor_key, self._cursor)
        shift = (moved_to if moved_to is not None else self._cursor) - self._cursor
        self._rows = rows
        self._notice = tuple(notice)
        if moved_to is not None:
            self._cursor = moved_to
            self._top += shift
        self._settle(before)

    def move_to(self, index: int) -> None:
        """Put the cursor on the row at `index`, or on the nearest there is."""
        before = (self._cursor_key, self._top, len(self._rows))
        self._cursor = index
        self._settle(before)

    def row_at(self, y: int) -> Spans:
        """Return the header, a row, or a line of the notice."""
        if y < _HEADER_ROWS:
            return self._header()
        index = self._top + y - _HEADER_ROWS
        if index < len(self._rows):
            return self._body(index)
        if not len(self._rows):
            notice = wrap_all(self._notice, self.size.width - _MARGIN)
            return (Span(_NO_POINTER), *notice[index]) if index < len(notice) else ()
        return ()

    def on_resize(self) -> None:
        """Fit the columns to the new width."""
        self._settle((self._cursor_key, self._top, -1))

    def on_focus(self) -> None:
        """Show that the cursor moves here."""
        self.repaint()

    def on_blur(self) -> None:
        """Show that the cursor moves elsewhere."""
        self.repaint()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Put the cursor on the row that was pressed. Nothing in a row can be clicked."""
        if event.y >= _HEADER_ROWS:
            self.move_to(self._top + event.y - _HEADER_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move with the wheel."""
        event.stop()
        self.move_to(self._cursor - _WHEEL_ROWS)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move with the wheel."""
        event.stop()
        self.move_to(self._cursor + _WHEEL_ROWS)

    def action_cursor_up(self) -> None:
        """Move one row up."""
        self.move_to(self._cursor - 1)

    def action_cursor_down(self) -> None:
        """Move one row down."""
        self.move_to(self._cursor + 1)

    def action_page_up(self) -> None:
        """Move one page up."""
        self.move_to(self._cursor - self._page)

    def action_page_down(self) -> None:
        """Move one page down."""
        self.move_to(self._cursor + self._page)

    def action_first(self) -> None:
        """Move to the first row."""
        self.move_to(0)

    def action_last(self) -> None:
        """Move to the last row."""
        self.move_to(len(self._rows) - 1)

    @property
    def _page(self) -> int:
        return max(self.size.height - _HEADER_ROWS, 1)

    def _settle(self, before: tuple[str | None, int, int]) -> None:
        """Bring cursor and view into range, fit the columns, repaint, and tell if something moved."""
        self._cursor = max(min(self._cursor, len(self._rows) - 1), 0)
        row = self.cursor_row
        self._cursor_key = row.key if row else None
        self._top = max(min(self._top, self._cursor, len(self._rows) - self._page), self._cursor - self._page + 1, 0)
        self._places = place_columns(self._columns, self._rows.widths, self.size.width - _MARGIN)
        self.repaint()
        if before != (self._cursor_key, self._top, len(self._rows)):
            self.post_message(self.CursorMoved())

    def _header(self) -> Spans:
        cells = [
            self._columns[place.index].cell(self._columns[place.index].title, place.width) for place in self._places
        ]
        return (Span(_NO_POINTER + (" " * GAP).join(cells), Tone.DIM),)

    def _body(self, index: int) -> Spans:
        row = self._rows[index]
        cells = [
            self._columns[place.index].cell(row.cells[place.index] if place.index < len(row.cells) else "", place.width)
            for place in self._places
        ]
        if index == self._cursor:
            text = _POINTER + (" " * GAP).join(cells)
            tone = Tone.CURSOR if self.has_focus else Tone.CURSOR_BLURRED
            return (Span(text + " " * (self.size.width - cell_len(text)), tone),)
        spans = [Span(_NO_POINTER)]
        for place, cell in zip(self._places, cells, strict=True):
            tone = row.tones[place.index] if place.index < len(row.tones) else Tone.PLAIN
            spans.append(Span(cell + " " * GAP, tone))
        return tuple(spans)
