"""Holding a treasury on disk against the invariants of the simulation, and against the product's own checks."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing

from tests.simulation.invariants import Chronicle, violations
from tests.simulation.state import State, StateReader
from treasury_console.configuration import SQLITE_SCHEME, Settings
from treasury_console.ledger.audit_log import verify_chain
from treasury_console.operations.treasury import open_treasury
from treasury_console.operations.verification import verify_agents

from .people import AGENTS


def read_stored(settings: Settings) -> State:
    """Return what is on disk."""
    urls = {"treasury": settings.treasury_url} | {shard.name: shard.url for shard in settings.shards}
    with ExitStack() as stack:
        return StateReader(
            {
                name: stack.enter_context(closing(sqlite3.connect(url.removeprefix(SQLITE_SCHEME))))
                for name, url in urls.items()
            }
        ).read()


def check_stored(settings: Settings, chronicle: Chronicle) -> None:
    """Check every invariant of a treasury in which nothing is in flight any more."""
    assert violations(read_stored(settings), chronicle, recovered=True) == []


def check_by_the_product(settings: Settings) -> None:
    """Let the product verify every account and the audit chain."""
    with open_treasury(settings, actor="auditor") as treasury:
        assert verify_agents(treasury, AGENTS).ok
        with treasury.store.snapshot() as connection:
            assert verify_chain(connection).ok
