"""The last full reconciliation run as rows: whose balance drifts, by how much, and the likely cause."""

from __future__ import annotations

from datetime import datetime

from treasury_console.domain.drift import Check, Finding, RunStatus
from treasury_console.domain.money import Currencies
from treasury_console.ledger.runs import RunRecord
from treasury_console.operations.overview import DriftOverview
from treasury_console.tui.columns import Column
from treasury_console.tui.lines import Line, Span, Tone, line
from treasury_console.tui.presentation.rows import MadeRows, Row, RowSource
from treasury_console.tui.presentation.text import age, count, fact, heading, money, name, utc

DRIFT_COLUMNS = (
    Column("AGENT", least=9, grows=True),
    Column("CUR"),
    Column("EXPECTED", rank=3, right=True),
    Column("ACTUAL", rank=2, right=True),
    Column("DRIFT", right=True),
    Column("CAUSE", rank=1),
)

_STATUS_TONE = {RunStatus.CLEAN: Tone.GOOD, RunStatus.DRIFT: Tone.BAD, RunStatus.PENDING: Tone.WARN}


def drift_rows(drift: DriftOverview, currencies: Currencies) -> RowSource:
    """Return a row for each finding of the run."""
    return MadeRows(drift.findings, lambda finding: _row(finding, currencies), lambda finding: finding.finding_id)


def drift_title(drift: DriftOverview, now: datetime) -> list[Span]:
    """Return the run's status, how many findings it has, and its age."""
    run = drift.run
    if run is None:
        return [Span("no run yet", Tone.DIM)]
    found = f" {count(len(drift.findings), 'finding')}" if drift.findings else ""
    return [
        Span(run.status.value.upper(), _STATUS_TONE[run.status]),
        Span(f"{found}, {_ago(run.finished_at, now)}", Tone.DIM),
    ]


def drift_notice(drift: DriftOverview, key: str, *, filtered: bool, may_run: bool) -> list[Line]:
    """Return what stands in the place of findings when there are none; `key` starts a run."""
    run = drift.run
    if run is None:
        return [line(Span(f"No run yet: press {key}." if may_run else "No run yet.", Tone.DIM))]
    if filtered:
        return [line(Span("No finding passes the filter; esc clears it.", Tone.DIM))]
    checked = f"{count(run.agents_checked, 'agent')}, {count(run.entries_checked, 'entry', 'entries')} checked"
    return [line(Span(f"No drift. {checked}.", Tone.GOOD)), *_explanation(run)]


def finding_lines(finding: Finding, run: RunRecord, currencies: Currencies, now: datetime) -> list[Line]:
    """Return everything known about one finding."""
    unit = "" if finding.check is Check.COMPLETENESS else f" {name(finding.currency)}"

    return [
        line(Span(f"{finding.check.name} ({finding.check.value})", Tone.STRONG), f"  {_subject(finding)}"),
        line(),
        fact("Expected", figure(finding, finding.expected, currencies) + unit),
        fact("Actual", figure(finding, finding.actual, currencies) + unit),
        fact("Drift", Span(_signed(figure(finding, finding.drift, currencies)) + unit, Tone.BAD)),
        line(),
        fact("Likely cause", Span(finding.cause.value, Tone.STRONG), f"  ({finding.score}% certain)"),
        fact("Runbook says", finding.resolution),
        fact("Finding", finding.finding_id),
        fact("Run", f"{name(run.run_id)}, {_ago(run.finished_at, now)}, as of {utc(run.as_of)}, by {name(run.actor)}"),
        line(),
        heading("Evidence"),
        *[line(f"  {name(evidence)}", indent=4) for evidence in finding.evidence],
        *([] if finding.evidence else [line(Span("  The amounts above are all there is.", Tone.DIM))]),
    ]


def figure(finding: Finding, value: int, currencies: Currencies) -> str:
    """Return a value of a finding: entries for the check that counts them, else an amount."""
    if finding.check is Check.COMPLETENESS:
        return count(value, "entry", "entries")
    return money(currencies, value, finding.currency)


def _row(finding: Finding, currencies: Currencies) -> Row:
    return Row(
        finding.finding_id,
        (
            _subject(finding),
            name(finding.currency),
            figure(finding, finding.expected, currencies),
            figure(finding, finding.actual, currencies),
            _signed(figure(finding, finding.drift, currencies)),
            finding.cause.value,
        ),
        (Tone.PLAIN, Tone.PLAIN, Tone.PLAIN, Tone.PLAIN, Tone.BAD),
        f"{finding.check.value} {finding.check.name} {name(finding.subject)}",
    )


def _subject(finding: Finding) -> str:
    return name(finding.agent_id or finding.subject) or "(all agents)"


def _signed(amount: str) -> str:
    return amount if amount.startswith("-") else f"+{amount}"


def _ago(instant: datetime, now: datetime) -> str:
    passed = age(instant, now)
    return "just now" if passed == "<1m" else f"{passed} ago"


def _explanation(run: RunRecord) -> list[Line]:
    if not run.in_flight:
        return []
    return [line(Span(f"{count(run.in_flight, 'transaction')} in flight, explained.", Tone.DIM))]
