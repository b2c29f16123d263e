"""What the demo sets for itself: what time it is, and what chance brings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from treasury_console.operations.treasury import Clock

_TICK = timedelta(milliseconds=1)


@dataclass
class StagedClock:
    """A clock that shows `at` and one millisecond more at every reading, until it is told to follow another one.

    Aware UTC. It never goes back: a treasury's time does not.
    """

    at: datetime
    _followed: Clock | None = field(default=None, init=False)

    def __call__(self) -> datetime:
        """Return the time."""
        if self._followed is not None:
            return self._followed()
        self.at += _TICK
        return self.at

    def move_to(self, at: datetime) -> None:
        """Set the clock to `at` unless it is later already."""
        self.at = max(self.at, at)

    def follow(self, clock: Clock) -> None:
        """Show what `clock` shows from now on."""
        self._followed = clock


def chance(seed: int, purpose: str) -> Random:
    """Return the randomness of one purpose: the same seed brings the same demo, whatever else draws numbers."""
    return Random(f"demo {seed} {purpose}")  # noqa: S311 - a story is told here, no secret is made
