"""The simulated world: one treasury on files, with a clock, chance and a network of its own, that can be wound back."""

from __future__ import annotations

import random
import sqlite3
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

from tests.treasuries import scratch_folder
from treasury_console.configuration import load_settings
from treasury_console.domain.ids import IdSource
from treasury_console.domain.money import Currencies
from treasury_console.operations.accounts import open_accounts
from treasury_console.operations.payments import deposit
from treasury_console.operations.setup import initialise
from treasury_console.operations.treasury import Treasury, open_treasury
from treasury_console.twophase.resource_manager import ResourceManager, Shard
from treasury_console.twophase.steps import StepHook, no_hook

from .acts import CURRENCY, HOMES, OPENING_BALANCE
from .network import Network, RemoteDatabase, RemoteResourceManager
from .state import State, StateReader

DAWN = datetime(2026, 3, 1, 12, tzinfo=UTC)
_TICK = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Moment:
    """The world at an instant, to wind it back to."""

    images: dict[str, sqlite3.Connection]
    now: datetime
    chance: tuple[Any, ...]


class World:
    """A treasury with two shards and four agents, reset between schedules by copying pages.

    The databases are opened once; every command gets a Treasury of its own over them, as a process of its own would.
    """

    def __init__(self) -> None:
        self._cleanup = ExitStack()
        self.folder = self._cleanup.enter_context(scratch_folder())
        self.now = DAWN
        self.chance = random.Random(0)
        self.network = Network()
        self.settings = replace(
            load_settings(database_url=f"sqlite:///{self.folder / 'treasury.sqlite'}", environment={}),
            synchronous="OFF",
        )
        initialise(self.settings)
        self._opened = open_treasury(
            self.settings, actor="founder", clock=self.clock, randomness=self.chance, on_step=no_hook
        )
        for agent, home in HOMES.items():
            open_accounts(self._opened, agent, [CURRENCY], shard=home)
            deposit(self._opened, agent, Currencies().format(OPENING_BALANCE, CURRENCY), CURRENCY)
        self.shards = {
            name: Shard(
                name,
                RemoteDatabase(shard.database, self.network),
                RemoteResourceManager(name, self.network, shard.manager),
            )
            for name, shard in self._opened.shards.items()
        }
        self.raw = {
            path.stem: sqlite3.connect(path, isolation_level=None) for path in sorted(self.folder.glob("*.sqlite"))
        }
        self._reader = StateReader(self.raw)
        self.morning = self.remember()

    def __enter__(self) -> World:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close and remove everything."""
        self._opened.close()
        for connection in self.raw.values():
            connection.close()
        self._cleanup.close()

    def clock(self) -> datetime:
        """Return the simulated time, which moves on by a millisecond each time somebody looks."""
        self.now += _TICK
        return self.now

    @property
    def microseconds(self) -> int:
        """The simulated time as databases store it."""
        return (self.now - _EPOCH) // timedelta(microseconds=1)

    def outlive_leases(self) -> None:
        """Let time pass until no coordinator has a lease any more."""
        last = max(self.read().leases.values(), default=0)
        self.now = max(self.now, _EPOCH + timedelta(microseconds=last)) + timedelta(minutes=1)

    def treasury(self, actor: str, on_step: StepHook = no_hook) -> Treasury:
        """Return what a new process of `actor` works with."""
        return Treasury(
            settings=self.settings,
            store=self._opened.store,
            shards=self.shards,
            actor=actor,
            clock=self.clock,
            ids=IdSource(self.chance),
            on_step=on_step,
        )

    def manager_at(self, shard: str) -> ResourceManager:
        """Return the shard's resource manager itself, on this side of the network."""
        return self._opened.shards[shard].manager

    def read(self) -> State:
        """Return what is stored."""
        return self._reader.read()

    def remember(self) -> Moment:
        """Return the present moment."""
        images = {}
        for name, connection in self.raw.items():
            images[name] = sqlite3.connect(":memory:")
            connection.backup(images[name])
        return Moment(images, self.now, self.chance.getstate())

    def return_to(self, moment: Moment) -> None:
        """Wind the world back; the network is not part of it."""
        for name, image in moment.images.items():
            image.backup(self.raw[name])
        self._reader.forget()
        self.now = moment.now
        self.chance.setstate(moment.chance)

    def lose_decision(self, txn_id: str) -> None:
        """Delete the decision row behind the product's back, as a restored or damaged log would have lost it."""
        self._behind_the_triggers("decisions", [("DELETE FROM decisions WHERE txn_id = ?", txn_id)])

    def forget(self, txn_id: str) -> None:
        """Delete every record that the treasury database has of the transaction."""
        tables = ("decisions", "branches", "transactions")
        self._behind_the_triggers("decisions", [(f"DELETE FROM {table} WHERE txn_id = ?", txn_id) for table in tables])

    def _behind_the_triggers(self, table: str, statements: list[tuple[str, str]]) -> None:
        raw = self.raw["treasury"]
        triggers = raw.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,)
        ).fetchall()
        raw.execute("BEGIN IMMEDIATE")
        for name, _ in triggers:
            raw.execute(f"DROP TRIGGER {name}")
        for statement, value in statements:
            raw.execute(statement, (value,))
        for _, definition in triggers:
            raw.execute(definition)
        raw.execute("COMMIT")
        self._reader.forget()
