"""A treasury with every kind of stuck transfer, the same to the last character every time it is made."""

from __future__ import annotations

import random
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from tests.treasuries import ALICE, BOB, CAROL, HOMES, NOON, OPERATOR, Crash, ManualClock, Recorder, settings_in
from treasury_console.operations.accounts import open_accounts
from treasury_console.operations.payments import deposit, transfer
from treasury_console.operations.setup import initialise
from treasury_console.operations.treasury import Treasury, open_treasury
from treasury_console.twophase.steps import Step, StepHook, no_hook

HOSTILE = "[@click=app.quit]x[/]\x1b]0;pwn\x07"
HOSTILE_SHOWN = r"[@click=app.quit]x[/]\x1b]0;pwn\x07"
WIDE = "agent_日本語"

STUCK: tuple[tuple[timedelta, tuple[Step, str], str, str, str, str | None], ...] = (
    (timedelta(hours=3, minutes=5), (Step.PREPARED, BOB), ALICE, BOB, "100.00", "order-77"),
    (timedelta(minutes=41), (Step.PREPARED, BOB), BOB, CAROL, "25.50", None),
    (timedelta(minutes=20), (Step.DECIDED, ""), CAROL, ALICE, "12.75", None),
    (timedelta(minutes=12), (Step.PREPARED, WIDE), HOSTILE, WIDE, "3.10", None),
    (timedelta(seconds=5), (Step.PREPARED, ALICE), BOB, ALICE, "41.00", None),
)
"""Age at noon, the step at which the coordinator died, sender, receiver, amount, idempotency key; oldest first.

In order: both prepared; one prepared; commit decided and nothing applied; both prepared, with names from hell; a
coordinator whose lease still runs.
"""

BOTH_PREPARED, ONE_PREPARED, DECIDED, FROM_HELL, ALIVE = range(5)


def make_scene(folder: Path) -> None:
    """Make the treasury in `folder`, as of noon."""
    initialise(settings_in(folder))
    with _opened(folder, ManualClock(NOON - timedelta(days=2)), seed=0) as treasury:
        for agent_id in (*HOMES, HOSTILE, WIDE):
            open_accounts(treasury, agent_id, ["USD"], shard=HOMES.get(agent_id, "shard-1"))
            deposit(treasury, agent_id, "1000.00", "USD", reference="opening balance")
    for seed, (age, step, sender, receiver, amount, key) in enumerate(STUCK, start=1):
        _leave_stuck(folder, seed, NOON - age, step, (sender, receiver, amount, key))


def _leave_stuck(
    folder: Path, seed: int, at: datetime, step: tuple[Step, str], payment: tuple[str, str, str, str | None]
) -> None:
    sender, receiver, amount, key = payment
    clock = ManualClock(at)
    with closing(_opened(folder, clock, seed=seed, on_step=Recorder(dies_at=step))) as treasury:
        try:
            transfer(treasury, sender, receiver, amount, "USD", reference="invoice 2041", idempotency_key=key)
        except Crash:
            return
    raise AssertionError(f"the transfer did not reach {step}")


def _opened(folder: Path, clock: ManualClock, *, seed: int, on_step: StepHook = no_hook) -> Treasury:
    return open_treasury(
        settings_in(folder), actor=OPERATOR, clock=clock, randomness=random.Random(seed), on_step=on_step
    )
