"""Text from outside is shown on one line, with nothing in it that a terminal obeys or a reader cannot see."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treasury_console.domain.text import safe_text

from .repeatable import any_text, repeatable

CONTROLS = frozenset(map(chr, (*range(0x20), *range(0x7F, 0xA0))))
"""C0, DEL and C1: what terminals obey."""

BIDI_CLASSES = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
BIDI_MARKS = frozenset("\u061c\u200e\u200f")
ZERO_WIDTH = frozenset("\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff")
LINE_BREAKS = frozenset("\u2028\u2029")
INVISIBLE_LETTERS = frozenset("\u115f\u1160\u3164\uffa0")
"""The Hangul fillers, letters that show nothing: nothing is said of them here."""

hostile = st.text(st.sampled_from(sorted(CONTROLS | BIDI_MARKS | ZERO_WIDTH | LINE_BREAKS | set("ab\\[]\u202e\u2066"))))
some_text = any_text | hostile
limits = st.integers(1, 30)


def misleads(character: str) -> bool:
    """Say whether `character` must not reach a screen."""
    return (
        character in CONTROLS
        or character in BIDI_MARKS
        or character in ZERO_WIDTH
        or character in LINE_BREAKS
        or unicodedata.bidirectional(character) in BIDI_CLASSES
        or unicodedata.category(character) == "Cs"
    )


def test_no_misleading_character_of_all_there_are_is_left() -> None:
    kept = [code for code in range(0x110000) if misleads(chr(code)) and chr(code) in safe_text(chr(code))]
    assert not kept, [f"U+{code:04X}" for code in kept]


def test_every_misleading_character_is_shown_as_an_escape_that_names_it() -> None:
    for character in map(chr, range(0x110000)):
        if misleads(character):
            shown = safe_text(character)
            assert re.fullmatch(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}", shown)
            assert shown.encode().decode("unicode_escape") == character


def test_every_visible_character_is_left_as_it_is() -> None:
    changed = [
        code
        for code in range(0x110000)
        if unicodedata.category(chr(code))[0] in "LNPSZ" and chr(code) not in LINE_BREAKS | INVISIBLE_LETTERS
        if safe_text(chr(code)) != chr(code)
    ]
    assert not changed, [f"U+{code:04X}" for code in changed]


def test_ordinary_text_of_every_script_is_left_as_it_is() -> None:
    for text in (
        "agent_123",
        "Zoë Ångström",
        "東京エージェント",
        "агент",
        "وكيل",
        "סוכן",
        "एजेंट",
        "🪙💶",
        "e\u0301",
        "[bold]x[/]",
    ):
        assert safe_text(text) == text


@repeatable
@given(some_text)
def test_what_is_shown_has_no_misleading_character_and_is_one_line(text: str) -> None:
    shown = safe_text(text)
    assert not any(misleads(character) for character in shown)
    assert len(shown.splitlines()) <= 1
    shown.encode()


@repeatable
@given(some_text)
def test_what_is_shown_is_shown_again_as_it_is(text: str) -> None:
    assert safe_text(safe_text(text)) == safe_text(text)


@repeatable
@given(some_text, some_text)
def test_text_is_shown_character_by_character(one: str, other: str) -> None:
    assert safe_text(one + other) == safe_text(one) + safe_text(other)


@repeatable
@given(some_text, limits)
def test_limited_text_fits_its_limit_and_is_cut_no_sooner(text: str, limit: int) -> None:
    whole, shown = safe_text(text), safe_text(text, limit)
    assert len(shown) <= limit
    if len(whole) <= limit:
        assert shown == whole
    else:
        assert len(shown) == limit
        assert shown == whole[: limit - 1] + "…"


@repeatable
@given(some_text, limits)
def test_limited_text_is_harmless_and_limited_again_is_the_same(text: str, limit: int) -> None:
    shown = safe_text(text, limit)
    assert not any(misleads(character) for character in shown)
    assert safe_text(shown, limit) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;QQ==\x07", "\\x1b]52;c;QQ==\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("a\r\nb\tc", "a\\x0d\\x0ab\\x09c"),
        ("\x7f\x00", "\\x7f\\x00"),
        ("gpj\u202eexe", "gpj\\u202eexe"),
        ("agent\u200b_1", "agent\\u200b_1"),
        ("\ud83d", "\\ud83d"),
        ("\U000e0041", "\\U000e0041"),
        ("", ""),
    ],
)
def test_an_escape_is_visible(text: str, shown: str) -> None:
    assert safe_text(text) == shown


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [("abcdef", 6, "abcdef"), ("abcdef", 5, "abcd…"), ("abcdef", 1, "…"), ("", 1, ""), ("\x1b\x1b", 6, "\\x1b\\…")],
)
def test_cut_text_ends_in_an_ellipsis(text: str, limit: int, shown: str) -> None:
    assert safe_text(text, limit) == shown
