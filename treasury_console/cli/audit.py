"""`audit list`, `audit verify`: the tamper-evident audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from treasury_console.cli.failures import say
from treasury_console.cli.options import JSON, TEXT, format_option
from treasury_console.cli.output import BAD, GOOD, paint, table, wrapped, write, write_document
from treasury_console.cli.session import Session
from treasury_console.domain.errors import ExitStatus

if TYPE_CHECKING:
    from treasury_console.domain.audit import AuditEvent, ChainCheck


@click.group("audit")
def audit_command() -> None:
    """List and verify the audit trail."""


@audit_command.command("list")
@click.option("--target", type=TEXT, metavar="ID", help="Only events about this transaction, agent or run.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many of the newest events."
)
@format_option
@click.pass_obj
def list_events_command(session: Session, target: str | None, limit: int, output_format: str) -> None:
    """List the newest events, the newest last."""
    from treasury_console.operations.audit import newest_events

    with session.treasury() as treasury:
        events = newest_events(treasury, limit, target=target)
    if output_format == JSON:
        write_document([_event_document(event) for event in events])
        return
    write(table(("SEQ", "AT", "OPERATION", "PHASE", "TARGET", "APPROVAL", "ACTOR"), [_row(event) for event in events]))
    if not events:
        say("No event matches.")


@audit_command.command("verify")
@format_option
@click.pass_obj
def verify_events_command(session: Session, output_format: str) -> ExitStatus:
    """Recompute the hash chain of the whole trail.

    Exit 1 if anything was changed or removed.
    """
    from treasury_console.operations.audit import verify_trail

    with session.treasury() as treasury:
        check = verify_trail(treasury)
    if output_format == JSON:
        write_document(_check_document(check))
    elif check.ok:
        write(f"{paint('intact', GOOD)}: {check.events} events, {check.first or 'none'} to {check.last or 'none'}")
    else:
        write(f"{paint('NOT intact', BAD)} from event {check.bad_seq} on")
        write(wrapped(f"{check.reason}; the {check.events} events before it are intact"))
    return ExitStatus.DONE if check.ok else ExitStatus.DISCREPANCY


def _row(event: AuditEvent) -> tuple[str, ...]:
    record = event.record
    return (
        str(event.seq),
        f"{record.at:%Y-%m-%d %H:%M:%S}Z",
        record.operation,
        record.phase.value,
        record.target,
        record.approval or "-",
        record.actor,
    )


def _event_document(event: AuditEvent) -> dict[str, Any]:
    """Return the JSON form; `details` are as they were hashed, amounts in them in minor units."""
    from treasury_console.domain.durations import iso_utc

    record = event.record
    return {
        "seq": event.seq,
        "at": iso_utc(record.at),
        "actor": record.actor,
        "operation": record.operation,
        "phase": record.phase.value,
        "target": record.target,
        "approval": record.approval,
        "details": dict(record.details),
        "prev_hash": event.prev_hash,
        "hash": event.hash,
    }


def _check_document(check: ChainCheck) -> dict[str, Any]:
    return {
        "ok": check.ok,
        "first": check.first,
        "last": check.last,
        "events": check.events,
        "anchored_at": None,
        "bad": None if check.ok else {"seq": check.bad_seq, "reason": check.reason},
    }
