"""The line at the bottom: the keys of the screen, made from the registry; what cannot be done now has no key."""

from __future__ import annotations

from collections.abc import Iterable

from treasury_console.tui.actions import ConsoleAction, key_display
from treasury_console.tui.lines import Span, Spans, Tone, width_of
from treasury_console.tui.widgets.painted_lines import PaintedLines

_NO_KEY = "-"


class ActionFooter(PaintedLines):
    """Keys and labels, as many as fit: what cannot be done now goes first, what has rank 0 never."""

    def __init__(self) -> None:
        super().__init__(classes="action-footer")
        self._entries: list[tuple[ConsoleAction, str, bool]] = []

    def show(self, entries: Iterable[tuple[ConsoleAction, str, bool]]) -> None:
        """Show actions with their keys and whether they can be done now."""
        self._entries = list(entries)
        self.repaint()

    def row_at(self, y: int) -> Spans:
        """Return the line."""
        if y:
            return ()
        room = self.size.width - 1
        wide = [_spans(action, key, possible, gap="  ") for action, key, possible in self._entries]
        if sum(map(width_of, wide)) <= room:
            return (Span(" "), *(span for spans in wide for span in spans))
        close = [_spans(action, key, possible, gap=" ") for action, key, possible in self._entries]
        kept = list(range(len(close)))
        while sum(width_of(close[index]) for index in kept) > room:
            droppable = [index for index in kept if self._entries[index][0].rank]
            if not droppable:
                break
            kept.remove(max(droppable, key=self._drop_first))
        return (Span(" "), *(span for index in kept for span in close[index]))

    def _drop_first(self, index: int) -> tuple[bool, int, int]:
        action, _, possible = self._entries[index]
        return (not possible, action.rank, index)


def _spans(action: ConsoleAction, key: str, possible: bool, *, gap: str) -> Spans:
    if not possible:
        return (Span(f"{_NO_KEY} {action.label}{gap}", Tone.DIM),)
    return (Span(key_display(key), Tone.ACCENT), Span(f" {action.label}{gap}"))
