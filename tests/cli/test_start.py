"""Starting: the table of commands is true, and a command imports only what it needs."""

from __future__ import annotations

import json
import os
import pkgutil
import pty
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module

import click
import pytest

import treasury_console.cli
from tests.cli.running import ROOT, CommandLine, clean_environment
from treasury_console import __version__
from treasury_console.cli.main import COMMANDS, cli
from treasury_console.cli.transactions import STATES
from treasury_console.operations.transactions import STATE_FILTERS

HEAVY = ("sqlalchemy", "rich", "textual", "pandas", "alembic", "httpx", "psycopg")
_PROGRAM = """\
import json, sys
from treasury_console.cli.main import cli
try:
    cli.main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def modules_after(*arguments: str, environment: Mapping[str, str] | None = None) -> set[str]:
    """Return the modules that a process has imported once the command is done."""
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        cwd=ROOT,
        env=clean_environment() | dict(environment or {}),
        capture_output=True,
        check=True,
    )
    return set(json.loads(ended.stderr.splitlines()[-1]))


def packages(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_of_every_command_what_its_module_says(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert (command.help or "").splitlines()[0] == COMMANDS[name][1]


def test_no_command_is_missing_from_the_table() -> None:
    found: dict[str, click.Command] = {}
    for module_info in pkgutil.iter_modules(treasury_console.cli.__path__):
        if module_info.name != "__main__":
            module = import_module(f"treasury_console.cli.{module_info.name}")
            found |= {
                f"{module_info.name}.{name}": value
                for name, value in vars(module).items()
                if isinstance(value, click.Command) and value is not cli
            }
    inner = {
        id(command) for group in found.values() if isinstance(group, click.Group) for command in group.commands.values()
    }
    outer = {key for key, command in found.items() if id(command) not in inner}
    assert outer == {f"{module}.{name}_command" for name, (module, _) in COMMANDS.items()}


def test_the_states_in_the_help_are_those_that_the_operation_knows() -> None:
    assert sorted(STATES) == sorted(STATE_FILTERS)


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_click_and_little_else(option: str) -> None:
    modules = modules_after(option)
    assert not packages(modules) & {*HEAVY, "platformdirs"}
    assert {module for module in modules if module.startswith("treasury_console.")} == {
        "treasury_console.cli",
        "treasury_console.cli.failures",
        "treasury_console.cli.main",
        "treasury_console.cli.session",
        "treasury_console.domain",
        "treasury_console.domain.errors",
        "treasury_console.domain.text",
    }


@pytest.mark.parametrize(
    "words", ["treasury-cli tr", "treasury-cli transactions ", "treasury-cli transactions list --"]
)
def test_completion_imports_nothing_heavy(words: str) -> None:
    environment = {
        "_TREASURY_CLI_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    assert not packages(modules_after(environment=environment)) & set(HEAVY)


def test_completion_offers_commands_and_options(line: CommandLine) -> None:
    def complete(words: str) -> list[str]:
        environment = {
            "_TREASURY_CLI_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }
        ended = subprocess.run(
            [sys.executable, "-m", "treasury_console.cli"],
            cwd=ROOT,
            env=clean_environment() | environment,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        return [row.partition(",")[2] for row in ended.stdout.splitlines()]

    assert complete("treasury-cli tr") == ["transfer", "transactions"]
    assert complete("treasury-cli transactions force") == ["force-commit", "force-rollback"]
    assert "--wide" in complete("treasury-cli transactions list --w")
    assert complete("treasury-cli transactions list --state pre") == ["preparing", "prepared"]
    assert "--config" in complete("treasury-cli --c")


def test_the_list_imports_no_migrations_no_terminal_library_and_no_data_frames(line: CommandLine) -> None:
    modules = modules_after("--config", str(line.config), "transactions", "list")
    assert "sqlalchemy" in modules
    assert not packages(modules) & {"alembic", "textual", "pandas", "rich", "platformdirs"}


@pytest.mark.parametrize(
    "arguments",
    [("reconcile", "--scope", "full"), ("verify", "--agent-id", "agent_1"), ("audit", "verify"), ("doctor",)],
    ids=" ".join,
)
def test_no_command_that_reads_imports_textual_rich_or_pandas(line: CommandLine, arguments: tuple[str, ...]) -> None:
    modules = modules_after("--config", str(line.config), *arguments)
    assert not packages(modules) & {"textual", "pandas", "rich"}


def test_the_help_lists_every_command_within_80_columns(line: CommandLine) -> None:
    printed = line.run("--help").stdout
    assert max(map(len, printed.splitlines())) <= 80
    for name, (_, summary) in COMMANDS.items():
        assert any(row.split() == [name, *summary.split()] for row in printed.splitlines())


def test_the_module_runs_as_the_program(line: CommandLine) -> None:
    assert line.process("--version").stdout == f"treasury-cli {__version__}\n"
    listed = line.process("transactions", "list")
    assert (listed.returncode, listed.stdout.split()) == (0, ["TXN_ID", "STATE", "AGE", "PARTICIPANTS", "AMOUNT"])
    refused = line.process("transactions", "inspect", "--txn-id", "txn_none")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: there is no transaction 'txn_none'")
    assert line.process("nonsense").stderr.splitlines()[-1] == "Try 'treasury-cli --help'."


def test_the_environment_names_the_configuration(line: CommandLine) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "treasury_console.cli", "accounts", "list"],
        cwd=ROOT,
        env=clean_environment() | {"TREASURY_CONFIG": str(line.config)},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert "agent_1" in ended.stdout


def on_a_terminal(line: CommandLine, environment: Mapping[str, str]) -> str:
    """Return what `transactions list` writes to a terminal."""
    control, terminal = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "treasury_console.cli", "--config", str(line.config), "transactions", "list"],
            cwd=ROOT,
            env=clean_environment() | {"TERM": "screen-256color"} | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=terminal,
        )
        assert process.wait() == 0
        return os.read(control, 65_536).decode()
    finally:
        os.close(terminal)
        os.close(control)


def test_a_terminal_gets_colour_unless_it_is_declined_and_a_pipe_gets_none(line: CommandLine) -> None:
    txn_id = line.make_stuck("agent_1", "agent_2", "1", minutes=6)
    assert "\x1b[33mPREPARED\x1b[0m" in on_a_terminal(line, {})
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        plain = on_a_terminal(line, environment)
        assert txn_id in plain
        assert "\x1b" not in plain
    assert "\x1b" not in line.process("transactions", "list").stdout


def test_an_encoding_without_the_characters_gets_escapes(line: CommandLine) -> None:
    line.run("accounts", "open", "--agent-id", "agent_→", "--currency", "USD")
    ended = line.process("accounts", "list", environment={"PYTHONIOENCODING": "latin-1"})
    assert ended.returncode == 0
    assert r"agent_\u2192" in ended.stdout
