"""`transactions list / inspect / force-commit / force-rollback / resume`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from treasury_console.cli.failures import fail, say
from treasury_console.cli.options import JSON, TEXT, format_option, transaction_option
from treasury_console.cli.output import Cell, Painted, progress, table, worst, write, write_document
from treasury_console.cli.session import Session
from treasury_console.domain.errors import ExitStatus, TreasuryError
from treasury_console.domain.text import safe_text

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from treasury_console.domain.money import Currencies
    from treasury_console.domain.resolution import Action
    from treasury_console.operations.force import Approval, Resolution
    from treasury_console.operations.transactions import TransactionSummary

_Command = TypeVar("_Command", bound=Callable[..., Any])

HEADER = ("TXN_ID", "STATE", "AGE", "PARTICIPANTS", "AMOUNT")
PITCHES = (16, 11, 8, 16)
WIDE_HEADER = (*HEADER, "CURRENCY", "COORDINATOR", "VERDICT")
STATES = (
    "pending",
    "all",
    "preparing",
    "prepared",
    "committing",
    "aborting",
    "committed",
    "aborted",
    "heuristic",
)


@click.group("transactions")
def transactions_command() -> None:
    """See stuck transactions, inspect, force or resume them."""


def _complete_state(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(state) for state in STATES if state.startswith(incomplete.lower())]


@transactions_command.command("list")
@click.option(
    "--state",
    type=TEXT,
    default="pending",
    show_default=True,
    shell_complete=_complete_state,
    help=f"One of {', '.join(STATES)}.",
)
@click.option("--age", type=TEXT, metavar="AGE", help='Only transactions of this age: ">5m", ">=1h", "<2d".')
@click.option("--wide", is_flag=True, help="Also show currency, coordinator and what may be done.")
@format_option
@click.pass_obj
def list_command(session: Session, state: str, age: str | None, wide: bool, output_format: str) -> None:
    """List transactions, oldest first; by default the pending."""
    from treasury_console.domain.durations import AgeFilter
    from treasury_console.operations.transactions import list_transactions

    age_filter = AgeFilter.parse(age) if age is not None else None
    with session.treasury() as treasury:
        found = list_transactions(treasury, state=state.lower(), age=age_filter)
    currencies = treasury.settings.currencies
    if output_format == JSON:
        write_document([_summary_document(summary, currencies) for summary in found])
        return
    if wide:
        write(table(WIDE_HEADER, [_wide_row(summary, currencies) for summary in found], PITCHES))
    else:
        write(table(HEADER, _fitted([_row(summary, currencies) for summary in found]), PITCHES))
    for shard in sorted({shard for summary in found for shard in summary.unreachable}):
        say(f"warning: shard {safe_text(shard)} does not answer; what it holds is unknown. See treasury-cli doctor.")
    if not found:
        say("No transaction matches.")


@transactions_command.command("inspect")
@transaction_option
@format_option
@click.pass_obj
def inspect_command(session: Session, txn_id: str, output_format: str) -> None:
    """Show the evidence, and what each action would do."""
    from treasury_console.cli.inspection import inspection_document, inspection_page
    from treasury_console.operations.transactions import inspect_transaction

    with session.treasury() as treasury:
        inspection = inspect_transaction(treasury, txn_id)
    currencies = treasury.settings.currencies
    if output_format == JSON:
        write_document(inspection_document(inspection, currencies))
    else:
        write(inspection_page(inspection, currencies))


def _force_options(command: _Command) -> _Command:
    for option in (
        format_option,
        click.option(
            "--expect",
            "fingerprint",
            type=TEXT,
            metavar="FINGERPRINT",
            help="Refuse unless the evidence still has the fingerprint that inspect printed.",
        ),
        click.option(
            "--acknowledge-log-lost",
            is_flag=True,
            help="Acknowledge that the coordinator's log lost the decision.",
        ),
        click.option(
            "--fence",
            "fence_approval",
            type=TEXT,
            metavar="INCIDENT",
            help="A second incident ID: take the transaction from a coordinator that is alive.",
        ),
        click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing."),
        click.option("--approval", type=TEXT, metavar="INCIDENT", help="The incident ID that approves it (INC-12345)."),
        transaction_option,
    ):
        command = option(command)
    return command


@transactions_command.command("force-commit")
@_force_options
@click.pass_obj
def force_commit_command(session: Session, /, **options: Any) -> ExitStatus:
    """Commit, if all participants are prepared."""
    from treasury_console.domain.resolution import Action

    return _force(session, Action.FORCE_COMMIT, **options)


@transactions_command.command("force-rollback")
@_force_options
@click.pass_obj
def force_rollback_command(session: Session, /, **options: Any) -> ExitStatus:
    """Roll back, if no participant committed."""
    from treasury_console.domain.resolution import Action

    return _force(session, Action.FORCE_ROLLBACK, **options)


@transactions_command.command("resume")
@click.option("--txn-id", type=TEXT, metavar="TXN", help="Only this transaction; by default all that can be resumed.")
@format_option
@click.pass_obj
def resume_command(session: Session, txn_id: str | None, output_format: str) -> ExitStatus:
    """Finish transactions whose decision is recorded."""
    from treasury_console.operations.force import resumable, resume

    resolutions: list[Resolution] = []
    statuses: list[ExitStatus] = []
    with session.treasury() as treasury:
        treasury.require_write("resume")
        if txn_id is not None:
            resolutions.append(resume(treasury, txn_id, on_progress=progress))
        else:
            for candidate in resumable(treasury):
                try:
                    resolutions.append(resume(treasury, candidate, on_progress=progress))
                except TreasuryError as error:
                    fail(str(error))
                    statuses.append(error.exit_status)
    statuses.append(
        _print_resolutions(resolutions, treasury.settings.currencies, output_format, several=txn_id is None)
    )
    if len(statuses) == 1 and not resolutions:
        say("There is nothing to resume.")
    return worst(statuses)


def _force(
    session: Session,
    action: Action,
    *,
    txn_id: str,
    approval: str | None,
    dry_run: bool,
    fence_approval: str | None,
    acknowledge_log_lost: bool,
    fingerprint: str | None,
    output_format: str,
) -> ExitStatus:
    from treasury_console.operations.force import Approval, force, predict_force

    given = None
    if approval is not None:
        given = Approval(approval, fence_approval, acknowledge_log_lost, fingerprint)
    elif not dry_run:
        raise click.UsageError("Missing option '--approval': the incident ID that approves the force.")
    elif fence_approval is not None or fingerprint is not None:
        raise click.UsageError("--fence and --expect need --approval, with --dry-run too.")
    with session.treasury() as treasury:
        if dry_run:
            resolution = predict_force(treasury, txn_id, action, given)
        else:
            resolution = force(treasury, txn_id, action, _required(given), on_progress=progress)
    return _print_resolutions([resolution], treasury.settings.currencies, output_format, several=False)


def _required(approval: Approval | None) -> Approval:
    if approval is None:
        raise click.UsageError("Missing option '--approval'.")
    return approval


def _print_resolutions(
    resolutions: Sequence[Resolution], currencies: Currencies, output_format: str, *, several: bool
) -> ExitStatus:
    """Print what was done; return the status of the worst. JSON is one object, or a list when `several` may come."""
    from treasury_console.cli.resolution import resolution_document, resolution_page, resolution_status

    if output_format == JSON:
        documents = [resolution_document(resolution, currencies) for resolution in resolutions]
        write_document(documents if several else documents[0])
    elif resolutions:
        write("\n\n".join(resolution_page(resolution, currencies) for resolution in resolutions))
    return worst(resolution_status(resolution) for resolution in resolutions)


def _row(summary: TransactionSummary, currencies: Currencies) -> tuple[Cell, ...]:
    from treasury_console.cli.inspection import state_colour
    from treasury_console.domain.durations import format_duration

    return (
        summary.txn_id,
        Painted(summary.state.value, state_colour(summary.state)),
        format_duration(summary.age),
        ",".join(summary.participants),
        currencies.format(summary.amount, summary.currency),
    )


def _fitted(rows: list[tuple[Cell, ...]]) -> list[tuple[Cell, ...]]:
    """Shorten the participants so that a line fits the terminal; elsewhere they stay whole."""
    if not rows or not sys.stdout.isatty():
        return rows
    widths = [max(pitch, *(len(_text(row[column])) + 2 for row in rows)) for column, pitch in enumerate(PITCHES[:3])]
    amount = max(len(_text(row[4])) for row in rows)
    room = max(shutil.get_terminal_size().columns - sum(widths) - 2 - amount, PITCHES[3] - 2)
    return [(*row[:3], safe_text(_text(row[3]), room), row[4]) for row in rows]


def _text(cell: Cell) -> str:
    return cell.text if isinstance(cell, Painted) else cell


def _wide_row(summary: TransactionSummary, currencies: Currencies) -> tuple[Cell, ...]:
    return (
        *_row(summary, currencies),
        summary.currency,
        "alive" if summary.coordinator_alive else "not alive",
        summary.verdict,
    )


def _summary_document(summary: TransactionSummary, currencies: Currencies) -> dict[str, Any]:
    from treasury_console.domain.durations import iso_utc

    return {
        "txn_id": summary.txn_id,
        "state": summary.state.value,
        "age_seconds": int(summary.age.total_seconds()),
        "created_at": iso_utc(summary.created_at),
        "participants": list(summary.participants),
        "amount": currencies.format(summary.amount, summary.currency),
        "currency": summary.currency,
        "coordinator_alive": summary.coordinator_alive,
        "verdict": summary.verdict,
    }
