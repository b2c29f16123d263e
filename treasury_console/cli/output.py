"""How results are written: aligned tables and wrapped text for people, one JSON document for programs.

Text from outside reaches a table through `safe_text`; JSON carries it as it is, every control character escaped.
Colour is stripped by `click.echo` when stdout is not a terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from treasury_console.cli.failures import fail, say
from treasury_console.domain.errors import INTERNAL_ERROR
from treasury_console.domain.text import safe_text

if TYPE_CHECKING:
    from treasury_console.domain.errors import ExitStatus

WIDTH = 80
"""Columns that a page of text keeps to."""

GAP = 2
"""Spaces between columns, at least."""

GOOD, CAUTION, BAD, MUTED = "green", "yellow", "red", "bright_black"


class Painted(NamedTuple):
    """A cell with a colour."""

    text: str
    colour: str


Cell = str | Painted


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]], pitches: Sequence[int] = ()) -> str:
    """Return an aligned table, columns left-aligned.

    `pitches` are column distances to keep to, as the runbook prints them, where every cell leaves a space; a wider
    column is followed by two spaces.
    """
    body = [[_safe(cell) for cell in row] for row in rows]
    pitch = [
        _pitch(max(display_width(_text(row[index])) for row in (header, *body)), pitches[index : index + 1])
        for index in range(len(header))
    ]
    lines = [_line(header, pitch)]
    lines += [_line(row, pitch) for row in body]
    return "\n".join(lines)


def write(text: str) -> None:
    """Write text to stdout; raise `click.exceptions.Exit` when it cannot be written, on a full disk for one."""
    try:
        click.echo(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        fail(f"the output could not be written: {error.strerror}")
        raise click.exceptions.Exit(INTERNAL_ERROR) from None


def write_document(document: Any) -> None:
    """Write one JSON document to stdout, in ASCII; indented when a person is reading."""
    import json

    text = json.dumps(document, ensure_ascii=True, allow_nan=False, indent=2 if sys.stdout.isatty() else None)
    write(text)


def progress(message: str) -> None:
    """Say what is being done, if a person is watching."""
    if sys.stderr.isatty():
        say(f"{message} ...")


def paint(text: str, colour: str) -> str:
    """Return `text` in a colour."""
    return click.style(text, fg=colour)


def wrapped(text: str, *, indent: int = 0, label: str = "", width: int = WIDTH) -> str:
    """Return `text` wrapped to `width` behind `label`, every further line indented to where the text began."""
    import textwrap

    lead = label.ljust(indent)
    return "\n".join(
        textwrap.wrap(safe_text(text), width, initial_indent=lead, subsequent_indent=" " * len(lead)) or [lead.rstrip()]
    )


def display_width(text: str) -> int:
    """Return how many terminal columns `text` takes."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def worst(statuses: Iterable[ExitStatus]) -> ExitStatus:
    """Return the status that matters most of several: wrong money, then what is unknown, refused, pending, done."""
    from treasury_console.domain.errors import ExitStatus

    order = (
        ExitStatus.DISCREPANCY,
        ExitStatus.UNREACHABLE,
        ExitStatus.REFUSED,
        ExitStatus.USAGE,
        ExitStatus.PENDING,
        ExitStatus.DONE,
    )
    return min(statuses, key=order.index, default=ExitStatus.DONE)


def _pitch(longest: int, wanted: Sequence[int]) -> int:
    if wanted and longest < wanted[0]:
        return wanted[0]
    return longest + GAP


def _line(cells: Sequence[Cell], pitch: Sequence[int]) -> str:
    parts = []
    for index, cell in enumerate(cells):
        text = _text(cell)
        padding = " " * (pitch[index] - display_width(text)) if index < len(cells) - 1 else ""
        parts.append((paint(text, cell.colour) if isinstance(cell, Painted) else text) + padding)
    return "".join(parts).rstrip(" ")


def _safe(cell: Cell) -> Cell:
    return Painted(safe_text(cell.text), cell.colour) if isinstance(cell, Painted) else safe_text(cell)


def _text(cell: Cell) -> str:
    return cell.text if isinstance(cell, Painted) else cell
