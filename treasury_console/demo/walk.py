"""The runbook's 2PC and reconciliation parts, gone through on a demo without a terminal.

Every step runs the real command in a process of its own, prints the command and what it printed, and checks its exit
status and what it said. The walk succeeds only if every step ended as it should.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from treasury_console.demo.record import DemoTreasury, StuckStory, load_demo
from treasury_console.demo.stories import HOSTILE_AGENT, RUNBOOK_AGENT
from treasury_console.domain.errors import ExitStatus
from treasury_console.domain.text import safe_text
from treasury_console.operations.treasury import Clock, utc_now

APPROVAL = "INC-12345"
_TIMEOUT_SECONDS = 60
_ROW = re.compile(r"^(txn_\w+) +([A-Z]+) ", re.MULTILINE)
_FINDING = re.compile(r"^([A-Z][0-9]-[0-9a-f]+): ([a-z ]+?)(?: \(|$)", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")

Expectation = Callable[[str], str | None]
"""Looks at what a command printed and returns what is wrong with it, or None."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command of the walk: why it is run, its arguments, how it must exit, and what is expected of its output."""

    title: str
    arguments: tuple[str, ...]
    status: ExitStatus
    expectations: tuple[Expectation, ...]


def _quoted(argument: str) -> str:
    """Return `argument` as a shell takes it, control characters in $'...'."""
    shown = safe_text(argument)
    if shown == argument:
        return shlex.quote(argument)
    escaped = argument.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{safe_text(escaped)}'"


def walk(directory: Path, write: Callable[[str], None], *, clock: Clock = utc_now) -> int:
    """Go through the runbook on the demo in `directory`, telling `write` line by line; return 0 if all went well.

    It resolves transactions, so it can succeed once per demo. Raise InvalidRequest when there is no demo.
    """
    demo = load_demo(directory)
    steps = _steps(demo, clock)
    failed = []
    write(f"$ export TREASURY_CONFIG={shlex.quote(safe_text(str(demo.config_file)))}")
    for number, step in enumerate(steps, start=1):
        write(f"\n# {number}. {step.title}")
        write(f"$ treasury-cli {' '.join(_quoted(argument) for argument in step.arguments)}")
        problems = _run(demo, step, write)
        for problem in problems:
            write(f"FAIL: {problem}")
        if problems:
            failed.append(number)
        else:
            write(f"PASS: exit status {step.status.value}")
    if failed:
        write(f"\nFAIL: {len(failed)} of {len(steps)} steps ended otherwise than they should: {failed}")
        return 1
    write(f"\nPASS: all {len(steps)} steps ended as they should")
    return 0


def _run(demo: DemoTreasury, step: Step, write: Callable[[str], None]) -> list[str]:
    """Run the step and return what was wrong."""
    try:
        ended = subprocess.run(  # noqa: S603 - our own program, and no shell in between
            [sys.executable, "-P", "-m", "treasury_console.cli", *step.arguments],
            env=_environment(os.environ, demo.config_file),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [f"it did not end within {_TIMEOUT_SECONDS} seconds"]
    for line in ended.stdout.splitlines():
        write(safe_text(line))
    problems = [problem for expectation in step.expectations if (problem := expectation(ended.stdout)) is not None]
    if ended.returncode != step.status:
        problems.insert(0, f"exit status {ended.returncode} instead of {step.status.value}")
    if _CONTROL.search(ended.stdout):
        problems.append("it printed control characters, which a terminal would obey")
    return problems


def _environment(environment: Mapping[str, str], config_file: Path) -> dict[str, str]:
    """Return the environment of a command: nothing in it may lead away from the demo."""
    kept = {name: value for name, value in environment.items() if not name.startswith("TREASURY_")}
    return kept | {"TREASURY_CONFIG": str(config_file), "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}


def _steps(demo: DemoTreasury, clock: Clock) -> list[Step]:
    stuck = {story.name: story for story in demo.stuck}
    return [
        _list("The runbook: list pending 2PC transactions", demo.stuck, "--age", ">5m"),
        *_commit_what_all_prepared(stuck["runbook-1"]),
        *_roll_back_what_one_refused(stuck["refused"]),
        *_leave_alone_what_is_decided(stuck["half-applied"], stuck["abort-not-applied"]),
        *(_leave_alone_what_is_alive(stuck["live"]) if "live" in stuck else ()),
        *_treat_a_hostile_name_as_any_other(stuck["hostile"]),
        *_reconcile(demo, f"{clock():%Y-%m-%d}"),
        _list(
            "What nobody has resolved is still pending, and nothing else is",
            [stuck[name] for name in ("forgotten", "not-prepared", "runbook-2", "live") if name in stuck],
        ),
    ]


def _commit_what_all_prepared(story: StuckStory) -> list[Step]:
    txn_id, done = story.txn_id, ExitStatus.DONE
    return [
        _inspect("The runbook: analyse its first transaction", story, commit=True, rollback=True),
        _force(
            "A dry run shows the balances to come, and writes nothing",
            "commit",
            txn_id,
            done,
            _says("nothing was written", f"{txn_id} would be COMMITTED", "1000.00 -> 0.00"),
            dry_run=True,
        ),
        _force(
            "A force without an incident ID of the right form is refused",
            "commit",
            txn_id,
            ExitStatus.USAGE,
            _says("'12345' is not an incident ID"),
            approval="12345",
        ),
        _force(
            "The runbook: commit if all participants prepared",
            "commit",
            txn_id,
            done,
            _says(f"{txn_id} is COMMITTED", f"approval {APPROVAL}", "verified: balances"),
            _does_not_say("already decided", "NOT verified"),
        ),
        _force(
            "The same force again changes nothing, and says who decided",
            "commit",
            txn_id,
            done,
            _says(f"{txn_id} is COMMITTED", "already decided commit"),
        ),
        _force("The other force comes too late", "rollback", txn_id, ExitStatus.REFUSED, _DECIDED_COMMIT),
        _verify("The runbook: verify balance integrity", story.participants),
    ]


def _roll_back_what_one_refused(story: StuckStory) -> list[Step]:
    txn_id = story.txn_id
    return [
        _inspect("A participant of this one voted no", story, commit=False, rollback=True),
        _force(
            "So it must not be committed",
            "commit",
            txn_id,
            ExitStatus.REFUSED,
            _says("force-commit", "is refused", "must not commit"),
        ),
        _force(
            "The runbook: rollback if any participant failed",
            "rollback",
            txn_id,
            ExitStatus.DONE,
            _says(f"{txn_id} is ABORTED", f"approval {APPROVAL}", "verified: balances"),
        ),
    ]


def _leave_alone_what_is_decided(committed: StuckStory, aborted: StuckStory) -> list[Step]:
    return [
        _inspect("Commit is decided here, and done on one shard only", committed, commit=True, rollback=False),
        _force(
            "What is decided and half done cannot be undone",
            "rollback",
            committed.txn_id,
            ExitStatus.REFUSED,
            _DECIDED_COMMIT,
        ),
        _inspect("Abort is decided here, and money is still held", aborted, commit=False, rollback=True),
        Step(
            "Finish all transactions whose decision is recorded",
            ("transactions", "resume"),
            ExitStatus.DONE,
            (
                _says(f"{committed.txn_id} is COMMITTED", f"{aborted.txn_id} is ABORTED", "verified: balances"),
                _does_not_say("NOT verified"),
            ),
        ),
        _verify("Their money is where it belongs", (*committed.participants, *aborted.participants)),
    ]


def _leave_alone_what_is_alive(story: StuckStory) -> list[Step]:
    return [
        _inspect("The coordinator of this one is alive", story, commit=False, rollback=False),
        _force(
            "A force would race with it",
            "commit",
            story.txn_id,
            ExitStatus.REFUSED,
            _says("is refused", "The coordinator is alive"),
        ),
    ]


def _treat_a_hostile_name_as_any_other(story: StuckStory) -> list[Step]:
    return [
        _inspect("A participant of this one has a name that attacks terminals", story, commit=True, rollback=True),
        _force(
            "It is rolled back like any other",
            "rollback",
            story.txn_id,
            ExitStatus.DONE,
            _says(f"{story.txn_id} is ABORTED", "verified: balances"),
        ),
        _verify("And verified like any other", (HOSTILE_AGENT,)),
    ]


def _reconcile(demo: DemoTreasury, today: str) -> list[Step]:
    expected = {finding.finding_id: finding.cause.value for drift in demo.drifts for finding in drift.findings}
    drifts = [drift for drift in demo.drifts if drift.agent_id == RUNBOOK_AGENT]
    of_agent = {finding.finding_id: finding.cause.value for drift in drifts for finding in drift.findings}
    drifted = ExitStatus.DISCREPANCY
    return [
        Step(
            "The runbook: run full reconciliation, which finds every drift that was made and no other",
            ("reconcile", "--scope", "full", "--date", today),
            drifted,
            (_finds(expected), _says("drift", "agents 200")),
        ),
        Step(
            "The runbook: spot check a specific agent",
            ("reconcile", "--agent-id", RUNBOOK_AGENT, "--last", "7d"),
            drifted,
            (_finds(of_agent), _says("Reverse transaction")),
        ),
        Step(
            "An agent whose balance and journal disagree is not verified",
            ("verify", "--agent-id", RUNBOOK_AGENT),
            drifted,
            (_finds(of_agent), _says("DRIFT")),
        ),
        Step(
            "An agent that was paid by a forced commit is clean",
            ("reconcile", "--agent-id", "agent_2", "--last", "7d"),
            ExitStatus.DONE,
            (_finds({}), _says("clean")),
        ),
    ]


def _list(title: str, stories: tuple[StuckStory, ...] | list[StuckStory], *options: str) -> Step:
    arguments = ("transactions", "list", "--state", "pending", *options)
    expected = [(story.txn_id, story.state.value) for story in stories]
    return Step(title, arguments, ExitStatus.DONE, (_lists(expected),))


def _inspect(title: str, story: StuckStory, *, commit: bool, rollback: bool) -> Step:
    return Step(
        title,
        ("transactions", "inspect", "--txn-id", story.txn_id),
        ExitStatus.DONE,
        (
            _says(
                f"{story.txn_id} {story.state.value}",
                f"force-commit {'allowed' if commit else 'refused'}",
                f"force-rollback {'allowed' if rollback else 'refused'}",
                f"resume {'allowed' if story.verdict == 'resume' else 'refused'}",
            ),
        ),
    )


def _force(
    title: str,
    which: str,
    txn_id: str,
    status: ExitStatus,
    *expectations: Expectation,
    approval: str = APPROVAL,
    dry_run: bool = False,
) -> Step:
    arguments = ("transactions", f"force-{which}", "--txn-id", txn_id, "--approval", approval)
    return Step(title, (*arguments, "--dry-run") if dry_run else arguments, status, expectations)


def _verify(title: str, agent_ids: tuple[str, ...]) -> Step:
    arguments = ("verify", *(word for agent_id in agent_ids for word in ("--agent-id", agent_id)))
    return Step(title, arguments, ExitStatus.DONE, (_says("OK"), _does_not_say("DRIFT"), _finds({})))


def _says(*phrases: str) -> Expectation:
    """Expect every phrase, however the text is wrapped and aligned."""

    def expectation(output: str) -> str | None:
        text = " ".join(output.split())
        missing = [phrase for phrase in phrases if phrase not in text]
        return f"it does not say {', '.join(map(repr, missing))}" if missing else None

    return expectation


def _does_not_say(*phrases: str) -> Expectation:
    def expectation(output: str) -> str | None:
        text = " ".join(output.split())
        said = [phrase for phrase in phrases if phrase in text]
        return f"it says {', '.join(map(repr, said))}" if said else None

    return expectation


def _lists(expected: list[tuple[str, str]]) -> Expectation:
    """Expect exactly these transactions in these states, in this order."""

    def expectation(output: str) -> str | None:
        listed = _ROW.findall(output)
        return None if listed == expected else f"it lists {listed}, not {expected}"

    return expectation


def _finds(expected: Mapping[str, str]) -> Expectation:
    """Expect exactly these findings, by id, with these causes."""

    def expectation(output: str) -> str | None:
        found = dict(_FINDING.findall(output))
        return None if found == expected else f"it finds {found}, not {dict(expected)}"

    return expectation


_DECIDED_COMMIT = _says("was decided commit by", "cannot be made any more")
