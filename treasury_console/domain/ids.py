"""Identifiers that sort by time: a prefix, 48 bits of milliseconds and 40 random bits in Crockford base 32."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
RANDOM_BITS = 40


@dataclass(frozen=True)
class IdSource:
    """Makes identifiers from the randomness it is given."""

    random: Random

    def new(self, prefix: str, at: datetime) -> str:
        """Return `prefix_` and 18 characters: ten of time, eight of chance."""
        milliseconds = (at - _EPOCH) // _MILLISECOND
        number = (milliseconds << RANDOM_BITS) | self.random.getrandbits(RANDOM_BITS)
        digits = "".join(_ALPHABET[(number >> shift) & 31] for shift in range(85, -1, -5))
        return f"{prefix}_{digits}"
