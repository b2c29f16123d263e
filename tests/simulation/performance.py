"""One command as it went, with the states around it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from treasury_console.operations.force import Resolution
from treasury_console.operations.payments import Receipt

from .state import AUDIT_TABLES, LEASE_TABLES, Row, State


class Crash(BaseException):
    """The simulated death of a process: nothing of the product catches it."""


class Ending(StrEnum):
    """How a command ended."""

    DONE = "done"
    REFUSED = "refused"
    CRASHED = "crashed"
    BROKEN = "broken"  # by an exception that nobody should ever see
    SKIPPED = "skipped"  # there is no such transaction


@dataclass
class Performance:
    """What a command returned or raised, and the states before and after each stretch that it ran undisturbed.

    `nested` are the commands that ran in the middle of it, between two of those stretches.
    """

    actor: str
    ending: Ending
    steps: int = 0
    answer: Receipt | Resolution | None = None
    error: BaseException | None = None
    stretches: list[tuple[State, State]] = field(default_factory=list)
    nested: list[Performance] = field(default_factory=list)

    @property
    def after(self) -> State:
        """The state at its end."""
        return self.stretches[-1][1]

    @property
    def changed(self) -> list[str]:
        """The tables that the command itself changed, audit and leases apart."""
        besides = AUDIT_TABLES | LEASE_TABLES
        return [table for before, after in self.stretches for table in before.differences(after, besides=besides)]

    @property
    def events(self) -> list[Row]:
        """The audit events of its actor, in order."""
        return [row for row in self.after.events if row["actor"] == self.actor]
