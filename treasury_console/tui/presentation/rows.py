"""Rows of a table, made only when someone looks at them: a table of a million rows makes those on the screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from rich.cells import cell_len

from treasury_console.tui.lines import Tone

_Entry = TypeVar("_Entry")
_NEIGHBOURHOOD = 200


class Row(NamedTuple):
    """A row: `key` names what it is about, `tones` are those of its cells (plain where it is shorter).

    `search` is what a filter looks at besides the cells.
    """

    key: str
    cells: tuple[str, ...]
    tones: tuple[Tone, ...] = ()
    search: str = ""


class RowSource(Protocol):
    """The rows of a table, and the width of the widest cell of each column."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Cells the widest text of each column takes."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Row: ...

    def key_at(self, index: int) -> str:
        """Return the key of a row without making the row."""
        ...

    def entry_at(self, index: int) -> object:
        """Return what the row is made from."""
        ...


class MadeRows(Generic[_Entry]):
    """Rows made from `entries` one by one and remembered; `key` tells a row's key without making it."""

    def __init__(
        self,
        entries: Sequence[_Entry],
        make: Callable[[_Entry], Row],
        key: Callable[[_Entry], str],
        widths: tuple[int, ...] | None = None,
    ) -> None:
        self.entries = entries
        self._make = make
        self._key = key
        self._made: dict[int, Row] = {}
        self.widths = widths if widths is not None else widest(self)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Row:
        row = self._made.get(index)
        if row is None:
            row = self._made[index] = self._make(self.entries[index])
        return row

    def key_at(self, index: int) -> str:
        """Return the key of a row without making the row."""
        return self._key(self.entries[index])

    def entry_at(self, index: int) -> _Entry:
        """Return what the row is made from."""
        return self.entries[index]


class ChosenRows:
    """Some rows of a source, in the source's order."""

    def __init__(self, source: RowSource, indexes: Sequence[int]) -> None:
        self.source = source
        self.indexes = indexes
        self.widths = source.widths

    def __len__(self) -> int:
        return len(self.indexes)

    def __getitem__(self, index: int) -> Row:
        return self.source[self.indexes[index]]

    def key_at(self, index: int) -> str:
        """Return the key of a row without making the row."""
        return self.source.key_at(self.indexes[index])

    def entry_at(self, index: int) -> object:
        """Return what the row is made from."""
        return self.source.entry_at(self.indexes[index])


def widest(rows: RowSource) -> tuple[int, ...]:
    """Return the widest cell of each column, by looking at every row."""
    widths: list[int] = []
    for index in range(len(rows)):
        cells = rows[index].cells
        widths += [0] * (len(cells) - len(widths))
        for column, cell in enumerate(cells):
            widths[column] = max(widths[column], cell_len(cell))
    return tuple(widths)


NO_ROWS: RowSource = MadeRows[Row]((), lambda row: row, lambda row: row.key)


def find_key(rows: RowSource, key: str | None, near: int) -> int | None:
    """Return the index of `key`, looked for around `near` first; None if it is not there."""
    if key is None:
        return None
    around = range(max(near - _NEIGHBOURHOOD, 0), min(near + _NEIGHBOURHOOD, len(rows)))
    for indexes in (around, range(len(rows))):
        for index in indexes:
            if rows.key_at(index) == key:
                return index
    return None


class RowFilter(NamedTuple):
    """Words that must all be in a row, in any column, and words (written with `!`) that must not. Case is ignored."""

    text: str
    wanted: tuple[str, ...]
    unwanted: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> RowFilter:
        """Return the filter `text` states; nothing but blanks filters nothing."""
        words = text.lower().split()
        return cls(
            text.strip(),
            tuple(word for word in words if not word.startswith("!")),
            tuple(word[1:] for word in words if len(word) > 1 and word.startswith("!")),
        )

    def __bool__(self) -> bool:
        """Whether it filters anything."""
        return bool(self.wanted or self.unwanted)

    def apply(self, rows: RowSource) -> RowSource:
        """Return those of `rows` that pass."""
        if not self:
            return rows
        return ChosenRows(rows, [index for index in range(len(rows)) if self._passes(rows[index])])

    def _passes(self, row: Row) -> bool:
        text = " ".join((*row.cells, row.search)).lower()
        return all(word in text for word in self.wanted) and not any(word in text for word in self.unwanted)
