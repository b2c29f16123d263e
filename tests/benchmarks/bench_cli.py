# ruff: noqa: T201 - printing is what this script is for
"""How long `treasury-cli` takes to start: `python -m tests.benchmarks.bench_cli [--rounds N]`.

Rounds of real processes, the contestants in rotating order. `ratio` compares the shortest wall times; `cpu` is the
median over the rounds of the ratio of processor times, which other work on the machine disturbs less. Where the two
disagree the machine was too busy to say: repeat it. It fails only when a command fails, never on time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from treasury_console.configuration import load_settings
from treasury_console.operations.accounts import open_accounts
from treasury_console.operations.payments import deposit, transfer
from treasury_console.operations.setup import initialise
from treasury_console.operations.treasury import open_treasury
from treasury_console.twophase.steps import Step

ROOT = Path(__file__).parents[2]
CONSOLE_SCRIPT = "from treasury_console.cli.main import main; main()"
BARE_SCRIPT = """\
import sys
from sqlalchemy import create_engine, text
query = text('''
    SELECT t.txn_id, t.created_at, t.amount, t.currency, b.participant, b.vote, d.decision, c.lease_until
    FROM transactions t JOIN branches b ON b.txn_id = t.txn_id JOIN coordinators c USING (coordinator_id)
    LEFT JOIN decisions d ON d.txn_id = t.txn_id WHERE t.finished_at IS NULL ORDER BY t.created_at, t.txn_id''')
with create_engine(sys.argv[1]).connect() as connection:
    for row in connection.execute(query):
        print(*row)
"""
PASS, BARE, PSQL, SQLITE = "python -c pass", "bare SQLAlchemy script", "psql --version", "sqlite3 'select 1'"
HELP, VERSION = "treasury-cli --help", "treasury-cli --version"
COMPLETION, LIST = "completion of a command", "treasury-cli transactions list"
BASH_COMPLETION = {"_TREASURY_CLI_COMPLETE": "bash_complete", "COMP_WORDS": "treasury-cli tr", "COMP_CWORD": "1"}


@dataclass(frozen=True)
class Contestant:
    """A command to time."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """What one process took, in seconds."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Comparison:
    """Two contestants, by name; `target` is the ratio that is wanted at most, or None where there is none."""

    figure: str
    baseline: str
    target: float | None = None


class _Crash(BaseException):
    """The coordinator dies."""


def main() -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--pending", type=int, default=10, help="how many transactions the list shows")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="bench-cli-") as folder:
        config = _make_treasury(Path(folder), arguments.pending)
        measured = _measure(_contestants(Path(folder), config), arguments.rounds)
    print(
        f"{arguments.rounds} rounds, {arguments.pending} pending, load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores"
    )
    print(f"{'figure':32}{'ms':>7}  {'baseline':24}{'ms':>7}{'ratio':>8}{'cpu':>7}{'target':>9}")
    for comparison in _comparisons(measured):
        figure, baseline = measured[comparison.figure], measured[comparison.baseline]
        shortest, shortest_baseline = min(run.wall for run in figure), min(run.wall for run in baseline)
        cpu = statistics.median(one.cpu / other.cpu for one, other in zip(figure, baseline, strict=True))
        target = f"<= {comparison.target:.2f}" if comparison.target else "-"
        print(
            f"{comparison.figure:32}{shortest * 1e3:7.1f}  {comparison.baseline:24}{shortest_baseline * 1e3:7.1f}"
            f"{shortest / shortest_baseline:8.2f}{cpu:7.2f}{target:>9}"
        )
    return 0


def _contestants(folder: Path, config: Path) -> list[Contestant]:
    python, cli = sys.executable, (sys.executable, "-c", CONSOLE_SCRIPT)
    database = f"{folder}/treasury.sqlite"
    found = [
        Contestant(PASS, (python, "-c", "pass")),
        Contestant("import click", (python, "-c", "import click")),
        Contestant(HELP, (*cli, "--help")),
        Contestant(VERSION, (*cli, "--version")),
        Contestant(COMPLETION, cli, BASH_COMPLETION),
        Contestant(BARE, (python, "-c", BARE_SCRIPT, f"sqlite:///{database}")),
        Contestant(LIST, (*cli, "--config", str(config), "transactions", "list")),
    ]
    if shutil.which("psql"):
        found.append(Contestant(PSQL, ("psql", "--version")))
    if shutil.which("sqlite3"):
        found.append(Contestant(SQLITE, ("sqlite3", database, "select 1")))
    return found


def _comparisons(measured: Mapping[str, Sequence[Run]]) -> list[Comparison]:
    peers = [peer for peer in (PSQL, SQLITE) if peer in measured]
    return [
        Comparison("import click", PASS),
        Comparison(HELP, PASS, 5.0),
        Comparison(VERSION, PASS, 5.0),
        Comparison(COMPLETION, PASS, 5.0),
        Comparison(BARE, PASS),
        Comparison(LIST, BARE, 1.25),
        *(Comparison(figure, peer) for peer in peers for figure in (HELP, LIST)),
    ]


def _measure(contestants: Sequence[Contestant], rounds: int) -> dict[str, list[Run]]:
    measured: dict[str, list[Run]] = {contestant.name: [] for contestant in contestants}
    with Path(os.devnull).open("w") as nowhere:
        for number in range(rounds):
            turn = number % len(contestants)
            for contestant in (*contestants[turn:], *contestants[:turn]):
                measured[contestant.name].append(_run(contestant, nowhere.fileno()))
    return measured


def _run(contestant: Contestant, output: int) -> Run:
    """Run the command once. `subprocess` with a timeout would poll, in steps as long as what is measured."""
    program = shutil.which(contestant.command[0]) or contestant.command[0]
    environment = {**os.environ, **(contestant.environment or {})}
    began = time.perf_counter()
    process = os.posix_spawn(
        program,
        tuple(contestant.command),
        environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, output, sys.stdout.fileno())],
    )
    _, status, used = os.wait4(process, 0)
    took = time.perf_counter() - began
    if status != 0:
        raise SystemExit(f"{contestant.name} failed with status {os.waitstatus_to_exitcode(status)}")
    return Run(took, used.ru_utime + used.ru_stime)


def _make_treasury(folder: Path, pending: int) -> Path:
    """Make an embedded treasury with stuck transactions; return its configuration file."""
    config = folder / "treasury.toml"
    config.write_text('[profiles.default]\ntreasury = "sqlite:///treasury.sqlite"\n', encoding="utf-8")
    settings = replace(load_settings(file=config, environment={}), synchronous="OFF")
    initialise(settings)
    long_ago = datetime.now(UTC) - timedelta(minutes=12)
    with open_treasury(settings, clock=lambda: long_ago) as treasury:
        for agent_id in ("agent_1", "agent_2"):
            open_accounts(treasury, agent_id, ["USD"])
        deposit(treasury, "agent_1", "1000000", "USD")

    def die(step: Step, _participant: str) -> None:
        if step is Step.BEFORE_DECISION:
            raise _Crash

    with open_treasury(settings, clock=lambda: long_ago, on_step=die) as treasury:
        for _ in range(pending):
            try:
                transfer(treasury, "agent_1", "agent_2", "1.00", "USD")
            except _Crash:
                continue
    return config


if __name__ == "__main__":
    sys.exit(main())
