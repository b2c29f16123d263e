"""Findings of the checks, their likely causes, and the runbook's resolutions.

The checks, by the ids of the reconciliation design:
B1 stored balance = sum of entries; B2 version = count of entries, contiguous 1..n; B3 each entry's balance_after is the
one before plus its amount; H1 held = sum of open debit holds, none left on an ended transaction; T1 the legs of each
transaction sum to zero and are all there or none; G1 all entries of a currency sum to zero. Tolerance is zero.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from treasury_console.domain.money import Currency


class Check(StrEnum):
    """Identity that was checked."""

    BALANCE = "B1"
    COMPLETENESS = "B2"
    RUNNING_BALANCE = "B3"
    HOLDS = "H1"
    TRANSACTION = "T1"
    GLOBAL = "G1"


class Cause(StrEnum):
    """Likely cause of a finding, in the words of the runbook's "Common Causes"."""

    DUPLICATE_CREDIT = "duplicate credit"
    ORPHANED_DEBIT = "orphaned debit"
    JOURNAL_GAP = "journal gap"
    OVERWRITTEN_BALANCE = "overwritten balance"
    COORDINATOR_FAILURE = "coordinator failure"
    UNKNOWN = "unknown"


RESOLUTION: dict[Cause, str] = {
    Cause.DUPLICATE_CREDIT: "Reverse transaction",
    Cause.ORPHANED_DEBIT: "Apply missing credit",
    Cause.JOURNAL_GAP: "Restore the missing entries; treat as tampering until explained",
    Cause.OVERWRITTEN_BALANCE: "Rebuild the stored balance from the journal",
    Cause.COORDINATOR_FAILURE: "Force resolution",
    Cause.UNKNOWN: "Investigate; escalate by the runbook's table",
}


class RunStatus(StrEnum):
    """Result of a reconciliation run."""

    CLEAN = "clean"
    DRIFT = "drift"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Finding:
    """A check that failed. Amounts are minor units; `score` is the certainty of `cause` in percent.

    `agent_id` is empty for a finding about a transaction or a currency as a whole.
    """

    check: Check
    agent_id: str
    currency: str
    expected: int
    actual: int
    cause: Cause = Cause.UNKNOWN
    score: int = 0
    evidence: tuple[str, ...] = field(default=())
    subject: str = ""

    @property
    def drift(self) -> int:
        """How far the actual value is above the expected one."""
        return self.actual - self.expected

    @property
    def resolution(self) -> str:
        """What the runbook says to do about the cause."""
        return RESOLUTION[self.cause]

    @property
    def finding_id(self) -> str:
        """A name that stays the same from run to run while the finding does."""
        key = "\x1f".join((self.check, self.agent_id, self.currency, self.subject))
        return f"{self.check}-{hashlib.sha256(key.encode()).hexdigest()[:10]}"


@dataclass(frozen=True, slots=True)
class InFlight:
    """A transaction with legs missing at the cut because it has not ended: explained, not drift."""

    txn_id: str
    currency: str
    amount: int
    since: datetime


@dataclass(frozen=True, slots=True)
class CandidateEntry:
    """A journal row whose amount alone would explain a drift."""

    txn_id: str
    amount: int
    posted_at: datetime


def classify_balance_drift(
    drift: int, currency: Currency, *, completeness_broken: bool, candidates: tuple[CandidateEntry, ...]
) -> tuple[Cause, int, tuple[str, ...]]:
    """Return cause, score in percent and evidence for a stored balance that is `drift` above its journal (B1).

    The runbook's rows come first: above by exactly a recent credit is a duplicate credit, below by exactly a debit
    or credit that lacks its effect is an orphaned debit; "overwritten" is concluded only without such a candidate.
    """
    if completeness_broken:
        return Cause.JOURNAL_GAP, 90, ()
    rows = tuple(
        f"entry of {entry.txn_id}, {currency.format(entry.amount)} {currency.code}, "
        f"at {entry.posted_at:%Y-%m-%d %H:%M:%S}Z"
        for entry in candidates
    )
    if drift > 0 and any(entry.amount == drift for entry in candidates):
        return Cause.DUPLICATE_CREDIT, 80 if len(candidates) == 1 else 50, rows
    if drift < 0 and any(abs(entry.amount) == -drift for entry in candidates):
        return Cause.ORPHANED_DEBIT, 80 if len(candidates) == 1 else 50, rows
    return Cause.OVERWRITTEN_BALANCE, 60, ()
