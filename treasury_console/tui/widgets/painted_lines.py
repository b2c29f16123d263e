"""The base of every widget here: rows of spans, and a repaint that sends only the cells that changed.

A subclass says what stands on each row (`row_at`); after any change of its own state it calls `repaint`, which compares
what stands there now with what was painted last. An unchanged row costs no byte, a changed cell only itself.
"""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from treasury_console.tui.lines import Span, Spans, Tone, changed_cells, fit, joined_spans, visible, width_of

_COMPONENT = "tone--"


class PaintedLines(Widget):
    """A widget of rows of spans. Subclasses implement `row_at`."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {_COMPONENT + tone.value for tone in Tone}
    ALLOW_SELECT = False

    def __init__(self, *, widget_id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=widget_id, classes=classes)
        self._painted: dict[int, Spans] = {}

    def row_at(self, y: int) -> Spans:
        """Return what stands on row `y` of the widget, which may be shorter or longer than the row."""
        raise NotImplementedError

    def repaint(self) -> None:
        """Send the cells that differ from what was painted last."""
        width = self.size.width
        for y in range(self.size.height):
            painted = self._painted.get(y)
            if painted is None:
                continue  # Not painted yet: the first paint is on its way and will call row_at.
            changed = changed_cells(painted, self._row(y))
            if changed is not None:
                start, end = max(changed[0], 0), min(changed[1], width)
                self.refresh(Region(start, y, end - start, 1))

    def render_line(self, y: int) -> Strip:
        """Return row `y` for Textual's compositor."""
        spans = self._row(y)
        self._painted[y] = spans
        segments = [Segment(span.text, self._style(span.tone)) for span in spans]
        return Strip(segments, width_of(spans)).adjust_cell_length(self.size.width, self._style(Tone.PLAIN))

    def on_resize(self) -> None:
        """Forget rows that no longer exist."""
        self._painted.clear()
        self.refresh()

    def _row(self, y: int) -> Spans:
        return fit(joined_spans(Span(visible(text), tone) for text, tone in self.row_at(y)), self.size.width)

    def _style(self, tone: Tone) -> Style:
        return self.get_component_rich_style(_COMPONENT + tone.value)
