"""Durations, ages, days and instants, as people write them and as they are shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treasury_console.domain.durations import (
    AgeFilter,
    end_of_utc_day,
    format_duration,
    iso_utc,
    parse_date,
    parse_duration,
)
from treasury_console.domain.errors import ExitStatus, InvalidRequest

from .repeatable import any_text, refusal_of, repeatable

TEN_YEARS = timedelta(days=3_650)
UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
durations = st.timedeltas(timedelta(0), TEN_YEARS)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(days=14)),
        ("0s", timedelta(0)),
        ("007m", timedelta(minutes=7)),
        (" 5m ", timedelta(minutes=5)),
        ("3650d", TEN_YEARS),
        ("315360000s", TEN_YEARS),
    ],
)
def test_a_duration_is_a_count_and_a_unit(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@repeatable
@given(st.integers(0, 4_000) | st.integers(0, 999_999_999), st.sampled_from(sorted(UNITS)))
def test_every_count_of_every_unit_is_exact_up_to_ten_years(count: int, unit: str) -> None:
    seconds = count * int(UNITS[unit].total_seconds())
    if seconds <= TEN_YEARS.total_seconds():
        assert parse_duration(f"{count}{unit}") == timedelta(seconds=seconds)
    else:
        with pytest.raises(InvalidRequest, match="longer than ten years"):
            parse_duration(f"{count}{unit}")


@pytest.mark.parametrize("text", ["3651d", "315360001s", "522w", "999999999w"])
def test_a_duration_beyond_ten_years_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="longer than ten years"):
        parse_duration(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "5",
        "m",
        "5 m",
        "-5m",
        "+5m",
        "5M",
        "5min",
        "1h30m",
        "1.5h",
        "1e3s",
        "5y",
        "\u0665m",  # Arabic-Indic five
        "\uff15m",  # full-width five
        "1_0s",
        "1,000s",
        "1234567890s",
        "5m\x00",
        ">5m",
        "nan",
    ],
)
def test_anything_else_is_not_a_duration(text: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_duration(text)
    assert refusal.value.exit_status is ExitStatus.USAGE
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("read", [parse_duration, AgeFilter.parse, parse_date])
def test_a_refusal_of_a_long_text_is_short(read: Callable[[str], object]) -> None:
    told = refusal_of(partial(read, "x" * 5_000))
    assert told is not None
    assert len(told) < 100


@repeatable
@given(any_text)
def test_no_text_makes_reading_a_duration_or_an_age_fail_otherwise_than_by_refusing_it(text: str) -> None:
    readers: tuple[Callable[[str], object], ...] = (parse_duration, AgeFilter.parse, parse_date)
    for read in readers:
        refusal = refusal_of(partial(read, text))
        assert refusal is None or refusal.isprintable()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (45, "45s"),
        (119, "119s"),
        (120, "2m"),
        (720, "12m"),
        (7_199, "119m"),
        (7_200, "2h"),
        (10_800, "3h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (777_600, "9d"),
        (86_400 * 400, "400d"),
    ],
)
def test_a_duration_is_shown_in_one_unit(seconds: int, shown: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == shown


@repeatable
@given(durations)
def test_a_duration_is_shown_rounded_down_by_less_than_its_unit_and_never_by_half(duration: timedelta) -> None:
    shown = format_duration(duration)
    assert re.fullmatch(r"[0-9]+[smhd]", shown)
    read = parse_duration(shown)
    assert read <= duration < read + UNITS[shown[-1]]
    assert duration < timedelta(seconds=1) or read * 2 > duration


@repeatable
@given(durations, durations)
def test_a_longer_duration_is_never_shown_as_a_shorter_one(one: timedelta, other: timedelta) -> None:
    shorter, longer = sorted((one, other))
    assert parse_duration(format_duration(shorter)) <= parse_duration(format_duration(longer))


@repeatable
@given(st.timedeltas(max_value=timedelta(0)))
def test_a_negative_duration_is_shown_as_none(duration: timedelta) -> None:
    assert format_duration(duration) == "0s"


@pytest.mark.parametrize(
    ("text", "comparison"),
    [(">5m", ">"), (">=5m", ">="), ("<5m", "<"), ("<=5m", "<="), ("5m", ">"), (" >= 5m ", ">="), ("> 5m", ">")],
)
def test_an_age_is_a_comparison_with_a_duration_and_older_when_nothing_is_said(text: str, comparison: str) -> None:
    assert AgeFilter.parse(text) == AgeFilter(comparison, timedelta(minutes=5))


@pytest.mark.parametrize(
    "text",
    ["", ">", "=5m", "==5m", "=>5m", "<>5m", "!=5m", ">>5m", "> =5m", "5m>", ">-5m", ">5", "\u22655m", ">5m <9m"],
)
def test_anything_else_is_not_an_age(text: str) -> None:
    with pytest.raises(InvalidRequest, match="is not an age"):
        AgeFilter.parse(text)


def test_an_age_beyond_ten_years_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="longer than ten years"):
        AgeFilter.parse(">9999d")


@repeatable
@given(durations, st.sampled_from([timedelta(0), timedelta(microseconds=1), timedelta(days=1)]))
def test_an_age_filter_accepts_what_its_comparison_says(limit: timedelta, step: timedelta) -> None:
    below, above = limit - step, limit + step
    strict = step > timedelta(0)
    assert AgeFilter(">", limit).matches(above) is strict
    assert AgeFilter("<", limit).matches(below) is strict
    assert AgeFilter(">=", limit).matches(above)
    assert AgeFilter("<=", limit).matches(below)
    assert AgeFilter(">=", limit).matches(below) is AgeFilter("<=", limit).matches(above) is not strict


@repeatable
@given(durations, durations)
def test_an_age_passes_exactly_one_of_a_filter_and_its_opposite(limit: timedelta, age: timedelta) -> None:
    assert AgeFilter(">", limit).matches(age) is not AgeFilter("<=", limit).matches(age)
    assert AgeFilter("<", limit).matches(age) is not AgeFilter(">=", limit).matches(age)


@repeatable
@given(st.dates())
def test_a_day_is_read_as_it_is_written(day: date) -> None:
    assert parse_date(day.isoformat()) == day


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2025-02-29",
        "2025-13-01",
        "2025-00-10",
        "0000-01-01",
        "2025-1-1",
        "20251230",
        "2025-W52-1",
        "30.12.2025",
        "2025-12-30T00:00",
        " 2025-12-30",
        "2025-12-30\n",
        "\u0662\u0660\u0662\u0665-12-30",  # Arabic-Indic digits
        "today",
        "-2025-12-30",
    ],
)
def test_anything_else_is_not_a_day(text: str) -> None:
    with pytest.raises(InvalidRequest, match="is not a date"):
        parse_date(text)


@repeatable
@given(st.dates(max_value=date.max - timedelta(days=1)))
def test_a_day_ends_where_the_next_begins(day: date) -> None:
    end = end_of_utc_day(day)
    assert end.tzinfo is UTC
    assert end - timedelta(microseconds=1) < end
    assert (end - timedelta(microseconds=1)).date() == day
    assert end.date() == day + timedelta(days=1)
    assert (end.hour, end.minute, end.second, end.microsecond) == (0, 0, 0, 0)


def test_the_last_day_of_all_has_no_end() -> None:
    with pytest.raises(InvalidRequest, match="out of range"):
        end_of_utc_day(date.max)


FIRST, LAST = datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC)
offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.builds(
    lambda offset, since: (FIRST + since).astimezone(offset), offsets, st.timedeltas(timedelta(0), LAST - FIRST)
)


@repeatable
@given(instants)
def test_an_instant_is_utc_with_microseconds_and_reads_back_as_itself(instant: datetime) -> None:
    text = iso_utc(instant)
    assert re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z", text)
    assert datetime.fromisoformat(text) == instant


@repeatable
@given(instants, instants)
def test_instants_sort_as_their_text_does(one: datetime, other: datetime) -> None:
    assert (one < other) == (iso_utc(one) < iso_utc(other))
