"""What a schedule is made of: commands, where each of them dies, and what runs in the middle of it.

A step is one call of the `on_step` hook, counted from 1 within a command. An act nested in another runs inside such a
step, or inside a call to a resource manager, while the outer command is stopped: the exact interleavings of a zombie
coordinator, or of two operators.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from treasury_console.domain.resolution import Action
from treasury_console.domain.transactions import Kind

CURRENCY = "USD"
OPENING_BALANCE = 100_00
FIRST_SHARD, SECOND_SHARD = "shard-1", "shard-2"
HOMES = {
    "agent_1": FIRST_SHARD,
    "agent_2": SECOND_SHARD,
    "agent_3": FIRST_SHARD,
    "agent_4": SECOND_SHARD,
}
MAIN = "main"


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment that a simulated client asks for, under an idempotency key of its own; legs in minor units.

    `drain` makes the amount of its only leg whatever leaves the agent nothing more to pay (a withdrawal), or no room
    to receive (a deposit).
    """

    key: str
    kind: Kind
    legs: tuple[tuple[str, int], ...]
    drain: bool = False

    @property
    def ordered(self) -> tuple[tuple[str, int], ...]:
        """The legs as the coordinator asks them: debits first, then by agent."""
        return tuple(sorted(self.legs, key=lambda leg: (leg[1] > 0, leg[0])))


TRANSFERS: dict[int, tuple[tuple[str, int], ...]] = {
    2: (("agent_1", -40_00), ("agent_2", 40_00)),
    3: (("agent_1", -40_00), ("agent_2", -10_00), ("agent_3", 50_00)),
    4: (("agent_1", -40_00), ("agent_2", -10_00), ("agent_3", 30_00), ("agent_4", 20_00)),
}


def payment_of(kind: Kind, participants: int, key: str = MAIN) -> Payment:
    """Return the standard payment of this kind; deposits and withdrawals have one participant."""
    if kind is Kind.TRANSFER:
        return Payment(key, kind, TRANSFERS[participants])
    return Payment(key, kind, (("agent_1", 40_00 if kind is Kind.DEPOSIT else -40_00),))


def interloper(agent: str, amount: int) -> Payment:
    """Return the payment that, run just before the agent's PREPARE of `amount`, makes its participant vote no."""
    if amount < 0:
        return Payment(f"drain-{agent}", Kind.WITHDRAWAL, ((agent, -1),), drain=True)
    return Payment(f"fill-{agent}", Kind.DEPOSIT, ((agent, 1),), drain=True)


class Fault(StrEnum):
    """What happens to the simulated world between the commands."""

    CLOCK = "clock"  # jumps by `seconds`
    DOWN = "down"  # the shard stops answering
    UP = "up"  # the shard answers again
    LOSE_LOG = "lose-log"  # the decision row vanishes, once a branch has ended
    FORGET = "forget"  # the transaction's records vanish, once it is finished


@dataclass(frozen=True, slots=True)
class Pay:
    """A client's payment, run by a coordinator of its own that dies at step `crash` (0: never)."""

    payment: Payment
    crash: int = 0
    during: tuple[During, ...] = ()


@dataclass(frozen=True, slots=True)
class Operate:
    """An operator's command on the transaction of the payment `key`; the operator dies at step `crash` (0: never)."""

    action: Action
    key: str = MAIN
    crash: int = 0
    during: tuple[During, ...] = ()
    fence_approval: bool = True
    acknowledge_log_lost: bool = True
    fingerprint: bool = False


@dataclass(frozen=True, slots=True)
class Befall:
    """A fault that befalls the world."""

    fault: Fault
    seconds: int = 0
    shard: str = ""
    key: str = MAIN


Act = Pay | Operate | Befall


@dataclass(frozen=True, slots=True)
class During:
    """An act that runs inside another: in its step number `step`, or as its call number `step` is being answered.

    What that call to a resource manager read is then out of date when the caller gets it.
    """

    step: int
    act: Act
    at_call: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """A whole schedule: acts in order, and which calls to resource managers lose their request or their reply.

    Calls are counted from 1 over all shards and commands. Recovery prefers rollback unless `prefer_commit`.
    """

    acts: tuple[Act, ...]
    lost_requests: frozenset[int] = frozenset()
    lost_replies: frozenset[int] = frozenset()
    prefer_commit: bool = False
    forget: bool = False
