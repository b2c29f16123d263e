"""`treasury-console`: checks what it needs, opens the treasury and runs the app; every failure is one sentence."""

from __future__ import annotations

import argparse
import os
import sys
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from treasury_console import __version__
from treasury_console.domain.errors import (
    INTERNAL_ERROR,
    ConfigurationError,
    ExitStatus,
    InvalidRequest,
    TreasuryError,
)
from treasury_console.domain.text import safe_text
from treasury_console.failure_report import report_failure
from treasury_console.tui.saying import say

if TYPE_CHECKING:
    from treasury_console.configuration import Settings
    from treasury_console.operations.treasury import Treasury

PROGRAM = "treasury-console"
INTERRUPTED = 130
SCREENSHOT_SIZE = (120, 36)
_NO_FRAMES = {"TEXTUAL_FPS": "15", "TEXTUAL_SMOOTH_SCROLL": "0"}

DESCRIPTION = """\
See what is stuck in a treasury of AI agents, since when, and what is safe to do about it; force it safely, and prove
that the money is right. Everything here can be done without a terminal by treasury-cli.
"""

EPILOG = """\
Exit status: 0 done, 2 wrong usage or no terminal, 4 refused, 5 a database could not be reached, 70 a defect.
Environment: TREASURY_CONFIG, TREASURY_PROFILE, TREASURY_DATABASE_URL, NO_COLOR.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit: the entry point of the console script."""
    status = run(sys.argv[1:] if arguments is None else arguments)
    _let_lost_streams_go()
    sys.exit(status)


def run(arguments: Sequence[str]) -> int:
    """Run the program; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        _check_terminal(options, os.environ)
        with _opened_treasury(options) as treasury:
            return _run_app(treasury, options)
    except TreasuryError as error:
        say(f"error: {safe_text(str(error))}")
        return int(error.exit_status)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        say(f"error: {report_failure(error)}")
        return INTERNAL_ERROR


def _let_lost_streams_go() -> None:
    """Send what cannot be written any more nowhere: flushing it at the end would change the exit status to 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--demo", action="store_true", help="make a demo treasury and show it; needs nothing else")
    parser.add_argument("--config", metavar="FILE", type=Path, help="configuration file (TOML)")
    parser.add_argument("--profile", metavar="NAME", help="profile in the configuration file")
    parser.add_argument("--database", metavar="URL", help="the treasury's database, instead of the profile's")
    parser.add_argument("--read-only", action="store_true", help="look, and change nothing")
    parser.add_argument("--low-bandwidth", action="store_true", help="send little: 16 colours, no mouse, few frames")
    parser.add_argument(
        "--screenshot", metavar="FILE", type=Path, help="draw the first screen into an SVG file and exit"
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser


def _check_terminal(options: argparse.Namespace, environment: Mapping[str, str]) -> None:
    """Raise InvalidRequest where the app could not be shown. It draws on stderr, as Textual does."""
    if options.screenshot is not None:
        return
    if not all(_is_terminal(stream) for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__)):
        raise InvalidRequest(f"{PROGRAM} needs a terminal and there is none; use treasury-cli instead")
    if environment.get("TERM", "dumb") in {"", "dumb"}:
        raise InvalidRequest(f"{PROGRAM} cannot draw on a terminal with TERM=dumb; use treasury-cli instead")


def _is_terminal(stream: object) -> bool:
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]
    except (AttributeError, ValueError):
        return False


@contextmanager
def _opened_treasury(options: argparse.Namespace) -> Iterator[Treasury]:
    from treasury_console.operations.treasury import open_treasury

    with _settings(options) as settings:
        try:
            treasury = open_treasury(settings)
        except ConfigurationError as refusal:
            _offer_to_initialise(settings, refusal)
            treasury = open_treasury(settings)
        with treasury:
            yield treasury


@contextmanager
def _settings(options: argparse.Namespace) -> Iterator[Settings]:
    """Yield the settings in force, or those of a demo treasury made for this run."""
    if options.demo:
        if options.config or options.profile or options.database:
            raise InvalidRequest(
                "--demo makes a treasury of its own; use it without --config, --profile and --database"
            )
        from treasury_console.demo.session import demo_session

        with demo_session(say) as demo:
            yield _read_only(demo.settings, options)
        say(f"The demo treasury stays in {demo.directory}; delete that directory when you are done.")
        say(f"Go on with: treasury-cli --config {demo.config_file} transactions list")
        return
    from treasury_console.configuration import load_settings

    yield _read_only(
        load_settings(file=options.config, profile=options.profile, database_url=options.database), options
    )


def _read_only(settings: Settings, options: argparse.Namespace) -> Settings:
    if not options.read_only:
        return settings
    return replace(settings, read_only=True, sources={**settings.sources, "read_only": "--read-only"})


def _offer_to_initialise(settings: Settings, refusal: ConfigurationError, ask: Callable[[str], str] = input) -> None:
    """Initialise if the person says yes; raise `refusal` otherwise."""
    from treasury_console.operations.setup import initialise, needs_initialising

    if settings.read_only or not _is_terminal(sys.__stdin__):
        raise refusal
    needed = needs_initialising(settings)
    if not needed:
        raise refusal
    say(f"{safe_text(str(refusal)).partition(';')[0]}.")
    say(f"Initialising creates or migrates: {', '.join(safe_text(name) for name in needed)}.")
    try:
        answer = ask("Initialise now? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in {"y", "yes"}:
        raise refusal
    for database in initialise(settings):
        say(f"{safe_text(database.name)}: {database.version_before or 'new'} -> {database.version}")


def _take_any_bytes() -> None:
    """Read bytes that are no UTF-8 as replacement characters: Textual's strict decoder would end the app."""
    from textual.drivers import linux_driver

    vars(linux_driver)["getincrementaldecoder"] = lambda encoding: partial(getincrementaldecoder(encoding), "replace")


def _run_app(treasury: Treasury, options: argparse.Namespace) -> int:
    if options.low_bandwidth:
        for name, value in _NO_FRAMES.items():
            os.environ.setdefault(name, value)
    # Textual reads the environment when it is imported, and importing it takes most of the start.
    from treasury_console.tui.app import ConsoleApp, silence_logging

    silence_logging()
    if options.screenshot is not None:
        from treasury_console.tui.screenshot import write_screenshot

        write_screenshot(treasury, options.screenshot, SCREENSHOT_SIZE)
        return int(ExitStatus.DONE)
    _take_any_bytes()
    app = ConsoleApp(treasury, low_bandwidth=options.low_bandwidth)
    app.run(mouse=not options.low_bandwidth)
    if app.failure is not None:
        say(f"error: {app.failure}")
    return app.return_code or 0
