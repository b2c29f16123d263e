"""`init`, `demo`, `doctor`, `config show`: before and around the work."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from treasury_console.cli.failures import say
from treasury_console.cli.options import JSON, format_option
from treasury_console.cli.output import (
    BAD,
    CAUTION,
    GOOD,
    paint,
    progress,
    table,
    wrapped,
    write,
    write_document,
)
from treasury_console.cli.session import Session
from treasury_console.domain.errors import ConfigurationError, ExitStatus, Refused
from treasury_console.domain.text import safe_text

if TYPE_CHECKING:
    from treasury_console.configuration import Settings
    from treasury_console.operations.doctor import Diagnosis


@click.command("init")
@format_option
@click.pass_obj
def init_command(session: Session, output_format: str) -> None:
    """Create or migrate the schema of every configured database.

    Safe to repeat.
    """
    from treasury_console.operations.setup import initialise

    done = initialise(session.settings())
    if output_format == JSON:
        write_document(
            [{"database": row.name, "version_before": row.version_before, "version": row.version} for row in done]
        )
        return
    write(
        table(("DATABASE", "BEFORE", "AFTER"), [(row.name, row.version_before or "new", row.version) for row in done])
    )


@click.group("config")
def config_command() -> None:
    """Show the configuration in force."""


@config_command.command("show")
@format_option
@click.pass_obj
def show_config_command(session: Session, output_format: str) -> None:
    """Show every value and its source, secrets masked."""
    settings = session.settings()
    values = _values(settings)
    if output_format == JSON:
        write_document(
            {
                "file": str(settings.file) if settings.file else None,
                "settings": {
                    name: {"value": value, "source": settings.sources.get(name, "")} for name, value in values.items()
                },
            }
        )
        return
    write(f"file: {safe_text(str(settings.file)) if settings.file else 'none'}\n")
    rows = [
        (name, settings.sources.get(name, "").removesuffix(f" in {settings.file}"), line)
        if index == 0
        else ("", "", line)
        for name, value in values.items()
        for index, line in enumerate(_as_text(value))
    ]
    write(table(("SETTING", "SOURCE", "VALUE"), rows))


@click.command("doctor")
@format_option
@click.pass_obj
def doctor_command(session: Session, output_format: str) -> ExitStatus:
    """Check configuration, databases, terminal; say how to mend.

    Exit 0 when nothing fails, 5 when a database cannot be reached, else 1.
    """
    from treasury_console.operations.doctor import Diagnosis, Health, diagnose

    found = []
    try:
        settings = session.settings()
    except ConfigurationError as error:
        found.append(Diagnosis("configuration", Health.FAIL, str(error), "correct the file, the flag or the variable"))
    else:
        where = str(settings.file) if settings.file else "no file, built-in defaults"
        found.append(Diagnosis("configuration", Health.OK, f"profile {settings.profile}, {where}"))
        found += diagnose(settings)
    found.append(_terminal())
    failed = [diagnosis for diagnosis in found if diagnosis.health is Health.FAIL]
    if output_format == JSON:
        write_document(
            {
                "ok": not failed,
                "checks": [
                    {
                        "subject": diagnosis.subject,
                        "health": diagnosis.health.value,
                        "message": diagnosis.message,
                        "remedy": diagnosis.remedy or None,
                    }
                    for diagnosis in found
                ],
            }
        )
    else:
        write(_report(found))
    if not failed:
        return ExitStatus.DONE
    unreachable = any(diagnosis.unreachable for diagnosis in failed)
    return ExitStatus.UNREACHABLE if unreachable else ExitStatus.DISCREPANCY


@click.command("demo")
@click.option("--dir", "directory", required=True, metavar="DIR", help="A new or empty directory, or a demo's.")
@click.option("--walk", is_flag=True, help="Then go through the runbook on it, step by step.")
def demo_command(directory: str, walk: bool) -> int:
    """Make a demo treasury with real stuck transactions.

    Its coordinators are killed for real. --walk exits 0 only if every step of the runbook ended as it should.
    """
    from pathlib import Path

    from treasury_console.demo.build import build_demo
    from treasury_console.demo.record import RECORD_FILE, load_demo

    place = Path(directory)
    if os.path.isfile(place / RECORD_FILE):  # noqa: PTH113 (Path.is_file raises without permission)
        if walk:
            raise Refused(f"{safe_text(directory, 60)} holds a demo already; --walk needs a new directory")
        say("This demo was made before; it is used as it is now.")
        demo = load_demo(place)
    else:
        demo = build_demo(place, on_progress=progress)
    config_file = safe_text(str(demo.config_file))
    write(f"demo treasury: {config_file}\n")
    for stuck in demo.stuck:
        write(f"{stuck.txn_id}\n{wrapped(stuck.story, label='', indent=2)}")
    write(f"\ntry: treasury-cli --config {config_file} transactions list")
    if not walk:
        if demo.live_coordinator_pid is not None:
            say(
                f"Process {demo.live_coordinator_pid} is the coordinator that is still alive; it ends by itself within "
                "ten minutes, or when the directory is deleted."
            )
        return ExitStatus.DONE
    from treasury_console.demo.cleanup import stop_live_coordinator
    from treasury_console.demo.walk import walk as walk_through

    write("")
    try:
        return walk_through(place, write)
    finally:
        stop_live_coordinator(place)


def _values(settings: Settings) -> dict[str, Any]:
    """Return every setting in the words of the configuration file, passwords in URLs masked."""
    from treasury_console.configuration import mask_url

    return {
        "profile": settings.profile,
        "treasury": mask_url(settings.treasury_url),
        "shards": [
            {"name": shard.name, "url": mask_url(shard.url), "protocol": shard.protocol} for shard in settings.shards
        ],
        "currencies": {currency.code: currency.scale for currency in settings.currencies.by_code.values()},
        "incident_pattern": settings.incidents.pattern,
        "pending_after": _exact(settings.pending_after),
        "lease": _exact(settings.lease),
        "busy_timeout": _exact(settings.busy_timeout),
        "synchronous": settings.synchronous,
        "read_only": settings.read_only,
        "banner": settings.banner,
        "theme": settings.theme,
        "keys": dict(settings.keys),
    }


def _as_text(value: Any) -> list[str]:
    """Return the lines that show a setting's value."""
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, list):
        return [" ".join(row.values()) for row in value]
    if isinstance(value, dict):
        return [", ".join(f"{key} = {entry}" for key, entry in value.items())]
    return [value]


def _exact(duration: timedelta) -> str:
    """Return the duration as the configuration file writes it, in the largest unit that divides it."""
    seconds = duration // timedelta(seconds=1)
    for unit, size in (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _terminal() -> Diagnosis:
    """Examine the terminal, which treasury-console needs; treasury-cli works without one."""
    from treasury_console.operations.doctor import Diagnosis, Health

    if not sys.stdout.isatty():
        return Diagnosis("terminal", Health.OK, "stdout is not a terminal; treasury-cli needs none")
    name, encoding, size = os.environ.get("TERM", ""), sys.stdout.encoding, os.get_terminal_size(sys.stdout.fileno())
    shown = f"{safe_text(name, 40) or 'unknown'}, {encoding}, {size.columns}x{size.lines}"
    if name in ("", "dumb"):
        return Diagnosis("terminal", Health.WARN, f"{shown}: no cursor control", "set TERM, such as xterm-256color")
    if encoding.lower().replace("-", "") != "utf8":
        return Diagnosis("terminal", Health.WARN, f"{shown}: not UTF-8", "set LANG to a UTF-8 locale, such as C.UTF-8")
    if size.columns < 80 or size.lines < 24:
        return Diagnosis("terminal", Health.WARN, f"{shown}: smaller than 80x24", "enlarge the window")
    return Diagnosis("terminal", Health.OK, shown)


def _report(found: Sequence[Diagnosis]) -> str:
    """Return the diagnoses, each wrapped beside its subject, the way to mend it below."""
    colours = {"OK": GOOD, "WARN": CAUTION, "FAIL": BAD}
    longest = max(len(safe_text(diagnosis.subject)) for diagnosis in found)
    indent = longest + 8
    lines = []
    for diagnosis in found:
        subject = safe_text(diagnosis.subject).ljust(longest)
        body = wrapped(diagnosis.message, indent=indent).lstrip(" ")
        health = paint(diagnosis.health.value, colours[diagnosis.health.value])
        lines.append(f"{health}{' ' * (6 - len(diagnosis.health.value))}{subject}  {body}")
        if diagnosis.remedy:
            lines.append(wrapped(f"mend: {diagnosis.remedy}", indent=indent))
    return "\n".join(lines)
