"""Currencies and exact amounts: integers of minor units, parsed and printed without rounding.

An amount is an `int` in minor units that fits a signed 64-bit column. Text has at most as many fractional digits as
the currency's scale; more is refused, never rounded. Nothing here, or anywhere near money, is a float.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from treasury_console.domain.errors import InvalidRequest
from treasury_console.domain.text import safe_text

MAX_MINOR_UNITS = 2**63 - 1
MIN_MINOR_UNITS = -(2**63)

_AMOUNT = re.compile(r"(?P<sign>[+-]?)(?P<whole>[0-9]{1,20})(?:\.(?P<fraction>[0-9]{1,40}))?")
_CODE = re.compile(r"[A-Z][A-Z0-9]{1,9}")


class AmountOutOfRange(InvalidRequest):
    """An amount, or the result of adding two, does not fit 64 bits. It is never wrapped or saturated."""


def checked(minor: int) -> int:
    """Return `minor` if it fits a signed 64-bit column, else raise AmountOutOfRange."""
    if not MIN_MINOR_UNITS <= minor <= MAX_MINOR_UNITS:
        raise AmountOutOfRange(f"the amount {minor} (minor units) does not fit 64 bits; split it")
    return minor


@dataclass(frozen=True, slots=True)
class Currency:
    """A unit of account. `scale` is how many decimal digits one major unit has (USD 2: 1.00 = 100 minor units)."""

    code: str
    scale: int

    def __post_init__(self) -> None:
        if not _CODE.fullmatch(self.code):
            raise InvalidRequest(
                f"currency code {safe_text(self.code, 20)!r} must be 2 to 10 capital letters or digits"
            )
        if not 0 <= self.scale <= 18:
            raise InvalidRequest(f"currency {self.code} must have a scale from 0 to 18, not {self.scale}")

    def parse(self, text: str) -> int:
        """Return the minor units that `text` ("10.50", "-3") states exactly; raise InvalidRequest otherwise."""
        match = _AMOUNT.fullmatch(text)
        if match is None:
            raise InvalidRequest(f"{safe_text(text, 40)!r} is not an amount; write it like 10.50")
        fraction = match["fraction"] or ""
        if len(fraction) > self.scale:
            raise InvalidRequest(
                f"{safe_text(text, 40)!r} has {len(fraction)} decimals but {self.code} has {self.scale}; "
                "amounts are never rounded"
            )
        minor = int(match["whole"] + fraction.ljust(self.scale, "0"))
        return checked(-minor if match["sign"] == "-" else minor)

    def format(self, minor: int) -> str:
        """Return `minor` units as a plain decimal with all of the currency's digits: 1050 -> "10.50"."""
        digits = str(abs(minor)).rjust(self.scale + 1, "0")
        sign = "-" if minor < 0 else ""
        if self.scale == 0:
            return sign + digits
        return f"{sign}{digits[: -self.scale]}.{digits[-self.scale :]}"


BUILT_IN_CURRENCIES = (
    Currency("USD", 2),
    Currency("USDC", 6),
    Currency("VMC", 6),
    Currency("BTC", 8),
    Currency("ETH", 9),
    Currency("CO2", 6),
)


@dataclass(frozen=True)
class Currencies:
    """The currencies a treasury knows, by code."""

    by_code: Mapping[str, Currency] = field(
        default_factory=lambda: {currency.code: currency for currency in BUILT_IN_CURRENCIES}
    )

    @classmethod
    def with_extra(cls, extra: Iterable[Currency]) -> Currencies:
        """Return the built-in currencies and `extra`; a built-in currency's scale cannot be changed."""
        known = {currency.code: currency for currency in BUILT_IN_CURRENCIES}
        for currency in extra:
            if known.get(currency.code, currency) != currency:
                raise InvalidRequest(
                    f"currency {currency.code} has scale {known[currency.code].scale}, which cannot be changed"
                )
            known[currency.code] = currency
        return cls(known)

    def __getitem__(self, code: str) -> Currency:
        try:
            return self.by_code[code]
        except KeyError:
            known = ", ".join(sorted(self.by_code))
            raise InvalidRequest(f"currency {safe_text(code, 20)!r} is not known; use one of {known}") from None

    def format(self, minor: int, code: str) -> str:
        """Return `minor` units of the currency `code` as a plain decimal; of an unknown one, as what they are."""
        currency = self.by_code.get(code)
        return f"{minor} minor units" if currency is None else currency.format(minor)
