"""Lines of text that wrap to the widget's width and scroll by rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message

from treasury_console.tui.actions import Scope, bindings_for
from treasury_console.tui.lines import Line, Spans, wrap_all
from treasury_console.tui.widgets.painted_lines import PaintedLines

_WHEEL_ROWS = 3


class TextLines(PaintedLines):
    """Text that only changes its content; as tall as the style sheet says, cut at the bottom."""

    def __init__(self, *, widget_id: str | None = None, classes: str | None = None) -> None:
        super().__init__(widget_id=widget_id, classes=classes)
        self._lines: tuple[Line, ...] = ()
        self._rows: list[Spans] = []
        self._top = 0

    def show(self, lines: Iterable[Line]) -> None:
        """Show `lines` instead of what is shown; what stays the same is not sent again."""
        self._lines = tuple(lines)
        self._fit()

    @property
    def lines(self) -> tuple[Line, ...]:
        """What is shown."""
        return self._lines

    def row_at(self, y: int) -> Spans:
        """Return the wrapped row at `y`, scrolling considered."""
        index = self._top + y
        return self._rows[index] if index < len(self._rows) else ()

    def on_resize(self) -> None:
        """Wrap to the new width."""
        self._fit()

    def _fit(self) -> None:
        self._rows = wrap_all(self._lines, self.size.width) if self.size.width else []
        self._show_from(self._top)

    def _show_from(self, top: int) -> None:
        self._top = max(min(top, len(self._rows) - self.size.height), 0)
        self.repaint()


class ScrollingText(TextLines, can_focus=True):
    """Text that can be longer than its place; the cursor keys scroll it."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.CURSOR)

    class Scrolled(Message):
        """What can be seen has changed."""

    def __init__(self, *, widget_id: str | None = None, classes: str | None = None) -> None:
        super().__init__(widget_id=widget_id, classes=classes)
        self._told = ""

    @property
    def position(self) -> str:
        """Which rows can be seen, empty when all can."""
        total, height = len(self._rows), self.size.height
        if total <= height:
            return ""
        return f"lines {self._top + 1}-{min(self._top + height, total)} of {total}"

    def action_cursor_up(self) -> None:
        """Scroll up one row."""
        self._show_from(self._top - 1)

    def action_cursor_down(self) -> None:
        """Scroll down one row."""
        self._show_from(self._top + 1)

    def action_page_up(self) -> None:
        """Scroll up one page."""
        self._show_from(self._top - max(self.size.height - 1, 1))

    def action_page_down(self) -> None:
        """Scroll down one page."""
        self._show_from(self._top + max(self.size.height - 1, 1))

    def action_first(self) -> None:
        """Scroll to the beginning."""
        self._show_from(0)

    def action_last(self) -> None:
        """Scroll to the end."""
        self._show_from(len(self._rows))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll with the wheel."""
        event.stop()
        self._show_from(self._top - _WHEEL_ROWS)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll with the wheel."""
        event.stop()
        self._show_from(self._top + _WHEEL_ROWS)

    def _show_from(self, top: int) -> None:
        super()._show_from(top)
        if self.position != self._told:
            self._told = self.position
            self.post_message(self.Scrolled())
