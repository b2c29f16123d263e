"""Scratch treasuries for tests: real databases in a folder of their own, a clock that is set, coordinators that die.

A `ScratchTreasury` is what is on disk; `open` gives a handle on it as a process would have. Everything a test does to
the databases behind the program's back (tampering, taking one away, reading every row) goes through it, so that the
tests themselves do not know which kind of database they run on.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from treasury_console.configuration import Settings, load_settings
from treasury_console.domain.transactions import Branch, Kind, Transaction
from treasury_console.ledger.database import Connection, Database
from treasury_console.ledger.transactions import TransactionRecord, list_pending
from treasury_console.operations.accounts import open_accounts
from treasury_console.operations.payments import deposit, transfer
from treasury_console.operations.setup import initialise
from treasury_console.operations.treasury import Treasury, open_treasury
from treasury_console.twophase.steps import Step, StepHook, no_hook

NOON = datetime(2025, 12, 30, 12, 0, tzinfo=UTC)
FUNDED_AT = NOON - timedelta(days=2)
OPERATOR = "operator@test"

ALICE, BOB, CAROL = "agent_1", "agent_2", "agent_3"
HOMES = {ALICE: "shard-1", BOB: "shard-2", CAROL: "shard-1"}
"""Where the usual agents live: a transfer from Alice to Bob crosses shards, one from Alice to Carol does not."""
OPENING_BALANCE = 100_000
"""What each of the usual agents has in USD, in minor units: 1000.00."""

TRANSFER_STEPS: tuple[tuple[Step, str], ...] = (
    (Step.CREATED, ""),
    (Step.BEFORE_PREPARE, ALICE),
    (Step.PREPARED, ALICE),
    (Step.BEFORE_PREPARE, BOB),
    (Step.PREPARED, BOB),
    (Step.VOTES_LOGGED, ""),
    (Step.BEFORE_DECISION, ""),
    (Step.DECIDED, ""),
    (Step.BEFORE_APPLY, ALICE),
    (Step.APPLIED, ALICE),
    (Step.BEFORE_APPLY, BOB),
    (Step.APPLIED, BOB),
    (Step.BEFORE_CONFIRM, ""),
    (Step.CONFIRMED, ""),
)
"""Every step of a transfer from Alice to Bob, in order."""

FORCE_STEPS: tuple[tuple[Step, str], ...] = (
    (Step.INTENT_LOGGED, ""),
    (Step.FENCED, ""),
    (Step.DECIDED, ""),
    (Step.BEFORE_APPLY, ALICE),
    (Step.APPLIED, ALICE),
    (Step.BEFORE_APPLY, BOB),
    (Step.APPLIED, BOB),
    (Step.BEFORE_CONFIRM, ""),
    (Step.CONFIRMED, ""),
    (Step.VERIFIED, ""),
    (Step.OUTCOME_LOGGED, ""),
)
"""Every step of forcing that transfer, in order."""


class ManualClock:
    """A clock that stands still until it is moved; aware, in UTC."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, duration: timedelta) -> None:
        """Move the clock on."""
        self.now += duration


class Crash(BaseException):
    """The process died here: nothing after this point was done by it."""


@dataclass
class Recorder:
    """A step hook that notes every step, and dies at the one it is told to."""

    dies_at: tuple[Step, str] | None = None
    seen: list[tuple[Step, str]] = field(default_factory=list)

    def __call__(self, step: Step, participant: str) -> None:
        self.seen.append((step, participant))
        if (step, participant) == self.dies_at:
            raise Crash(f"{step} {participant}")


def once_at(step: tuple[Step, str], act: Callable[[], object]) -> StepHook:
    """Return a step hook that calls `act` the first time `step` is reached: how two processes are interleaved."""
    done: list[tuple[Step, str]] = []

    def hook(reached: Step, participant: str) -> None:
        if (reached, participant) == step and not done:
            done.append(step)
            act()

    return hook


def before_snapshot(database: Database, act: Callable[[], object]) -> None:
    """Make `act` happen right before the next snapshot of `database` is taken."""
    original = database.snapshot

    @contextmanager
    def snapshot() -> Iterator[Connection]:
        database.snapshot = original  # type: ignore[method-assign]
        act()
        with original() as connection:
            yield connection

    database.snapshot = snapshot  # type: ignore[method-assign]


@dataclass
class ScratchTreasury:
    """An initialised treasury with two shards in SQLite files, synchronous OFF, under a clock that is set by hand."""

    folder: Path
    settings: Settings
    clock: ManualClock = field(default_factory=ManualClock)
    handles: list[Treasury] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, ...]:
        """The databases: the treasury's, then the shards'."""
        return ("treasury", *(shard.name for shard in self.settings.shards))

    def open(self, *, actor: str = OPERATOR, on_step: StepHook = no_hook, **changes: Any) -> Treasury:
        """Open the treasury as one more process would; `changes` are settings. It is closed with this one."""
        handle = open_treasury(
            replace(self.settings, **changes),
            actor=actor,
            clock=self.clock,
            randomness=random.Random(f"{self.folder.name} {len(self.handles)}"),
            on_step=on_step,
        )
        self.handles.append(handle)
        return handle

    @cached_property
    def observer(self) -> Treasury:
        """A handle that the test itself looks through."""
        return self.open(actor="observer@test")

    def close(self) -> None:
        """Close every handle."""
        for handle in self.handles:
            handle.close()

    def file(self, name: str) -> Path:
        """Return the file of a database."""
        return self.folder / f"{name}.sqlite"

    def execute(self, name: str, *statements: str, parameters: Iterable[Any] = ()) -> None:
        """Run SQL on a database behind the program's back; what makes its history append-only is kept."""
        with closing(sqlite3.connect(self.file(name), timeout=5)) as connection, connection:
            for statement in statements:
                connection.execute(statement, tuple(parameters))

    def tamper(self, name: str, *statements: str, parameters: Iterable[Any] = ()) -> None:
        """Change history as somebody could who owns the database: drop every trigger, then run SQL."""
        with closing(sqlite3.connect(self.file(name), timeout=5)) as connection, connection:
            for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {trigger}")
            for statement in statements:
                connection.execute(statement, tuple(parameters))

    def query(self, name: str, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query on a database."""
        with closing(sqlite3.connect(self.file(name), timeout=5)) as connection:
            return connection.execute(statement, parameters).fetchall()

    def contents(self, *, without: Iterable[str] = ()) -> Mapping[str, list[tuple[Any, ...]]]:
        """Return every row of every table of every database, but for the tables in `without`."""
        rows: dict[str, list[tuple[Any, ...]]] = {}
        for name in self.names:
            for (table,) in self.query(name, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"):
                if table not in without:
                    rows[f"{name}.{table}"] = sorted(self.query(name, f"SELECT * FROM {table}"), key=repr)
        return rows

    def take_away(self, name: str) -> None:
        """Make a database unreachable for every handle, present and future."""
        for handle in self.handles:
            for database in (handle.store, *(shard.database for shard in handle.shards.values())):
                if database.name == name:
                    database.close()
        for file in self.folder.glob(f"{name}.sqlite*"):
            file.rename(file.with_name(f"away-{file.name}"))

    def bring_back(self, name: str) -> None:
        """Undo `take_away`."""
        for file in self.folder.glob(f"away-{name}.sqlite*"):
            file.rename(file.with_name(file.name.removeprefix("away-")))

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Keep a database unreachable for the body."""
        self.take_away(name)
        try:
            yield
        finally:
            self.bring_back(name)

    def account(self, agent_id: str, currency: str = "USD") -> tuple[int, int, int]:
        """Return (balance, held, version) of one of the usual agents, as stored."""
        [row] = self.query(
            HOMES[agent_id],
            "SELECT balance, held, version FROM accounts WHERE agent_id = ? AND currency = ?",
            agent_id,
            currency,
        )
        return row[0], row[1], row[2]

    def balances(self) -> dict[str, int]:
        """Return the stored USD balance of the usual agents."""
        return {agent_id: self.account(agent_id)[0] for agent_id in HOMES}

    def audit_trail(self, *operations: str) -> list[tuple[str, str, str | None]]:
        """Return (phase, actor, approval) of the audit events of `operations`, in order."""
        marks = ", ".join("?" * len(operations))
        query = f"SELECT phase, actor, approval FROM audit_events WHERE operation IN ({marks}) ORDER BY seq"
        return [(row[0], row[1], row[2]) for row in self.query("treasury", query, *operations)]

    def pending(self) -> list[TransactionRecord]:
        """Return the unfinished transactions as recorded, oldest first."""
        with self.observer.store.snapshot() as connection:
            return list_pending(connection)

    def crash_a_transfer(
        self,
        step: tuple[Step, str],
        *,
        sender: str = ALICE,
        receiver: str = BOB,
        amount: str = "10.00",
        idempotency_key: str | None = None,
    ) -> str:
        """Start a transfer whose coordinator dies at `step`; return its txn_id."""
        handle = self.open(actor="platform@test", on_step=Recorder(dies_at=step))
        try:
            transfer(handle, sender, receiver, amount, "USD", idempotency_key=idempotency_key)
        except Crash:
            handle.close()
            [[txn_id]] = self.query("treasury", "SELECT txn_id FROM transactions ORDER BY rowid DESC LIMIT 1")
            return str(txn_id)
        raise AssertionError(f"the transfer did not reach {step}")


def stuck(scratch: ScratchTreasury, step: tuple[Step, str], *, age: timedelta = timedelta(minutes=12)) -> str:
    """Leave a transfer behind whose coordinator died at `step` so long ago that its lease has run out."""
    txn_id = scratch.crash_a_transfer(step)
    scratch.clock.advance(age)
    return txn_id


def settings_in(folder: Path) -> Settings:
    """Return the settings of an embedded treasury in `folder` that does not wait for the disk."""
    settings = load_settings(database_url=f"sqlite:///{folder / 'treasury.sqlite'}", environment={})
    return replace(settings, synchronous="OFF")


def scratch_base() -> Path | None:
    """Return a folder in memory if the machine has one."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else None


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield an empty folder, in memory if the machine can, that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="treasury-test-", dir=scratch_base()) as name:
        yield Path(name)


@contextmanager
def scratch_copy(template: Path) -> Iterator[ScratchTreasury]:
    """Yield a treasury that begins as a copy of `template`."""
    with scratch_folder() as folder:
        shutil.copytree(template, folder, dirs_exist_ok=True)
        scratch = ScratchTreasury(folder, settings_in(folder))
        try:
            yield scratch
        finally:
            scratch.close()


def make_empty(folder: Path) -> None:
    """Make an initialised treasury without agents in `folder`."""
    initialise(settings_in(folder))


def make_funded(folder: Path) -> None:
    """Make a treasury in `folder` where each of the usual agents was given 1000.00 USD two days before noon."""
    make_empty(folder)
    scratch = ScratchTreasury(folder, settings_in(folder), ManualClock(FUNDED_AT))
    treasury = scratch.open(actor="setup@test")
    for agent_id, shard in HOMES.items():
        open_accounts(treasury, agent_id, ["USD"], shard=shard)
        deposit(treasury, agent_id, "1000.00", "USD", reference="opening balance")
    scratch.close()


def a_transaction(
    *branches: Branch,
    txn_id: str = "txn_1",
    currency: str = "USD",
    epoch: int = 1,
    idempotency_key: str | None = None,
    coordinator_id: str = "coord_1",
) -> Transaction:
    """Return a transfer of these branches."""
    return Transaction(
        txn_id=txn_id,
        kind=Kind.TRANSFER,
        currency=currency,
        amount=max(sum(branch.amount for branch in branches if branch.amount > 0), 1),
        reference="",
        created_at=NOON,
        coordinator_id=coordinator_id,
        epoch=epoch,
        branches=branches,
        idempotency_key=idempotency_key,
    )


def read(database: Database, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query in a snapshot of `database`."""
    with database.snapshot() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement)]
