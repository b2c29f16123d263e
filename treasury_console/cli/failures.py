"""What a failure says and which exit status it has: one sentence on stderr, never a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from treasury_console.domain.errors import INTERNAL_ERROR, ExitStatus, TreasuryError
from treasury_console.domain.text import safe_text

OUTPUT_CLOSED = 141
"""What a shell reports for a program that SIGPIPE ended: whoever read the output has gone."""


def say(message: str) -> None:
    """Write a line for the person to stderr. That nobody reads it never stops the work."""
    with suppress(OSError):
        click.echo(message, err=True)


def fail(message: str) -> None:
    """Say what went wrong."""
    say(f"error: {safe_text(message)}")


@contextmanager
def failures_reported() -> Iterator[None]:
    """Turn every failure into its sentence and `click.exceptions.Exit` with its status."""
    try:
        yield
    except (click.exceptions.Exit, click.ClickException, click.Abort):
        raise
    except TreasuryError as error:
        fail(str(error))
        raise click.exceptions.Exit(error.exit_status) from None
    except BrokenPipeError:
        raise click.exceptions.Exit(OUTPUT_CLOSED) from None
    except Exception as error:
        from treasury_console.failure_report import report_failure

        fail(report_failure(error))
        raise click.exceptions.Exit(INTERNAL_ERROR) from None


def report_usage(error: click.ClickException) -> ExitStatus:
    """Say how the command line is wrong; return the status."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        say(error.format_message())
        return ExitStatus.USAGE
    fail(" ".join(error.format_message().split("\n")))
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None:
        say(f"Try '{context.command_path} --help'.")
    return ExitStatus.USAGE


def open_missing_streams() -> None:
    """Give standard streams that were closed before the start to nowhere: no file may be opened in their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 (open to the end)


def tolerate_any_text() -> None:
    """Write characters that the terminal's encoding lacks as escapes, instead of failing on them."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def flush_output(status: int) -> int:
    """Write what is buffered; return `status`, or what it becomes when the output cannot be written."""
    with suppress(OSError):
        sys.stderr.flush()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        status = OUTPUT_CLOSED
    except OSError as error:
        fail(f"the output could not be written: {error.strerror}")
        status = INTERNAL_ERROR
    else:
        return status
    # What is still buffered would be flushed, and fail, once more at interpreter exit.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return status
