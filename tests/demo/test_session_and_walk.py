"""The demo of a session, and the walk through the runbook on it: one thing out of place makes it fail."""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.demo.conftest import BuiltDemo
from tests.treasuries import scratch_folder
from treasury_console.configuration import load_settings
from treasury_console.demo import session
from treasury_console.demo.build import DemoTreasury
from treasury_console.demo.cleanup import live_coordinator_pid
from treasury_console.demo.record import CONFIG_FILE, RECORD_FILE
from treasury_console.demo.session import demo_session
from treasury_console.demo.walk import _does_not_say, _finds, _lists, _says, walk
from treasury_console.domain.errors import InvalidRequest, Unreachable
from treasury_console.domain.resolution import Action
from treasury_console.operations.accounts import locate_agents
from treasury_console.operations.force import Approval, force
from treasury_console.operations.treasury import open_treasury


@dataclass(frozen=True)
class Walked:
    """A walk through the demo of a session, and the session afterwards."""

    demo: DemoTreasury
    was_alive: bool
    is_alive: bool
    status: int
    lines: tuple[str, ...]


@pytest.fixture(scope="module")
def walked() -> Iterator[Walked]:
    lines: list[str] = []
    with scratch_folder() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        patch.setenv("TREASURY_DATABASE_URL", f"sqlite:///{folder / 'elsewhere.sqlite'}")
        with demo_session() as demo:
            was_alive = live_coordinator_pid(demo.directory) is not None
            status = walk(demo.directory, lines.append)
        is_alive = live_coordinator_pid(demo.directory) is not None
        assert [path.name for path in folder.iterdir()] == [demo.directory.name]
        yield Walked(demo, was_alive, is_alive, status, tuple(lines))


def test_the_walk_succeeds_on_a_fresh_demo(walked: Walked) -> None:
    assert walked.status == 0, "\n".join(walked.lines)
    verdicts = [line for line in walked.lines if line.startswith(("PASS: exit", "FAIL"))]
    assert len(verdicts) > 20
    assert not [line for line in verdicts if line.startswith("FAIL")]


@pytest.mark.parametrize(
    "command",
    [
        "transactions list --state pending --age '>5m'",
        "transactions inspect --txn-id {runbook-1}",
        "transactions force-commit --txn-id {runbook-1} --approval INC-12345 --dry-run",
        "transactions force-commit --txn-id {runbook-1} --approval 12345",
        "transactions force-commit --txn-id {runbook-1} --approval INC-12345",
        "transactions force-rollback --txn-id {refused} --approval INC-12345",
        "transactions force-rollback --txn-id {half-applied} --approval INC-12345",
        "transactions force-commit --txn-id {live} --approval INC-12345",
        "transactions resume",
        "verify --agent-id agent_1 --agent-id agent_2",
        "verify --agent-id agent_123",
        "reconcile --agent-id agent_123 --last 7d",
    ],
)
def test_the_walk_runs_the_runbooks_commands(walked: Walked, command: str) -> None:
    command = re.sub(
        r"{([^}]+)}",
        lambda match: next(story.txn_id for story in walked.demo.stuck if story.name == match[1]),
        command,
    )
    assert f"$ treasury-cli {command}" in walked.lines


def test_the_walk_shows_what_the_commands_printed(walked: Walked) -> None:
    header = re.compile(r"TXN_ID +STATE +AGE +PARTICIPANTS +AMOUNT")
    assert any(header.fullmatch(line) for line in walked.lines)
    assert any(line.startswith("verified: balances") for line in walked.lines)
    assert any(line.startswith("error: '12345' is not an incident ID") for line in walked.lines)


def test_nothing_the_walk_prints_can_harm_a_terminal(walked: Walked) -> None:
    text = "".join(walked.lines).replace("\n", "")
    assert "pwn" in text
    assert text.isprintable()


def test_a_session_lives_in_a_private_directory_that_stays_while_its_coordinator_ends(walked: Walked) -> None:
    assert walked.was_alive
    assert not walked.is_alive
    assert walked.demo.directory.name.startswith("treasury-demo-")
    assert walked.demo.directory.stat().st_mode & 0o777 == 0o700
    assert walked.demo.config_file.exists()


def test_a_session_that_cannot_be_built_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_arguments: object, **_options: object) -> DemoTreasury:
        raise Unreachable("the disk is full")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(session, "build_demo", fail)
    with pytest.raises(Unreachable), demo_session():
        pass
    assert list(tmp_path.iterdir()) == []


def copy_of(built: BuiltDemo, directory: Path) -> Path:
    """Copy the demo, each database at one instant, while its live coordinator goes on with the original."""
    for name in (CONFIG_FILE, RECORD_FILE):
        (directory / name).write_bytes((built.demo.directory / name).read_bytes())
    for name in ("treasury.sqlite", "shard-1.sqlite", "shard-2.sqlite"):
        with (
            closing(sqlite3.connect(built.demo.directory / name)) as source,
            closing(sqlite3.connect(directory / name)) as target,
        ):
            source.backup(target)
    return directory


def failed_commands(lines: list[str]) -> set[str]:
    """Return the commands below which the walk says FAIL."""
    failed, command = set(), ""
    for line in lines:
        if line.startswith("$ treasury-cli "):
            command = line.removeprefix("$ treasury-cli ")
        elif line.startswith("FAIL: "):
            failed.add(command)
    return failed


def test_the_walk_fails_where_something_was_resolved_or_mended_before_and_only_there(
    built: BuiltDemo, tmp_path: Path
) -> None:
    directory = copy_of(built, tmp_path)
    settings = load_settings(file=directory / CONFIG_FILE, environment={})
    with open_treasury(settings) as treasury:
        force(treasury, built.txn_id("forgotten"), Action.FORCE_ROLLBACK, Approval("INC-1"))
        shard = locate_agents(treasury, ["agent_123"])["agent_123"]
    with closing(sqlite3.connect(directory / f"{shard}.sqlite")) as connection, connection:
        connection.execute(
            "UPDATE accounts SET balance = balance - 41237 WHERE agent_id = 'agent_123' AND currency = 'USD'"
        )
    lines: list[str] = []
    assert walk(directory, lines.append) == 1
    assert re.fullmatch(r"\nFAIL: [0-9]+ of [0-9]+ steps ended otherwise than they should: \[1, .*\]", lines[-1])
    failed = failed_commands(lines)
    lost_its_coordinator = {command for command in failed if built.txn_id("live") in command}
    assert {command.split(" --date")[0] for command in failed - lost_its_coordinator} == {
        "transactions list --state pending --age '>5m'",
        "transactions list --state pending",
        "reconcile --scope full",
        "reconcile --agent-id agent_123 --last 7d",
        "verify --agent-id agent_123",
    }


@pytest.mark.parametrize(
    ("expectation", "good", "bad"),
    [
        (_says("is COMMITTED"), "txn_1 is\n   COMMITTED", "txn_1 is PREPARED"),
        (_does_not_say("NOT verified"), "verified", "NOT\nverified"),
        (_lists([("txn_1", "PREPARED")]), "txn_1  PREPARED  12m", "txn_1  PREPARED  12m\ntxn_2  PREPARED  8m"),
        (_lists([("txn_1", "PREPARED")]), "TXN_ID STATE\ntxn_1  PREPARED  12m", "TXN_ID  STATE  AGE"),
        (_lists([("txn_1", "PREPARED")]), "txn_1  PREPARED  12m", "txn_1  COMMITTING  12m"),
        (_finds({"B1-0a": "orphaned debit"}), "B1-0a: orphaned debit (80% certain)", "B1-0a: duplicate credit"),
        (_finds({"B1-0a": "unknown"}), "B1-0a: unknown", "B1-0a: unknown\nG1-1b: unknown"),
        (_finds({}), "clean", "B1-0a: unknown"),
    ],
)
def test_an_expectation_accepts_what_it_should_and_nothing_else(
    expectation: Callable[[str], str | None], good: str, bad: str
) -> None:
    assert expectation(good) is None
    assert expectation(bad)


def test_a_walk_where_no_demo_is_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="holds no demo"):
        walk(tmp_path, lambda _line: None)
