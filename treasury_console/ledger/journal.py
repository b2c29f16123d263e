"""Reading a shard's journal: the sums that the checks compare, pushed down to the database.

Every function reads in the caller's snapshot. `cut` splits the journal by effective time: entries before it count as of
the cut, entries at or after it are taken off the stored balance again, because a stored balance exists only for now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Label, and_, case, func, literal, or_, select

from treasury_console.domain.drift import CandidateEntry
from treasury_console.domain.money import MAX_MINOR_UNITS, MIN_MINOR_UNITS
from treasury_console.ledger.database import restricted
from treasury_console.ledger.shard_tables import accounts, entries, holds

_LOW_BITS = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class AccountSums:
    """An account beside what its journal and its holds add up to. Amounts are minor units."""

    agent_id: str
    currency: str
    balance: int
    held: int
    version: int
    entries_sum: int
    entries_after_cut: int
    entries_count: int
    lowest_version: int
    highest_version: int
    holds_sum: int

    @property
    def balance_matches(self) -> bool:
        """Check B1: the stored balance is the sum of the entries."""
        return self.balance == self.entries_sum

    @property
    def complete(self) -> bool:
        """Check B2: the entries are versions 1 to n, and the account is at version n."""
        if self.entries_count == 0:
            return self.version == 0
        return self.lowest_version == 1 and self.version == self.entries_count == self.highest_version

    @property
    def holds_match(self) -> bool:
        """Check H1: the held amount is the sum of the open debit holds."""
        return self.held == self.holds_sum


@dataclass(frozen=True, slots=True)
class RunningBalanceBreak:
    """An entry whose balance_after is not the previous one plus its amount (B3)."""

    agent_id: str
    currency: str
    version: int
    txn_id: str
    expected: int
    actual: int


@dataclass(frozen=True, slots=True)
class PostedLeg:
    """An entry as a leg of its transaction; the owner may be a reserved one."""

    txn_id: str
    owner: str
    currency: str
    amount: int


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A row of the journal; `version` and `balance_after` are None for a reserved owner."""

    txn_id: str
    agent_id: str
    currency: str
    version: int | None
    amount: int
    balance_after: int | None
    kind: str
    reference: str
    posted_at: datetime


def account_sums(
    connection: Connection,
    *,
    agent_ids: Sequence[str] | None = None,
    cut: datetime | None = None,
    only_mismatches: bool = False,
) -> Iterator[AccountSums]:
    """Yield accounts with the sums of their entries and holds, by agent and currency."""
    after_cut = literal(0) if cut is None else case((entries.c.effective_at >= cut, entries.c.amount), else_=0)
    journal = (
        select(
            entries.c.agent_id,
            entries.c.currency,
            *_halves("entries_sum", entries.c.amount),
            *_halves("entries_after_cut", after_cut),
            func.count().label("entries_count"),
            func.min(entries.c.version).label("lowest_version"),
            func.max(entries.c.version).label("highest_version"),
        )
        .where(entries.c.version.is_not(None), *_only(entries.c.agent_id, agent_ids))
        .group_by(entries.c.agent_id, entries.c.currency)
        .subquery()
    )
    held = (
        select(holds.c.participant, holds.c.currency, *_halves("holds_sum", holds.c.amount))
        .where(holds.c.amount < 0, *_only(holds.c.participant, agent_ids))
        .group_by(holds.c.participant, holds.c.currency)
        .subquery()
    )
    columns = [func.coalesce(column, 0).label(column.key) for column in (*journal.c[2:], *held.c[2:])]
    sums = {column.name: column for column in columns}
    query = (
        select(
            accounts.c.agent_id, accounts.c.currency, accounts.c.balance, accounts.c.held, accounts.c.version, *columns
        )
        .select_from(
            accounts.outerjoin(
                journal,
                and_(journal.c.agent_id == accounts.c.agent_id, journal.c.currency == accounts.c.currency),
            ).outerjoin(held, and_(held.c.participant == accounts.c.agent_id, held.c.currency == accounts.c.currency))
        )
        .where(*_only(accounts.c.agent_id, agent_ids))
        .order_by(accounts.c.agent_id, accounts.c.currency)
    )
    if only_mismatches:
        query = query.where(
            or_(
                _differ(accounts.c.balance, sums, "entries_sum"),
                accounts.c.version != sums["entries_count"].element,
                accounts.c.version != sums["highest_version"].element,
                and_(sums["entries_count"].element > 0, sums["lowest_version"].element != 1),
                _differ(-accounts.c.held, sums, "holds_sum"),
            )
        )
    for row in connection.execute(query):
        yield AccountSums(
            agent_id=row.agent_id,
            currency=row.currency,
            balance=row.balance,
            held=row.held,
            version=row.version,
            entries_sum=_whole(row.entries_sum_high, row.entries_sum_low),
            entries_after_cut=_whole(row.entries_after_cut_high, row.entries_after_cut_low),
            entries_count=int(row.entries_count),
            lowest_version=int(row.lowest_version),
            highest_version=int(row.highest_version),
            holds_sum=-_whole(row.holds_sum_high, row.holds_sum_low),
        )


def entries_without_account(connection: Connection, *, agent_ids: Sequence[str] | None = None) -> Iterator[AccountSums]:
    """Yield the sums of entries whose agent has no account in their currency, as an account of nothing."""
    query = (
        select(
            entries.c.agent_id,
            entries.c.currency,
            *_halves("entries_sum", entries.c.amount),
            func.count().label("entries_count"),
            func.min(entries.c.version).label("lowest_version"),
            func.max(entries.c.version).label("highest_version"),
        )
        .select_from(
            entries.outerjoin(
                accounts,
                and_(accounts.c.agent_id == entries.c.agent_id, accounts.c.currency == entries.c.currency),
            )
        )
        .where(entries.c.version.is_not(None), accounts.c.agent_id.is_(None), *_only(entries.c.agent_id, agent_ids))
        .group_by(entries.c.agent_id, entries.c.currency)
    )
    for row in connection.execute(query):
        yield AccountSums(
            agent_id=row.agent_id,
            currency=row.currency,
            balance=0,
            held=0,
            version=0,
            entries_sum=_whole(row.entries_sum_high, row.entries_sum_low),
            entries_after_cut=0,
            entries_count=int(row.entries_count),
            lowest_version=int(row.lowest_version),
            highest_version=int(row.highest_version),
            holds_sum=0,
        )


def running_balance_breaks(
    connection: Connection, *, agent_ids: Sequence[str] | None = None
) -> Iterator[RunningBalanceBreak]:
    """Yield the entries that break B3."""
    previous = func.coalesce(
        func.lag(entries.c.balance_after).over(
            partition_by=(entries.c.agent_id, entries.c.currency), order_by=entries.c.version
        ),
        0,
    )
    running = (
        select(
            entries.c.agent_id,
            entries.c.currency,
            entries.c.version,
            entries.c.txn_id,
            (previous + entries.c.amount).label("expected"),
            entries.c.balance_after.label("actual"),
        )
        .where(entries.c.version.is_not(None), *_only(entries.c.agent_id, agent_ids))
        .subquery()
    )
    query = select(running).where(running.c.expected != running.c.actual)
    for row in connection.execute(query.order_by(running.c.agent_id, running.c.currency, running.c.version)):
        yield RunningBalanceBreak(*row)


def posted_legs(connection: Connection, txn_ids: Sequence[str] | None = None) -> Iterator[PostedLeg]:
    """Yield the entries of every transaction on the shard (or of `txn_ids`, which must be sorted), by transaction."""
    query = select(entries.c.txn_id, entries.c.agent_id, entries.c.currency, entries.c.amount).order_by(
        entries.c.txn_id, entries.c.agent_id, entries.c.currency
    )
    for part in restricted(query, entries.c.txn_id, txn_ids):
        for row in connection.execute(part.execution_options(yield_per=1000)):
            yield PostedLeg(*row)


def currency_totals(connection: Connection) -> dict[str, int]:
    """Return the sum of all entries per currency, reserved owners included; exact beyond 64 bits."""
    query = select(entries.c.currency, *_halves("total", entries.c.amount)).group_by(entries.c.currency)
    return {row.currency: _whole(row.total_high, row.total_low) for row in connection.execute(query)}


def count_entries(connection: Connection, *, cut: datetime | None = None) -> int:
    """Return how many entries agents have (before `cut`, if given)."""
    query = select(func.count()).select_from(entries).where(entries.c.version.is_not(None))
    if cut is not None:
        query = query.where(entries.c.effective_at < cut)
    return int(connection.execute(query).scalar_one())


def count_agents_with_accounts(connection: Connection) -> int:
    """Return how many agents have an account on the shard."""
    return int(connection.execute(select(func.count(accounts.c.agent_id.distinct()))).scalar_one())


def entries_of(
    connection: Connection, agent_id: str, *, since: datetime | None = None, until: datetime | None = None
) -> list[JournalEntry]:
    """Return the agent's entries with effective time in [since, until), by currency and version."""
    query = select(entries).where(entries.c.agent_id == agent_id)
    if since is not None:
        query = query.where(entries.c.effective_at >= since)
    if until is not None:
        query = query.where(entries.c.effective_at < until)
    return [
        JournalEntry(
            row.txn_id,
            row.agent_id,
            row.currency,
            row.version,
            row.amount,
            row.balance_after,
            row.kind,
            row.reference,
            row.posted_at,
        )
        for row in connection.execute(query.order_by(entries.c.currency, entries.c.version))
    ]


def entries_with_amount(
    connection: Connection, agent_id: str, currency: str, amounts: Sequence[int], limit: int = 5
) -> tuple[CandidateEntry, ...]:
    """Return the newest entries of the account with one of `amounts`: an index probe, never a scan."""
    storable = [amount for amount in amounts if MIN_MINOR_UNITS <= amount <= MAX_MINOR_UNITS]
    query = (
        select(entries.c.txn_id, entries.c.amount, entries.c.posted_at)
        .where(entries.c.agent_id == agent_id, entries.c.currency == currency, entries.c.amount.in_(storable))
        .order_by(entries.c.posted_at.desc())
        .limit(limit)
    )
    return tuple(CandidateEntry(row.txn_id, row.amount, row.posted_at) for row in connection.execute(query))


def _only(column: ColumnElement[str], values: Sequence[str] | None) -> list[ColumnElement[bool]]:
    return [] if values is None else [column.in_(list(values))]


def _halves(name: str, amount: ColumnElement[int]) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """Return the sums of the high and the low 32 bits: a plain sum of 64-bit amounts can overflow on its way."""
    return (
        func.sum(amount.bitwise_rshift(32)).label(f"{name}_high"),
        func.sum(amount.bitwise_and(_LOW_BITS)).label(f"{name}_low"),
    )


def _whole(high: int, low: int) -> int:
    return (int(high) << 32) + int(low)


def _differ(stored: ColumnElement[int], sums: Mapping[str, Label[int]], name: str) -> ColumnElement[bool]:
    """Say in SQL whether the stored amount is not the sum, comparing half by half."""
    high, low = sums[f"{name}_high"].element, sums[f"{name}_low"].element
    return or_(
        high + low.bitwise_rshift(32) != stored.bitwise_rshift(32),
        low.bitwise_and(_LOW_BITS) != stored.bitwise_and(_LOW_BITS),
    )
