"""Pending transactions as rows: what is stuck, since when, and what is safe to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from treasury_console.domain.money import Currencies
from treasury_console.domain.resolution import Verdict
from treasury_console.domain.transactions import TransactionState
from treasury_console.operations.transactions import TransactionSummary
from treasury_console.tui.columns import Column
from treasury_console.tui.lines import Line, Span, Tone, crop_middle, line
from treasury_console.tui.presentation.rows import MadeRows, Row, RowSource
from treasury_console.tui.presentation.text import age, money, name, names

_MEASURED_ROWS = 2_000
_VERDICT_WIDTH = len("commit or rollback")

PENDING_COLUMNS = (
    Column("TXN_ID", least=13, cut=crop_middle),
    Column("STATE", rank=1),
    Column("AGE", right=True),
    Column("PARTICIPANTS", rank=2, least=11, grows=True),
    Column("AMOUNT", right=True),
    Column("CUR"),
    Column("VERDICT"),
)

STATE_TONE = {
    TransactionState.PREPARED: Tone.WARN,
    TransactionState.COMMITTING: Tone.WARN,
    TransactionState.ABORTING: Tone.WARN,
    TransactionState.HEURISTIC: Tone.BAD,
}


class SortOrder(NamedTuple):
    """A way to order pending transactions; `title` is the column it goes by."""

    title: str
    key: Callable[[TransactionSummary], object]
    reverse: bool = False


SORT_ORDERS = (
    SortOrder("AGE", lambda summary: (summary.created_at, summary.txn_id)),
    SortOrder("AMOUNT", lambda summary: (summary.currency, summary.amount), reverse=True),
    SortOrder("STATE", lambda summary: (summary.state, summary.created_at)),
    SortOrder("VERDICT", lambda summary: (summary.verdict, summary.created_at)),
    SortOrder("PARTICIPANTS", lambda summary: summary.participants),
)


def pending_rows(
    summaries: Sequence[TransactionSummary], now: datetime, currencies: Currencies, stuck_after: timedelta
) -> RowSource:
    """Return a row for each of `summaries`, in their order."""

    def make(summary: TransactionSummary) -> Row:
        return _row(summary, now, currencies, stuck_after)

    widths = None if len(summaries) <= _MEASURED_ROWS else _estimated_widths(summaries, currencies)
    return MadeRows(summaries, make, lambda summary: summary.txn_id, widths)


def pending_title(summaries: Sequence[TransactionSummary], now: datetime, stuck_after: timedelta) -> Span:
    """Return how many are pending, how many of them are stuck, and the age of the oldest."""
    if not summaries:
        return Span("none", Tone.GOOD)
    stuck = sum(now - summary.created_at > stuck_after for summary in summaries)
    oldest = min(summary.created_at for summary in summaries)
    total = f"{len(summaries):,} pending"
    if not stuck:
        return Span(f"{total}, none stuck", Tone.PLAIN)
    return Span(f"{total}, {stuck:,} STUCK, oldest {age(oldest, now)}", Tone.WARN)


def pending_notice(filtered: bool) -> list[Line]:
    """Return what stands in the place of rows when there are none."""
    if filtered:
        return [line(Span("No pending transaction passes the filter; esc clears it.", Tone.DIM))]
    return [line(Span("No transaction is pending.", Tone.GOOD))]


def pending_detail(summary: TransactionSummary, now: datetime, currencies: Currencies) -> list[Line]:
    """Return in a few lines what is known of the selected transaction and why its verdict is what it is."""
    return [
        line(
            Span(name(summary.txn_id), Tone.STRONG),
            f"  {money(currencies, summary.amount, summary.currency)} {name(summary.currency)}  ",
            names(summary.participants),
            right=[Span(f"{summary.state} for {age(summary.created_at, now)}", Tone.DIM)],
        ),
        *[line(verdict_word(verdict), f" {label}: {text}", indent=8) for label, verdict, text in _reasons(summary)],
    ]


def verdict_tone(verdict: str) -> Tone:
    """Return the tone of a verdict's phrase."""
    if verdict.startswith("damaged"):
        return Tone.BAD
    return Tone.DIM if verdict in {"wait", "done"} else Tone.GOOD


def verdict_word(verdict: Verdict) -> Span:
    """Return whether an action is allowed, as a word of seven cells."""
    return Span("ALLOWED", Tone.GOOD) if verdict.allowed else Span("REFUSED", Tone.DIM)


def _reasons(summary: TransactionSummary) -> list[tuple[str, Verdict, str]]:
    """Return the allowed actions with their reasons; of a transaction that allows none, why."""
    verdicts = summary.verdicts
    if verdicts.resume.allowed:
        return [("resume", verdicts.resume, " ".join(verdicts.resume.reasons))]
    forces = [("commit", verdicts.force_commit), ("rollback", verdicts.force_rollback)]
    allowed = [(label, verdict, " ".join(verdict.reasons)) for label, verdict in forces if verdict.allowed]
    return allowed or [("force", verdicts.force_commit, " ".join(verdicts.force_commit.reasons))]


def _row(summary: TransactionSummary, now: datetime, currencies: Currencies, stuck_after: timedelta) -> Row:
    stuck = now - summary.created_at > stuck_after
    return Row(
        summary.txn_id,
        (
            name(summary.txn_id),
            summary.state.value,
            age(summary.created_at, now),
            names(summary.participants),
            money(currencies, summary.amount, summary.currency),
            name(summary.currency),
            summary.verdict,
        ),
        (
            Tone.PLAIN,
            STATE_TONE.get(summary.state, Tone.PLAIN),
            Tone.WARN if stuck else Tone.PLAIN,
            Tone.PLAIN,
            Tone.PLAIN,
            Tone.PLAIN,
            verdict_tone(summary.verdict),
        ),
        "stuck" if stuck else "",
    )


def _estimated_widths(summaries: Sequence[TransactionSummary], currencies: Currencies) -> tuple[int, ...]:
    """Return column widths without making every row; exact for amounts, which are never cut."""
    largest: dict[str, int] = {}
    for summary in summaries:
        if summary.amount > largest.get(summary.currency, 0):
            largest[summary.currency] = summary.amount
    amount = max(len(money(currencies, minor, code)) for code, minor in largest.items())
    currency = max(len(name(code)) for code in largest)
    state = max(len(state.value) for state in TransactionState)
    sample = max(len(summary.txn_id) for summary in summaries[:_MEASURED_ROWS])
    return (sample, state, len("119m"), 30, amount, currency, _VERDICT_WIDTH)
