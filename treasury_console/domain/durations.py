"""Durations and ages as people write them: `30s 5m 12h 7d 2w`, `">5m"`, `">=1h"`, `"<2d"` (product.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from treasury_console.domain.errors import InvalidRequest
from treasury_console.domain.text import safe_text

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(?P<count>[0-9]{1,9})(?P<unit>[smhdw])")
_AGE = re.compile(r"(?P<comparison>>=|<=|>|<)?\s*(?P<duration>[0-9]{1,9}[smhdw])")


def parse_duration(text: str) -> timedelta:
    """Return the duration `text` names; a day is 24 hours, a week 7 days. Raise InvalidRequest otherwise."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise InvalidRequest(f"{safe_text(text, 20)!r} is not a duration; write it like 30s, 5m, 12h, 7d or 2w")
    seconds = int(match["count"]) * _UNIT_SECONDS[match["unit"]]
    if seconds > 3_650 * 86_400:
        raise InvalidRequest(f"{safe_text(text, 20)!r} is longer than ten years")
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """Return `duration` rounded down in a unit of which it has two or more: "90s", "12m", "3h"; never negative."""
    seconds = max(int(duration.total_seconds()), 0)
    for unit, size, until in (("s", 1, 120), ("m", 60, 7_200), ("h", 3_600, 172_800)):
        if seconds < until:
            return f"{seconds // size}{unit}"
    return f"{seconds // 86_400}d"


@dataclass(frozen=True, slots=True)
class AgeFilter:
    """A comparison with an age: the ages `matches` accepts. A bare duration means "older than"."""

    comparison: str
    duration: timedelta

    @classmethod
    def parse(cls, text: str) -> AgeFilter:
        """Return the filter `text` names (">5m", ">=1h", "<2d", "5m"); raise InvalidRequest otherwise."""
        match = _AGE.fullmatch(text.strip())
        if match is None:
            raise InvalidRequest(f'{safe_text(text, 20)!r} is not an age; write it like ">5m", ">=1h" or "<2d"')
        return cls(match["comparison"] or ">", parse_duration(match["duration"]))

    def matches(self, age: timedelta) -> bool:
        """Say whether `age` passes the filter."""
        return {
            ">": age > self.duration,
            ">=": age >= self.duration,
            "<": age < self.duration,
            "<=": age <= self.duration,
        }[self.comparison]


def parse_date(text: str) -> date:
    """Return the calendar day `text` names as YYYY-MM-DD; raise InvalidRequest otherwise."""
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{safe_text(text, 20)!r} is not a date; write it like 2025-12-30") from None


def end_of_utc_day(day: date) -> datetime:
    """Return the first instant after the UTC day `day`: days are half-open, never "23:59:59"."""
    if day == date.max:
        raise InvalidRequest(f"{day} is out of range")
    return datetime.combine(day + timedelta(days=1), time.min, tzinfo=UTC)


def iso_utc(instant: datetime) -> str:
    """Return `instant` as UTC ISO 8601 with microseconds and `Z`; raise ValueError for a naive one."""
    if instant.tzinfo is None:
        raise ValueError("a naive datetime is no instant")
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
