"""Text on the screen as data: spans of plain text with a tone, wrapped and cropped by terminal cells.

Nothing here, or in a widget that paints it, parses markup. A tone says what a text means; the style sheets say how that
looks. No tone is the only bearer of a meaning: the words say it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from rich.cells import cell_len, chop_cells, set_cell_size

from treasury_console.domain.text import safe_text

ELLIPSIS = "…"


class Tone(StrEnum):
    """What a span means."""

    PLAIN = "plain"
    STRONG = "strong"
    DIM = "dim"
    HEADING = "heading"
    ACCENT = "accent"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    BADGE = "badge"
    ALARM = "alarm"
    CURSOR = "cursor"
    CURSOR_BLURRED = "cursor-blurred"


class Span(NamedTuple):
    """A run of text in one tone."""

    text: str
    tone: Tone = Tone.PLAIN


Spans = tuple[Span, ...]


class Line(NamedTuple):
    """A line before it is fitted to a width: wrapped under `indent`, or cropped if it has a right-hand part."""

    left: Spans = ()
    right: Spans = ()
    indent: int = 0


def line(*parts: str | Span, right: Iterable[Span] = (), indent: int = 0) -> Line:
    """Return a line of `parts`, plain strings being plain spans."""
    return Line(tuple(Span(part) if isinstance(part, str) else part for part in parts), tuple(right), indent)


def visible(text: str) -> str:
    """Return `text` as it may go to a terminal. Presentation has made it safe; this is the last gate."""
    return text if text.isprintable() else safe_text(text)


def width_of(spans: Iterable[Span]) -> int:
    """Return the terminal cells that `spans` take."""
    return sum(cell_len(span.text) for span in spans)


def crop(text: str, width: int) -> str:
    """Return `text` in at most `width` cells, the last one an ellipsis if something was cut."""
    if cell_len(text) <= width:
        return text
    if cell_len(text.rstrip(" ")) <= width:
        return text.rstrip(" ")
    return set_cell_size(text, width - 1).rstrip() + ELLIPSIS if width > 0 else ""


def crop_middle(text: str, width: int) -> str:
    """Return `text` in at most `width` cells, cut in the middle: the end of an identifier tells it from others."""
    if cell_len(text) <= width:
        return text
    if width < 3 or len(text) != cell_len(text):
        return crop(text, width)
    head = min((width - 1) // 2, 4)
    return text[:head] + ELLIPSIS + text[-(width - 1 - head) :]


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Return `text` cropped or padded to exactly `width` cells, its end at the right edge if `right`."""
    cropped = crop(text, width)
    space = " " * (width - cell_len(cropped))
    return space + cropped if right else cropped + space


def fit(spans: Iterable[Span], width: int) -> Spans:
    """Return `spans` cropped to `width` cells."""
    fitted: list[Span] = []
    left = width
    for span in spans:
        cells = cell_len(span.text)
        if cells > left:
            fitted.append(Span(crop(span.text, left), span.tone))
            break
        fitted.append(span)
        left -= cells
    return tuple(span for span in fitted if span.text)


def joined_spans(spans: Iterable[Span]) -> Spans:
    """Return neighbours of one tone as one span: every span costs the bytes of its style."""
    joined: list[Span] = []
    for span in spans:
        if joined and joined[-1].tone is span.tone:
            joined[-1] = Span(joined[-1].text + span.text, span.tone)
        else:
            joined.append(span)
    return tuple(joined)


def wrap(source: Line, width: int) -> list[Spans]:
    """Return the rows that `source` takes at `width` cells; at least one."""
    if source.right:
        return [_justified(source, width)]
    if width_of(source.left) <= width:
        return [source.left]
    return _wrapped(source.left, max(width, 1), min(source.indent, max(width - 10, 0)))


def wrap_all(lines: Iterable[Line], width: int) -> list[Spans]:
    """Return the rows that `lines` take at `width` cells."""
    return [row for source in lines for row in wrap(source, width)]


def changed_cells(old: Sequence[Span], new: Sequence[Span]) -> tuple[int, int] | None:
    """Return the first changed cell and the one after the last, None if the rows look the same.

    Rows with characters that are not one cell wide count as changed over their whole width.
    """
    if tuple(old) == tuple(new):
        return None
    before, after = _cells(old), _cells(new)
    longest = max(len(before), len(after))
    if len(before) != width_of(old) or len(after) != width_of(new):
        return 0, max(width_of(old), width_of(new))
    before += [(" ", Tone.PLAIN)] * (longest - len(before))
    after += [(" ", Tone.PLAIN)] * (longest - len(after))
    different = [index for index in range(longest) if before[index] != after[index]]
    return (different[0], different[-1] + 1) if different else None


def _cells(spans: Iterable[Span]) -> list[tuple[str, Tone]]:
    return [(character, span.tone) for span in spans for character in span.text]


def _justified(source: Line, width: int) -> Spans:
    right = fit(source.right, width)
    left = fit(source.left, max(width - width_of(right) - 1, 0))
    gap = " " * (width - width_of(left) - width_of(right))
    return (*left, Span(gap), *right) if gap else (*left, *right)


def _wrapped(spans: Spans, width: int, indent: int) -> list[Spans]:
    rows: list[list[Span]] = [[]]
    column = 0
    for word, tone in _words(spans):
        for piece in _pieces(word, width - indent):
            cells = cell_len(piece)
            if column + cells > width and not piece.isspace():
                rows.append([Span(" " * indent)] if indent else [])
                column = indent
            elif column + cells > width or (piece.isspace() and len(rows) > 1 and column == indent):
                continue
            rows[-1].append(Span(piece, tone))
            column += cells
    return [_trimmed(row) for row in rows]


def _words(spans: Spans) -> Iterator[tuple[str, Tone]]:
    for text, tone in spans:
        start = 0
        for end in range(1, len(text) + 1):
            if end == len(text) or (text[end] == " ") != (text[end - 1] == " "):
                yield text[start:end], tone
                start = end


def _pieces(word: str, width: int) -> list[str]:
    return [word] if cell_len(word) <= width or word.isspace() else chop_cells(word, width)


def _trimmed(spans: Iterable[Span]) -> Spans:
    """Return `spans` joined, blanks at the end gone."""
    joined = list(joined_spans(spans))
    if joined:
        joined[-1] = Span(joined[-1].text.rstrip(" "), joined[-1].tone)
    return tuple(span for span in joined if span.text)
