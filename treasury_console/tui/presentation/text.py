"""How amounts, ages, times and names are written on every screen. All text from outside becomes safe here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from treasury_console.domain.durations import format_duration
from treasury_console.domain.errors import InvalidRequest
from treasury_console.domain.money import Currencies
from treasury_console.domain.text import safe_text
from treasury_console.tui.lines import Line, Span, Tone, crop, line, pad

NAME_LIMIT = 160
_MINUTE = timedelta(minutes=1)
_LABEL_WIDTH = 13


def money(currencies: Currencies, minor: int, code: str) -> str:
    """Return `minor` units as a decimal; as they are, and said so, if the configuration does not know the currency."""
    try:
        return currencies.format(minor, code)
    except InvalidRequest:
        return f"{minor} minor units"


def age(since: datetime, now: datetime) -> str:
    """Return how long ago `since` was, in its largest whole unit; below a minute "<1m", to change once a minute."""
    passed = now - since
    if passed < _MINUTE:
        return "<1m"
    if passed < 2 * _MINUTE:
        return "1m"
    return format_duration(passed)


def utc(instant: datetime) -> str:
    """Return `instant` to the second, in UTC."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def clock(instant: datetime) -> str:
    """Return the time of day to the minute, in UTC."""
    return f"{instant.astimezone(UTC):%H:%M} UTC"


def name(text: str) -> str:
    """Return a name or a reference from outside, made safe."""
    return safe_text(text, NAME_LIMIT)


def names(texts: Iterable[str]) -> str:
    """Return several names, as the runbook joins them."""
    return ",".join(name(text) for text in texts)


def count(number: int, singular: str, plural: str = "") -> str:
    """Return "1 finding", "2 findings"."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def heading(text: str) -> Line:
    """Return the heading of a part of a screen."""
    return line(Span(text, Tone.HEADING))


def fact(label: str, *values: str | Span) -> Line:
    """Return a labelled fact, wrapped under its value."""
    return line(Span(pad(label, _LABEL_WIDTH), Tone.DIM), *values, indent=_LABEL_WIDTH)


def columns(*cells: tuple[str, int], tone: Tone = Tone.PLAIN, rest: str = "", indent: int = 2) -> Line:
    """Return cells padded to their widths, and `rest` after them, wrapped under itself."""
    text = " " * indent + " ".join(pad(crop(text, width), width) for text, width in cells)
    return line(Span(f"{text} ", tone), Span(rest, tone), indent=len(text) + 1)
