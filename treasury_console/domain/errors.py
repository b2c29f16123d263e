"""What can go wrong, and the exit status each failure has everywhere (product.md, "Exit status").

Every message is one plain sentence for a person: what is wrong and what to do. Text that came from outside is
made harmless with `safe_text` before it goes into a message.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitStatus(IntEnum):
    """Exit status of every command, and the kind of every outcome."""

    DONE = 0
    DISCREPANCY = 1
    USAGE = 2
    PENDING = 3
    REFUSED = 4
    UNREACHABLE = 5


INTERNAL_ERROR = 70
"""EX_SOFTWARE: the exit status of a failure that nobody foresaw, which is a defect of the program."""


class TreasuryError(Exception):
    """A failure a person is told about in one sentence; never shown as a traceback."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.REFUSED


class InvalidRequest(TreasuryError):
    """The request itself is wrong: malformed, out of range, or in the wrong currency. Nothing was changed."""

    exit_status = ExitStatus.USAGE


class UnknownId(InvalidRequest):
    """The request names a transaction, agent, account or profile that does not exist."""


class ConfigurationError(InvalidRequest):
    """The configuration file, an environment variable or a profile cannot be used as it is."""


class Refused(TreasuryError):
    """A safety rule or a missing privilege forbids the act. Nothing was changed but the audit log."""

    exit_status = ExitStatus.REFUSED


class InsufficientFunds(Refused):
    """The account's available amount (balance - held) is less than the debit."""


class Fenced(Refused):
    """The writer's epoch is no longer the transaction's: an operator fenced this coordinator (rule R5)."""


class Unreachable(TreasuryError):
    """A database or service did not answer. What it holds is unknown, never assumed failed (rule R3)."""

    exit_status = ExitStatus.UNREACHABLE


class StoreCorrupt(TreasuryError):
    """A stored fact contradicts itself in a way no rule resolves; a person has to look."""

    exit_status = ExitStatus.DISCREPANCY
