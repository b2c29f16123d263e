"""The stuck transactions of the demo: who was paying whom, and at which step the coordinator was killed.

Ages and amounts are the story's; everything else about a stuck transaction is what the killed process left behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from treasury_console.domain.money import Currencies
from treasury_console.domain.transactions import Leg, TransactionState
from treasury_console.twophase.steps import Step

HOSTILE_AGENT = "[@click=app.quit]x[/]\x1b]0;pwn\x07"
"""An agent whose name attacks markup and terminals: it must do no harm anywhere."""

RUNBOOK_AGENT = "agent_123"
"""The agent the runbook investigates; in the demo its balance has drifted."""


class StuckKind(StrEnum):
    """How far a transaction got before its coordinator was gone."""

    ALL_PREPARED = "all-prepared"
    ONE_REFUSED = "one-refused"
    HALF_APPLIED = "half-applied"
    ABORT_NOT_APPLIED = "abort-not-applied"
    NOT_PREPARED = "not-prepared"
    COORDINATOR_ALIVE = "coordinator-alive"


@dataclass(frozen=True, slots=True)
class Rival:
    """Another transfer that takes all of `sender`'s money at the step where it hurts, so that its vote becomes no."""

    sender: str
    receiver: str
    step: Step
    participant: str


@dataclass(frozen=True, slots=True)
class StuckPlan:
    """A transfer whose coordinator is to die at `die_at`. Leg amounts are decimal text."""

    name: str
    kind: StuckKind
    age: timedelta
    currency: str
    legs: tuple[tuple[str, str], ...]
    die_at: Step
    state: TransactionState
    verdict: str
    story: str
    participant: str = ""
    rival: Rival | None = None

    def minor_legs(self, currencies: Currencies) -> tuple[Leg, ...]:
        """Return the legs in minor units."""
        unit = currencies[self.currency]
        return tuple(Leg(agent_id, unit.parse(amount)) for agent_id, amount in self.legs)

    def accounts(self) -> set[tuple[str, str]]:
        """Return (agent, currency) of every account the story touches: no other payment may disturb them."""
        agents = {agent_id for agent_id, _ in self.legs}
        if self.rival is not None:
            agents |= {self.rival.sender, self.rival.receiver}
        return {(agent_id, self.currency) for agent_id in agents}


def _minutes(number: int) -> timedelta:
    return timedelta(minutes=number)


KILLED: tuple[StuckPlan, ...] = (
    StuckPlan(
        "forgotten",
        StuckKind.ALL_PREPARED,
        timedelta(hours=26),
        "BTC",
        (("agent_57", "-0.41800000"), ("agent_58", "0.41800000")),
        Step.VOTES_LOGGED,
        TransactionState.PREPARED,
        "commit or rollback",
        "Every participant voted yes and the coordinator was killed before it decided; nobody noticed for a day.",
    ),
    StuckPlan(
        "hostile",
        StuckKind.ALL_PREPARED,
        timedelta(hours=3),
        "USDC",
        ((HOSTILE_AGENT, "-1250.000000"), ("agent_9", "1250.000000")),
        Step.PREPARED,
        TransactionState.PREPARED,
        "commit or rollback",
        "Both participants prepared and the coordinator was killed before it could even log their votes; "
        "one of them has a hostile name.",
        participant="agent_9",
    ),
    StuckPlan(
        "refused",
        StuckKind.ONE_REFUSED,
        _minutes(41),
        "USD",
        (("agent_31", "-300.00"), ("agent_32", "-500.00"), ("agent_33", "800.00")),
        Step.VOTES_LOGGED,
        TransactionState.PREPARING,
        "rollback only",
        "agent_31 prepared, agent_32's money went elsewhere meanwhile and it voted no, "
        "and the coordinator was killed before it decided.",
        rival=Rival("agent_32", "agent_34", Step.PREPARED, "agent_31"),
    ),
    StuckPlan(
        "half-applied",
        StuckKind.HALF_APPLIED,
        _minutes(34),
        "ETH",
        (("agent_61", "-3.200000000"), ("agent_62", "3.200000000")),
        Step.APPLIED,
        TransactionState.COMMITTING,
        "resume",
        "Commit is decided and agent_61 is debited on its shard; "
        "the coordinator was killed before it credited agent_62 on the other.",
        participant="agent_61",
    ),
    StuckPlan(
        "abort-not-applied",
        StuckKind.ABORT_NOT_APPLIED,
        _minutes(27),
        "VMC",
        (("agent_41", "-90.000000"), ("agent_42", "-60.000000"), ("agent_43", "150.000000")),
        Step.DECIDED,
        TransactionState.ABORTING,
        "resume",
        "agent_42 voted no and abort is decided; "
        "the coordinator was killed before it released what agent_41 still holds.",
        rival=Rival("agent_42", "agent_44", Step.PREPARED, "agent_41"),
    ),
    StuckPlan(
        "not-prepared",
        StuckKind.NOT_PREPARED,
        _minutes(19),
        "USDC",
        (("agent_71", "-64.250000"), ("agent_72", "64.250000")),
        Step.CREATED,
        TransactionState.PREPARING,
        "rollback only",
        "The coordinator was killed as soon as the transaction was on record; no participant was ever asked.",
    ),
    StuckPlan(
        "runbook-1",
        StuckKind.ALL_PREPARED,
        _minutes(12),
        "USD",
        (("agent_1", "-1000.00"), ("agent_2", "1000.00")),
        Step.VOTES_LOGGED,
        TransactionState.PREPARED,
        "commit or rollback",
        "The runbook's first example: both participants prepared, the coordinator killed before it decided.",
    ),
    StuckPlan(
        "runbook-2",
        StuckKind.ALL_PREPARED,
        _minutes(8),
        "USD",
        (("agent_3", "-250.50"), ("agent_4", "250.50")),
        Step.BEFORE_DECISION,
        TransactionState.PREPARED,
        "commit or rollback",
        "The runbook's second example: both participants prepared, the coordinator killed on its way to the decision.",
    ),
)

LIVE = StuckPlan(
    "live",
    StuckKind.COORDINATOR_ALIVE,
    _minutes(6),
    "USD",
    (("agent_81", "-75.00"), ("agent_82", "75.00")),
    Step.VOTES_LOGGED,
    TransactionState.PREPARED,
    "wait",
    "Every participant voted yes and the coordinator, a process that is still running, takes its time to decide.",
)

SHARD_OF = {"agent_61": "shard-1", "agent_62": "shard-2"}
"""Where agents must live for a story to be true; all others are placed by the treasury itself."""
