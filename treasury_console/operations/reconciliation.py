"""Reconciliation: every check over the whole treasury as of a day, or over one agent's last days.

The treasury database is read first and each shard in one snapshot after it, so that what was finished in the treasury's
snapshot shows all its legs and what was not can be explained. Integrity checks look at the whole journal; the cut only
says as of when balances are stated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from treasury_console.domain.audit import Phase
from treasury_console.domain.drift import Cause, Check, Finding, InFlight, RunStatus
from treasury_console.domain.durations import end_of_utc_day
from treasury_console.domain.errors import InvalidRequest
from treasury_console.ledger.audit_log import append_event
from treasury_console.ledger.branches import Hold, list_holds
from treasury_console.ledger.database import Connection
from treasury_console.ledger.journal import (
    JournalEntry,
    account_sums,
    count_agents_with_accounts,
    count_entries,
    currency_totals,
    entries_of,
    entries_without_account,
    running_balance_breaks,
)
from treasury_console.ledger.runs import RunRecord, record_run
from treasury_console.ledger.transactions import find_transactions, list_pending, transactions_of
from treasury_console.operations.accounts import locate_agents, shard_of_agent
from treasury_console.operations.transaction_check import Ledgers, TransactionCheck, check_transactions
from treasury_console.operations.treasury import Treasury, require_all_shards
from treasury_console.operations.verification import account_findings, running_balance_finding, verify_accounts

FULL, AGENT = "full", "agent"
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A finished run: its record, what it found and what it explains.

    `stuck` are the transactions pending longer than the threshold, which the runbook's daily check names. `entries`
    are those of a spot check's window.
    """

    run: RunRecord
    findings: tuple[Finding, ...]
    in_flight: tuple[InFlight, ...]
    stuck: tuple[str, ...]
    entries: tuple[JournalEntry, ...] = field(default=())


def reconcile_full(
    treasury: Treasury, day: date | None = None, *, on_progress: Progress = lambda _message: None
) -> Reconciliation:
    """Check everything, balances stated as of the end of the UTC `day` (default: now), and record the run.

    Raise InvalidRequest for a day that has not begun, Unreachable when any database does not answer: a run over part of
    the treasury would prove nothing.
    """
    treasury.require_write("recording a reconciliation run")
    started = treasury.clock()
    if day is not None and day > started.date():
        raise InvalidRequest(f"{day} has not begun in UTC, so it cannot be reconciled yet")
    cut = end_of_utc_day(day) if day is not None and day < started.date() else None
    require_all_shards(treasury)
    with ExitStack() as stack:
        ledgers = _open_ledgers(treasury, stack)
        on_progress("Checking balances")
        findings = [finding for shard in ledgers.shards.values() for finding in _balance_findings(treasury, shard, cut)]
        on_progress("Checking transactions")
        checked = check_transactions(treasury, ledgers)
        findings += checked.findings
        on_progress("Checking holds")
        findings += _hold_findings(treasury, ledgers)
        findings += _global_findings(treasury, ledgers, checked)
        agents = sum(count_agents_with_accounts(shard) for shard in ledgers.shards.values())
        entries = sum(count_entries(shard, cut=cut) for shard in ledgers.shards.values())
        stuck = _stuck(treasury, ledgers.treasury, min(started, cut or started))
    return _recorded(
        treasury,
        scope=FULL,
        subject="",
        as_of=cut or started,
        started=started,
        agents=agents,
        entries=entries,
        findings=findings,
        in_flight=checked.in_flight,
        stuck=stuck,
    )


def reconcile_agent(treasury: Treasury, agent_id: str, last: timedelta) -> Reconciliation:
    """Check one agent's accounts, and the transactions of its entries in the last `last`; record the run.

    Raise UnknownId for an agent that does not exist.
    """
    treasury.require_write("recording a reconciliation run")
    if last <= timedelta(0):
        raise InvalidRequest("the window of a spot check must be longer than zero")
    home = locate_agents(treasury, [agent_id])[agent_id]
    shard_of_agent(treasury, agent_id, home)
    started = treasury.clock()
    with ExitStack() as stack:
        ledgers = _open_ledgers(treasury, stack)
        shard = ledgers.shards[home]
        findings = [
            finding
            for account in verify_accounts(shard, treasury.settings.currencies, home, [agent_id])
            for finding in account.findings
        ]
        window = entries_of(shard, agent_id, since=started - last)
        recent = transactions_of(ledgers.treasury, agent_id, started - last)
        checked = check_transactions(treasury, ledgers, [*recent, *(entry.txn_id for entry in window)])
        findings += checked.findings
        findings += _hold_findings(treasury, ledgers, agent_id)
        stuck = _stuck(treasury, ledgers.treasury, started, participant=agent_id)
    return _recorded(
        treasury,
        scope=AGENT,
        subject=agent_id,
        as_of=started,
        started=started,
        agents=1,
        entries=len(window),
        findings=findings,
        in_flight=checked.in_flight,
        stuck=stuck,
        window=window,
    )


def _open_ledgers(treasury: Treasury, stack: ExitStack) -> Ledgers:
    first = stack.enter_context(treasury.store.snapshot())
    shards = {name: stack.enter_context(shard.database.snapshot()) for name, shard in sorted(treasury.shards.items())}
    return Ledgers(first, shards)


def _balance_findings(treasury: Treasury, shard: Connection, cut: datetime | None) -> Iterator[Finding]:
    """B1, B2, H1 (amounts) and B3 on one shard."""
    for sums in account_sums(shard, cut=cut, only_mismatches=True):
        yield from account_findings(shard, treasury.settings.currencies, sums)
    for sums in entries_without_account(shard):
        yield from account_findings(shard, treasury.settings.currencies, sums)
    for broken in running_balance_breaks(shard):
        yield running_balance_finding(broken)


def _hold_findings(treasury: Treasury, ledgers: Ledgers, participant: str | None = None) -> list[Finding]:
    """H1: no hold (of `participant`, if given) is left of a transaction that has ended or that nobody started."""
    held = [hold for shard in ledgers.shards.values() for hold in list_holds(shard, participant)]
    known = find_transactions(ledgers.treasury, sorted({hold.txn_id for hold in held}))
    unknown = sorted({hold.txn_id for hold in held} - set(known))
    if unknown:
        with treasury.store.snapshot() as newer:
            created_since = find_transactions(newer, unknown)
        held = [hold for hold in held if hold.txn_id not in created_since]
    return [
        _hold_finding(hold, "the transaction has ended" if hold.txn_id in known else "no such transaction exists")
        for hold in held
        if hold.txn_id not in known or known[hold.txn_id].finished_at is not None
    ]


def _hold_finding(hold: Hold, problem: str) -> Finding:
    return Finding(
        Check.HOLDS,
        hold.participant,
        hold.currency,
        expected=0,
        actual=abs(hold.amount),
        cause=Cause.COORDINATOR_FAILURE,
        score=90,
        evidence=(f"hold of {hold.txn_id} since {hold.held_at:%Y-%m-%d %H:%M:%S}Z: {problem}",),
        subject=hold.txn_id,
    )


def _global_findings(treasury: Treasury, ledgers: Ledgers, checked: TransactionCheck) -> Iterator[Finding]:
    """G1: all entries of a currency sum to zero, apart from transactions in flight."""
    totals: Counter[str] = Counter()
    for shard in ledgers.shards.values():
        totals.update(currency_totals(shard))
    for currency, total in sorted(totals.items()):
        drift = total - checked.explained[currency]
        if drift:
            yield _global_finding(treasury, currency, drift, checked)


def _global_finding(treasury: Treasury, currency: str, drift: int, checked: TransactionCheck) -> Finding:
    """Return the finding of a currency that does not sum to zero, and the cause of the transactions behind it."""
    unit = treasury.settings.currencies[currency]
    in_flight = checked.explained[currency]
    evidence = [f"all entries sum to {unit.format(drift + in_flight)}, of which {unit.format(in_flight)} is in flight"]
    broken = [finding for finding in checked.findings if finding.currency == currency]
    cause, score = Cause.UNKNOWN, 0
    if sum(finding.drift for finding in broken) == drift:
        evidence += [f"explained by {finding.finding_id} of {finding.subject}" for finding in broken]
        causes = {finding.cause for finding in broken}
        if len(causes) == 1:
            cause, score = causes.pop(), min(finding.score for finding in broken)
    return Finding(
        Check.GLOBAL, "", currency, expected=0, actual=drift, cause=cause, score=score, evidence=tuple(evidence)
    )


def _stuck(treasury: Treasury, connection: Connection, at: datetime, participant: str | None = None) -> tuple[str, ...]:
    pending = list_pending(connection, created_before=at - treasury.settings.pending_after)
    return tuple(
        record.transaction.txn_id
        for record in pending
        if participant is None or participant in record.transaction.participants
    )


def _recorded(
    treasury: Treasury,
    *,
    scope: str,
    subject: str,
    as_of: datetime,
    started: datetime,
    agents: int,
    entries: int,
    findings: Sequence[Finding],
    in_flight: Sequence[InFlight],
    stuck: tuple[str, ...],
    window: Sequence[JournalEntry] = (),
) -> Reconciliation:
    """Store the run, its findings and its audit event in one transaction."""
    finished = treasury.clock()
    unique = {finding.finding_id: finding for finding in findings}
    status = RunStatus.DRIFT if unique else RunStatus.PENDING if stuck else RunStatus.CLEAN
    run = RunRecord(
        treasury.ids.new("run", finished),
        scope,
        subject,
        as_of,
        started,
        finished,
        status,
        agents,
        entries,
        len(in_flight),
        treasury.actor,
    )
    with treasury.store.write() as connection:
        record_run(connection, run, list(unique.values()))
        details = {"scope": scope, "subject": subject, "status": status.value, "findings": len(unique)}
        append_event(connection, treasury.audit_record("reconcile", Phase.OUTCOME, run.run_id, details=details))
    return Reconciliation(run, tuple(unique.values()), tuple(in_flight), stuck, tuple(window))
