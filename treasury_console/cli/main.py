"""The root of `treasury-cli`: the global options, and the table of commands.

A command's module is imported when that command runs, and what the command needs when it acts; so `--help`,
`--version` and completion cost little more than click itself.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from treasury_console import __version__
from treasury_console.cli.failures import (
    failures_reported,
    flush_output,
    open_missing_streams,
    report_usage,
    tolerate_any_text,
)
from treasury_console.cli.session import Session
from treasury_console.domain.errors import ExitStatus

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

PROGRAM = "treasury-cli"
INTERRUPTED = 130

GC_THRESHOLD = 100_000
"""Start-up makes objects that live to the end; the default of 700 would search them for garbage over and over."""

COMMANDS: Mapping[str, tuple[str, str]] = {
    "init": ("setup", "Create or migrate the schema of every configured database."),
    "demo": ("setup", "Make a demo treasury with real stuck transactions."),
    "doctor": ("setup", "Check configuration, databases, terminal; say how to mend."),
    "config": ("setup", "Show the configuration in force."),
    "accounts": ("accounts", "Open, list and show agents' accounts."),
    "deposit": ("payments", "Bring money from the outside to an agent."),
    "withdraw": ("payments", "Take money from an agent to the outside."),
    "transfer": ("payments", "Move money between two agents by two-phase commit."),
    "transactions": ("transactions", "See stuck transactions, inspect, force or resume them."),
    "verify": ("verify", "Prove that balances, journal and holds of agents agree."),
    "reconcile": ("reconcile", "Check the whole treasury, or one agent's last days."),
    "audit": ("audit", "List and verify the audit trail."),
}
"""Every command: its module in this package, where it has the command's name plus `_command`, and its one-line help."""

EPILOG = """\
\b
Exit status: 0 done or clean, 1 a discrepancy was found, 2 wrong usage or
unknown id, 3 pending, 4 refused by a safety rule or missing privilege,
5 a database or service could not be reached.

\b
Environment: TREASURY_CONFIG, TREASURY_PROFILE, TREASURY_DATABASE_URL,
NO_COLOR.

\b
Completion, for bash (zsh and fish likewise):
  eval "$(_TREASURY_CLI_COMPLETE=bash_source treasury-cli)"
"""


class TreasuryCli(click.Group):
    """A group that knows its commands by the table above and imports the one that runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Return the commands in the table's order, which is the order of a first day's work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command's module and return the command."""
        if cmd_name not in COMMANDS:
            return None
        from importlib import import_module

        module = import_module(f"treasury_console.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete from the table without importing a command."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=summary) for name, (_, summary) in COMMANDS.items() if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the global options, failures translated."""
        with failures_reported():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, failures translated; return its exit status."""
        with failures_reported():
            return super().invoke(ctx)

    def main(  # type: ignore[override]  # click overloads it by standalone_mode, which makes no difference here
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> None:
        """Run the program and exit with the command's status."""
        extra.pop("standalone_mode", None)
        tolerate_any_text()
        try:
            status = super().main(args, prog_name or PROGRAM, standalone_mode=False, **extra)
        except click.ClickException as error:
            status = report_usage(error)
        except click.Abort:
            status = INTERRUPTED
        sys.exit(flush_output(int(status or 0)))


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"{PROGRAM} {__version__}")
        ctx.exit()


def _global_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(
        (
            click.option("--config", metavar="FILE", help="Configuration file (TOML)."),
            click.option("--profile", metavar="NAME", help="Profile in the configuration file."),
            click.option("--database", metavar="URL", help="The treasury's database, instead of the profile's."),
            click.option("--read-only", is_flag=True, help="Refuse everything that writes."),
            click.option(
                "--version",
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_print_version,
                help="Show the version and exit.",
            ),
        )
    ):
        command = option(command)
    return command


@click.group(PROGRAM, cls=TreasuryCli, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@_global_options
@click.pass_context
def cli(context: click.Context, config: str | None, profile: str | None, database: str | None, read_only: bool) -> None:
    """Operate a treasury of AI agents: recover two-phase commits, reconcile, prove the balances."""
    context.obj = Session(config=config, profile=profile, database_url=database, read_only=read_only)
    if not context.obj.colour:
        context.color = False


def main() -> NoReturn:
    """Run `treasury-cli`: the entry point of the console script.

    The process ends without the interpreter's tidying up, which would take a sixth of a short command's time: by then
    every database is closed and every stream flushed.
    """
    gc.set_threshold(GC_THRESHOLD, 50, 50)
    open_missing_streams()
    status: object = ExitStatus.DONE
    try:
        cli.main()
    except SystemExit as ended:
        status = ended.code
    os._exit(flush_output(status if isinstance(status, int) else 0))
