"""Clients and operators are killed with SIGKILL, over and over, and no money is lost, made or left hanging.

In every cycle a client pays without end and is killed, an operator forces and resumes what is pending and may be killed
too, sometimes while the client is still alive. Then everything is recovered and checked. By default there are 60
cycles; `-m campaign` runs 1,000, or as many as the environment variable TREASURY_KILL_CYCLES says.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator

import pytest

from tests.simulation.invariants import Chronicle
from tests.treasuries import scratch_folder
from treasury_console.configuration import Settings
from treasury_console.domain.drift import RunStatus
from treasury_console.operations.reconciliation import reconcile_full
from treasury_console.operations.treasury import open_treasury

from .inspection import check_by_the_product, check_stored
from .people import Client, Operator, make_treasury, recover
from .processes import Child, Doom

BATCH = 30
BATCHES = 2
CAMPAIGN_CYCLES = int(os.environ.get("TREASURY_KILL_CYCLES", "1000"))
CLIENT_LIFE, OPERATOR_LIFE = 40, 14  # steps, at most
CYCLES_BETWEEN_PRODUCT_CHECKS = 5
LONGEST_LINGER = 0.003


@pytest.fixture
def settings() -> Iterator[Settings]:
    """A new treasury, removed afterwards."""
    with scratch_folder() as folder:
        yield make_treasury(folder)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_killed_clients_and_operators_leave_nothing_that_cannot_be_recovered(settings: Settings, batch: int) -> None:
    run_cycles(settings, batch)


@pytest.mark.campaign
@pytest.mark.timeout(0)
@pytest.mark.parametrize("batch", range(BATCHES, BATCHES + -(-CAMPAIGN_CYCLES // BATCH)))
def test_a_campaign_of_kills_leaves_nothing_that_cannot_be_recovered(settings: Settings, batch: int) -> None:
    run_cycles(settings, batch)


def run_cycles(settings: Settings, batch: int) -> None:
    chronicle = Chronicle()
    operators_killed = 0
    for cycle in range(batch * BATCH, (batch + 1) * BATCH):
        operators_killed += run_cycle(settings, cycle, chronicle)
        if cycle % CYCLES_BETWEEN_PRODUCT_CHECKS == 0:
            check_by_the_product(settings)
    check_by_the_product(settings)
    assert 0 < operators_killed < BATCH, "operators must sometimes be killed, and sometimes not"
    with open_treasury(settings, actor="auditor") as treasury:
        result = reconcile_full(treasury)
    assert result.run.status is RunStatus.CLEAN
    assert result.findings == ()


def run_cycle(settings: Settings, cycle: int, chronicle: Chronicle) -> bool:
    """Run one cycle; say whether its operator was killed."""
    chance = random.Random(cycle)
    client_doom, operator_doom = draw_doom(chance, CLIENT_LIFE), draw_doom(chance, OPERATOR_LIFE)
    client = Child(Client(settings, f"client-{cycle}", chance.getrandbits(32), client_doom))
    operator_comes_early = chance.random() < 0.3
    if not operator_comes_early:
        client.meet(client_doom)
        assert client.end() == -signal.SIGKILL
    operator = Child(Operator(settings, f"operator-{cycle}", chance.getrandbits(32), operator_doom))
    if operator_comes_early:
        client.meet(client_doom)
        assert client.end() == -signal.SIGKILL
    operator.meet(operator_doom)
    operator_ended = operator.end()
    assert operator_ended in (0, -signal.SIGKILL)
    for words in (*client.heard, *operator.heard):
        if "told" in words:
            chronicle.told[words["txn_id"]] = words["told"]
    recover(settings)
    check_stored(settings, chronicle)
    return operator_ended != 0


def draw_doom(chance: random.Random, longest_life: int) -> Doom:
    """Return a death by chance, after `longest_life` steps at the latest."""
    return Doom(chance.randint(1, longest_life), chance.random() < 0.5, chance.uniform(0, LONGEST_LINGER))
