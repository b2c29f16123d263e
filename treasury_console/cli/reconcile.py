"""`reconcile`: the checks over the whole treasury as of a day, or over one agent's last days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from treasury_console.cli.findings import describe_findings, finding_document
from treasury_console.cli.options import JSON, TEXT, format_option
from treasury_console.cli.output import BAD, CAUTION, GOOD, paint, progress, wrapped, write, write_document
from treasury_console.cli.session import Session
from treasury_console.domain.errors import ExitStatus
from treasury_console.domain.text import safe_text

if TYPE_CHECKING:
    from treasury_console.configuration import Settings
    from treasury_console.domain.money import Currencies
    from treasury_console.operations.reconciliation import Reconciliation

FULL, INCREMENTAL = "full", "incremental"
DEFAULT_WINDOW = "7d"


@click.command("reconcile")
@click.option("--scope", type=click.Choice([FULL, INCREMENTAL]), help="The whole treasury, or what is new in it.")
@click.option("--date", "day", type=TEXT, metavar="YYYY-MM-DD", help="As of the end of this UTC day; default: now.")
@click.option("--agent-id", type=TEXT, metavar="AGENT", help="Spot-check this agent alone.")
@click.option(
    "--last", type=TEXT, metavar="DURATION", help=f"How far back a spot check looks; default {DEFAULT_WINDOW}."
)
@format_option
@click.pass_obj
def reconcile_command(
    session: Session, scope: str | None, day: str | None, agent_id: str | None, last: str | None, output_format: str
) -> ExitStatus:
    """Check the whole treasury, or one agent's last days.

    Name --scope full or --agent-id. The run and its findings are recorded. Exit
    1 when something drifts, 3 when nothing does but transactions are stuck.
    """
    _check_usage(scope, day, agent_id, last)
    from treasury_console.domain.durations import parse_date, parse_duration
    from treasury_console.operations.reconciliation import reconcile_agent, reconcile_full

    date = parse_date(day) if day is not None else None
    window = parse_duration(last or DEFAULT_WINDOW)
    with session.treasury() as treasury:
        if agent_id is not None:
            result = reconcile_agent(treasury, agent_id, window)
        else:
            result = reconcile_full(treasury, date, on_progress=progress)
    if output_format == JSON:
        write_document(_document(result, treasury.settings.currencies))
    else:
        write(_page(result, treasury.settings))
    return _status(result)


def _check_usage(scope: str | None, day: str | None, agent_id: str | None, last: str | None) -> None:
    if scope is None and agent_id is None:
        raise click.UsageError("Name what to reconcile: --scope full, or --agent-id AGENT.")
    if scope is not None and agent_id is not None:
        raise click.UsageError("--scope and --agent-id exclude each other.")
    if scope == INCREMENTAL:
        raise click.UsageError("Incremental reconciliation is not available yet; use --scope full.")
    if agent_id is None and last is not None:
        raise click.UsageError("--last belongs to a spot check; give it with --agent-id.")
    if agent_id is not None and day is not None:
        raise click.UsageError("--date belongs to --scope full; a spot check looks back with --last.")


def _status(result: Reconciliation) -> ExitStatus:
    from treasury_console.domain.drift import RunStatus

    return {
        RunStatus.CLEAN: ExitStatus.DONE,
        RunStatus.DRIFT: ExitStatus.DISCREPANCY,
        RunStatus.PENDING: ExitStatus.PENDING,
    }[result.run.status]


def _page(result: Reconciliation, settings: Settings) -> str:
    from treasury_console.domain.durations import format_duration, iso_utc

    run = result.run
    colour = {ExitStatus.DONE: GOOD, ExitStatus.DISCREPANCY: BAD}.get(_status(result), CAUTION)
    scope = f"{run.scope} {safe_text(run.subject)}".strip()
    lines = [
        f"{run.run_id}: {paint(run.status.value, colour)}",
        f"{scope}, as of {iso_utc(run.as_of)}",
        f"agents {run.agents_checked}, entries {run.entries_checked}, findings {len(result.findings)}, "
        f"in flight {run.in_flight}, stuck {len(result.stuck)}",
    ]
    if result.findings:
        lines += ["", describe_findings(result.findings, settings.currencies)]
    if result.stuck:
        since = format_duration(settings.pending_after)
        lines += [
            "",
            f"pending longer than {since}: {len(result.stuck)}",
            *(wrapped(txn_id, label="  ", indent=2) for txn_id in result.stuck),
            "see treasury-cli transactions inspect --txn-id TXN",
        ]
    return "\n".join(lines)


def _document(result: Reconciliation, currencies: Currencies) -> dict[str, Any]:
    from treasury_console.domain.durations import iso_utc

    run = result.run
    return {
        "run_id": run.run_id,
        "scope": run.scope,
        "subject": run.subject or None,
        "as_of": iso_utc(run.as_of),
        "status": run.status.value,
        "agents_checked": run.agents_checked,
        "entries_checked": run.entries_checked,
        "findings": [finding_document(finding, currencies) for finding in result.findings],
        "in_flight": [
            {
                "txn_id": flight.txn_id,
                "currency": flight.currency,
                "amount": currencies.format(flight.amount, flight.currency),
                "since": iso_utc(flight.since),
            }
            for flight in result.in_flight
        ],
        "stuck": list(result.stuck),
        "started_at": iso_utc(run.started_at),
        "finished_at": iso_utc(run.finished_at),
    }
