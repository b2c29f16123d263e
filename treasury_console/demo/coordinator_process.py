"""Coordinators that are processes of their own, most of them to be killed.

`python -m treasury_console.demo.coordinator_process` reads orders from its standard input, one JSON object a line.
For each it forks a process that opens the treasury, runs the ordered transfer through its own coordinator, and at the
ordered step sends itself SIGKILL; what the process left behind is then reported, one JSON object a line. Nothing is
simulated: the forked process ends as a coordinator ends that the operating system takes away. This process itself
never opens a database, so that no connection crosses a fork.

An order to stay makes the forked process hold its transaction between votes and decision, renewing its lease, for a
bounded time; then it finishes its transfer and exits. It outlives this process; `demo.cleanup` stops it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from treasury_console.configuration import Settings, load_settings
from treasury_console.demo.cleanup import LiveMark
from treasury_console.demo.staging import StagedClock, chance
from treasury_console.demo.stories import Rival
from treasury_console.domain.errors import Fenced, Unreachable
from treasury_console.domain.text import safe_text
from treasury_console.domain.transactions import Leg
from treasury_console.operations.accounts import show_accounts
from treasury_console.operations.payments import split_transfer, transfer
from treasury_console.operations.treasury import Clock, Treasury, open_treasury, utc_now
from treasury_console.twophase.steps import Step

PLATFORM = "platform@demo"
"""The actor of every payment in the demo."""

_READY = b"ready"
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Order:
    """A transfer to run, and where its coordinator is to die, or how many seconds it is to stay at that step.

    Leg amounts are minor units; `at` is aware UTC, the time the coordinator believes it is.
    """

    name: str
    config_file: str
    seed: int
    at: datetime
    currency: str
    legs: tuple[Leg, ...]
    step: Step
    participant: str
    rival: Rival | None = None
    stay_seconds: float = 0.0

    @property
    def idempotency_key(self) -> str:
        """The key under which the transaction can be found afterwards."""
        return f"demo-{self.name}"

    def to_line(self) -> str:
        """Return the order as a line of JSON."""
        return json.dumps(asdict(self) | {"at": self.at.isoformat()})

    @classmethod
    def from_line(cls, line: str) -> Order:
        """Return the order that `to_line` wrote."""
        fields: dict[str, Any] = json.loads(line)
        rival = fields.pop("rival")
        return cls(
            **fields
            | {
                "at": datetime.fromisoformat(fields["at"]),
                "legs": tuple(Leg(**leg) for leg in fields["legs"]),
                "step": Step(fields["step"]),
                "rival": None if rival is None else Rival(**rival | {"step": Step(rival["step"])}),
            }
        )


@dataclass(frozen=True, slots=True)
class Report:
    """How an ordered process ended: by `signal`, or with `exit_status`; both None while it lives on."""

    name: str
    pid: int
    signal: int | None
    exit_status: int | None
    message: str


def main() -> None:
    """Carry out orders until standard input ends."""
    for line in sys.stdin:
        report = _carry_out(Order.from_line(line))
        sys.stdout.write(json.dumps(asdict(report)) + "\n")
        sys.stdout.flush()


def _carry_out(order: Order) -> Report:
    """Run the order in a process of its own; return when it has ended, or says that it stays."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _be_coordinator(order, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    if said == _READY:
        return Report(order.name, pid, None, None, "")
    _, status = os.waitpid(pid, 0)
    return Report(
        order.name,
        pid,
        os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
        os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
        said.decode(errors="replace"),
    )


def _be_coordinator(order: Order, writing: int) -> None:
    """Be the forked process; never return."""
    exit_status = 1
    try:
        _leave_the_terminal()
        settings = load_settings(file=Path(order.config_file), environment={})
        if order.stay_seconds:
            _stay(order, settings, writing)
        else:
            _die(order, replace(settings, synchronous="OFF"))
        exit_status = 0
    except BaseException as error:
        os.write(writing, safe_text(f"{type(error).__name__}: {error}", 400).encode())
    finally:
        os._exit(exit_status)


def _leave_the_terminal() -> None:
    """Let go of the terminal and of the builder's pipes, so that neither can end or block this process."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)


def _die(order: Order, settings: Settings) -> None:
    """Run the transfer and be killed on the way. Returning at all is a failure."""
    clock = StagedClock(order.at)

    def on_step(step: Step, participant: str) -> None:
        rival = order.rival
        if rival is not None and (step, participant) == (rival.step, rival.participant):
            _take_the_money(rival, settings, clock, order)
        if (step, participant) == (order.step, order.participant):
            os.kill(os.getpid(), signal.SIGKILL)

    randomness = chance(order.seed, order.name)
    with open_treasury(settings, actor=PLATFORM, clock=clock, randomness=randomness, on_step=on_step) as treasury:
        _pay(treasury, order)
    raise RuntimeError(f"the coordinator was never at {order.step.value} {order.participant}")


def _take_the_money(rival: Rival, settings: Settings, clock: Clock, order: Order) -> None:
    """Move all that `rival.sender` has available, by a coordinator that nobody kills."""
    randomness = chance(order.seed, f"{order.name} rival")
    with open_treasury(settings, actor=PLATFORM, clock=clock, randomness=randomness) as treasury:
        accounts = [found.account for found in show_accounts(treasury, rival.sender)]
        available = next(account.available for account in accounts if account.currency == order.currency)
        amount = settings.currencies.format(available, order.currency)
        transfer(treasury, rival.sender, rival.receiver, amount, order.currency, reference="the same money, elsewhere")


def _stay(order: Order, settings: Settings, writing: int) -> None:
    """Run the transfer, stopping at the ordered step for as long as ordered, alive by lease all the while."""
    clock = StagedClock(order.at)
    config_file = Path(order.config_file)
    with LiveMark.claim(config_file.parent) as mark:

        def on_step(step: Step, participant: str) -> None:
            if (step, participant) == (order.step, order.participant):
                clock.follow(utc_now)
                treasury.coordinator().renew()
                os.write(writing, _READY)
                os.close(writing)
                if not _keep_alive(treasury, config_file, order.stay_seconds):
                    mark.release()
                    os._exit(0)

        randomness = chance(order.seed, order.name)
        with open_treasury(settings, actor=PLATFORM, clock=clock, randomness=randomness, on_step=on_step) as treasury:
            try:
                _pay(treasury, order)
            except (Fenced, Unreachable):
                return  # an operator took the transaction, or the demo was deleted: nothing is left to do


def _keep_alive(treasury: Treasury, config_file: Path, seconds: float) -> bool:
    """Renew the lease for `seconds`; return False as soon as the demo's directory is gone."""
    deadline = time.monotonic() + seconds
    renew_every = treasury.settings.lease.total_seconds() / 3
    renew_at = time.monotonic() + renew_every
    while time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        if not config_file.exists():
            return False
        if time.monotonic() >= renew_at:
            renew_at = time.monotonic() + renew_every
            try:
                treasury.coordinator().renew()
            except Unreachable:
                continue  # somebody keeps the database busy: the lease is longer than one missed renewal
    return config_file.exists()


def _pay(treasury: Treasury, order: Order) -> None:
    split_transfer(
        treasury, order.legs, order.currency, reference=f"demo: {order.name}", idempotency_key=order.idempotency_key
    )


if __name__ == "__main__":
    main()
