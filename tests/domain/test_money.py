"""Amounts are exact integers of minor units: parsed and printed without rounding, refused when they do not fit."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treasury_console.domain.errors import ExitStatus, InvalidRequest
from treasury_console.domain.money import (
    BUILT_IN_CURRENCIES,
    MAX_MINOR_UNITS,
    MIN_MINOR_UNITS,
    AmountOutOfRange,
    Currencies,
    Currency,
    checked,
)

from .repeatable import any_text, refusal_of, repeatable

USD = Currency("USD", 2)
POINTS = Currency("POINTS", 0)
WEI = Currency("WEI", 18)

EVERY_SCALE = tuple(Currency(f"S{scale:02}", scale) for scale in range(19))
int64 = st.integers(MIN_MINOR_UNITS, MAX_MINOR_UNITS) | st.sampled_from(
    [MIN_MINOR_UNITS, MIN_MINOR_UNITS + 1, -1, 0, 1, MAX_MINOR_UNITS - 1, MAX_MINOR_UNITS]
)
currencies = st.sampled_from((*BUILT_IN_CURRENCIES, *EVERY_SCALE))
digits = st.text("0123456789", min_size=1, max_size=20)
amounts = st.builds(
    lambda sign, whole, fraction: f"{sign}{whole}{fraction}",
    st.sampled_from(["", "+", "-"]),
    digits,
    st.just("") | digits.map(lambda fraction: f".{fraction}"),
)
_EXACT = Context(prec=60)


@repeatable
@given(currencies, int64)
def test_what_is_printed_is_read_back_as_the_same_amount(currency: Currency, minor: int) -> None:
    assert currency.parse(currency.format(minor)) == minor


@repeatable
@given(currencies, int64)
def test_an_amount_is_printed_with_all_the_digits_of_its_currency_and_no_more(currency: Currency, minor: int) -> None:
    whole, point, fraction = currency.format(minor).partition(".")
    assert len(fraction) == currency.scale
    assert bool(point) == (currency.scale > 0)
    assert set(whole.removeprefix("-")) <= set("0123456789")
    assert whole not in {"", "-"}
    assert whole.startswith("-") == (minor < 0)


@repeatable
@given(currencies, int64, int64)
def test_different_amounts_are_printed_differently(currency: Currency, one: int, other: int) -> None:
    assert (currency.format(one) == currency.format(other)) == (one == other)


@repeatable
@given(currencies, amounts)
def test_an_amount_is_read_exactly_or_refused(currency: Currency, text: str) -> None:
    exact = _EXACT.create_decimal(text).scaleb(currency.scale, _EXACT)
    decimals = len(text.partition(".")[2])
    if decimals <= currency.scale and MIN_MINOR_UNITS <= exact <= MAX_MINOR_UNITS:
        assert currency.parse(text) == exact
    else:
        with pytest.raises(InvalidRequest):
            currency.parse(text)


@repeatable
@given(currencies, any_text | st.text("0123456789.+-eE_, \u0661\u00bd"))
def test_whatever_is_read_is_plain_digits_that_fit_64_bits(currency: Currency, text: str) -> None:
    try:
        minor = currency.parse(text)
    except InvalidRequest:
        return
    assert set(text) <= set("0123456789.+-")
    assert MIN_MINOR_UNITS <= minor <= MAX_MINOR_UNITS
    assert Decimal(text) * 10**currency.scale == minor


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("10.50", 1050),
        ("10.5", 1050),
        ("10", 1000),
        ("-3", -300),
        ("+3", 300),
        ("0.01", 1),
        ("-0.01", -1),
        ("007.50", 750),
        ("0", 0),
        ("-0.00", 0),
        ("92233720368547758.07", MAX_MINOR_UNITS),
        ("-92233720368547758.08", MIN_MINOR_UNITS),
    ],
)
def test_an_amount_is_minor_units_of_its_currency(text: str, minor: int) -> None:
    assert USD.parse(text) == minor


@pytest.mark.parametrize(
    ("currency", "minor", "text"),
    [
        (USD, 1050, "10.50"),
        (USD, 5, "0.05"),
        (USD, -5, "-0.05"),
        (USD, 0, "0.00"),
        (POINTS, -7, "-7"),
        (WEI, 1, "0.000000000000000001"),
        (WEI, MAX_MINOR_UNITS, "9.223372036854775807"),
        (USD, MIN_MINOR_UNITS, "-92233720368547758.08"),
    ],
)
def test_an_amount_is_a_plain_decimal(currency: Currency, minor: int, text: str) -> None:
    assert currency.format(minor) == text


@pytest.mark.parametrize("text", ["10.505", "0.001", "10.500", "0.00000000000000000000000000001"])
def test_more_decimals_than_the_scale_are_refused_not_rounded(text: str) -> None:
    with pytest.raises(InvalidRequest, match="never rounded"):
        USD.parse(text)


def test_a_currency_without_decimals_takes_whole_amounts_alone() -> None:
    assert POINTS.parse("12") == 12
    for text in ("12.0", "12."):
        with pytest.raises(InvalidRequest):
            POINTS.parse(text)


@pytest.mark.parametrize(
    "text",
    ["92233720368547758.08", "-92233720368547758.09", "99999999999999999999", "-99999999999999999999.99"],
)
def test_an_amount_beyond_64_bits_is_refused_not_wrapped(text: str) -> None:
    with pytest.raises(AmountOutOfRange):
        USD.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1e3",
        "1E3",
        "1e-2",
        "NaN",
        "nan",
        "Infinity",
        "-inf",
        "1,000.00",
        "1,5",
        "1_000",
        "\u0661\u0662",  # Arabic-Indic digits
        "\uff11\uff12",  # full-width digits
        "1\u00b2",  # superscript two
        "\u00bd",
        "\u221210",  # minus sign
        " 10",
        "10 ",
        "10\n",
        "\t10",
        "1 000",
        "1\u00a0000",
        "10\u200b",
        "10.",
        ".5",
        ".",
        "-",
        "+-5",
        "--5",
        "5-",
        "1.2.3",
        "$5",
        "5 USD",
        "0x10",
        "0b1",
        "(5)",
        "10\x00",
    ],
)
def test_anything_but_plain_digits_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        USD.parse(text)


def test_a_refused_amount_is_wrong_usage_and_its_message_is_harmless() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        USD.parse("\x1b]52;c;QQ==\x07\u202e" * 20)
    assert refusal.value.exit_status is ExitStatus.USAGE
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    "act",
    [
        lambda: USD.parse("x" * 5_000),
        lambda: USD.parse("1." + "0" * 30),
        lambda: Currency("x" * 5_000, 2),
        lambda: Currencies()["X" * 5_000],
    ],
)
def test_a_refusal_of_a_long_text_is_short(act: Callable[[], object]) -> None:
    told = refusal_of(act)
    assert told is not None
    assert len(told) < 150


@pytest.mark.parametrize("minor", [MIN_MINOR_UNITS, -1, 0, 1, MAX_MINOR_UNITS])
def test_an_amount_that_fits_64_bits_is_itself(minor: int) -> None:
    assert checked(minor) == minor


@repeatable
@given(st.integers(min_value=MAX_MINOR_UNITS + 1) | st.integers(max_value=MIN_MINOR_UNITS - 1))
def test_an_amount_that_does_not_fit_64_bits_is_out_of_range(minor: int) -> None:
    with pytest.raises(AmountOutOfRange):
        checked(minor)


def test_the_limits_are_those_of_a_signed_64_bit_column() -> None:
    assert MAX_MINOR_UNITS.bit_length() == 63
    assert MIN_MINOR_UNITS == -MAX_MINOR_UNITS - 1


@pytest.mark.parametrize(
    "code", ["", "U", "usd", "Usd", "1USD", "US D", "USD\n", "ABCDEFGHIJK", "ÜSD", "US\u0661", "US-D"]
)
def test_a_currency_code_is_capitals_and_digits(code: str) -> None:
    with pytest.raises(InvalidRequest):
        Currency(code, 2)


@pytest.mark.parametrize("code", ["US", "CO2", "USDC", "ABCDEFGHIJ", "A1"])
def test_a_currency_code_has_two_to_ten_characters(code: str) -> None:
    assert Currency(code, 2).code == code


@pytest.mark.parametrize("scale", [-1, 19, 100])
def test_a_scale_is_from_0_to_18(scale: int) -> None:
    with pytest.raises(InvalidRequest):
        Currency("XYZ", scale)


def test_the_built_in_currencies_have_the_scales_of_the_design() -> None:
    scales = {"USD": 2, "USDC": 6, "VMC": 6, "BTC": 8, "ETH": 9, "CO2": 6}
    assert {currency.code: currency.scale for currency in BUILT_IN_CURRENCIES} == scales
    assert set(Currencies().by_code) == set(scales)


def test_a_currency_may_be_added_and_a_built_in_one_repeated() -> None:
    known = Currencies.with_extra([Currency("JPY", 0), Currency("USD", 2)])
    assert known["JPY"].scale == 0
    assert known.format(1050, "USD") == "10.50"
    assert known.format(1050, "JPY") == "1050"
    assert "JPY" not in Currencies().by_code


@pytest.mark.parametrize("extra", [[Currency("USD", 3)], [Currency("JPY", 0), Currency("JPY", 2)]])
def test_the_scale_of_a_known_currency_cannot_be_changed(extra: list[Currency]) -> None:
    with pytest.raises(InvalidRequest, match="cannot be changed"):
        Currencies.with_extra(extra)


def test_an_unknown_currency_is_wrong_usage_and_the_known_ones_are_named() -> None:
    with pytest.raises(InvalidRequest, match="BTC, CO2, ETH, USD, USDC, VMC") as refusal:
        Currencies()["EUR\x1b[2J"]
    assert str(refusal.value).isprintable()
    with pytest.raises(InvalidRequest):
        Currencies()["usd"]
