"""Fitting a table's columns into a width: first narrower, then fewer; amounts are never cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from treasury_console.tui.lines import crop, pad

GAP = 1


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `least` cells if it may be cut (0: never cut), dropped the earlier the higher its `rank` (0: never).

    `grows` takes the room that is left; `right` puts its text at the right edge.
    """

    title: str
    rank: int = 0
    least: int = 0
    right: bool = False
    grows: bool = False
    cut: Callable[[str, int], str] = crop

    def cell(self, text: str, width: int) -> str:
        """Return `text` in exactly `width` cells."""
        return pad(self.cut(text, width), width, right=self.right)


@dataclass(frozen=True, slots=True)
class Place:
    """A column that is shown: which one, from which cell on, how wide."""

    index: int
    start: int
    width: int


def place_columns(columns: Sequence[Column], widest: Sequence[int], room: int) -> list[Place]:
    """Return the columns that fit into `room` cells, in order."""
    wanted = [
        max(len(column.title), widest[index] if index < len(widest) else 0) for index, column in enumerate(columns)
    ]
    shown = list(range(len(columns)))
    while True:
        widths = _narrowed(columns, wanted, shown, room)
        droppable = [index for index in shown if columns[index].rank]
        if sum(widths.values()) + GAP * (len(shown) - 1) <= room or not droppable:
            return _placed(columns, shown, widths, room)
        shown.remove(max(droppable, key=lambda index: columns[index].rank))


def _narrowed(columns: Sequence[Column], wanted: Sequence[int], shown: Sequence[int], room: int) -> dict[int, int]:
    """Return widths that fit, or come near: what may be cut is, from the first column on, what grows last of all."""
    widths = {index: wanted[index] for index in shown}
    excess = sum(widths.values()) + GAP * (len(shown) - 1) - room
    for index in sorted(shown, key=lambda index: (columns[index].grows, index)):
        least = columns[index].least
        if excess > 0 and 0 < least < widths[index]:
            saved = min(widths[index] - least, excess)
            widths[index] -= saved
            excess -= saved
    return widths


def _placed(columns: Sequence[Column], shown: Sequence[int], widths: dict[int, int], room: int) -> list[Place]:
    spare = room - sum(widths.values()) - GAP * (len(shown) - 1)
    growing = [index for index in shown if columns[index].grows]
    if growing and spare > 0:
        widths[growing[0]] += spare
    places, start = [], 0
    for index in shown:
        places.append(Place(index, start, widths[index]))
        start += widths[index] + GAP
    return places
