"""What happens in the demo before anything breaks: agents, their currencies, and a week of payments between them.

The plan is worked out in full from a seed before the first account is opened, so that no payment overdraws and none
touches an account that a stuck transaction or a fault needs for itself. Ages are counted back from the moment the demo
is built; amounts are minor units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from treasury_console.demo.staging import chance
from treasury_console.demo.stories import HOSTILE_AGENT, KILLED, LIVE, RUNBOOK_AGENT, SHARD_OF
from treasury_console.domain.money import Currencies
from treasury_console.domain.transactions import Kind, Leg

AGENTS = 200
TRANSFERS = 1000
SPLITS = 40

_FIRST_DEPOSIT = timedelta(days=6)
_FIRST_ALLOCATION = timedelta(days=5, hours=22)
_LAST_ALLOCATION = timedelta(days=5)
_FIRST_TRADE = timedelta(days=4, hours=23)
_LAST_HOUR = (
    (timedelta(minutes=58), timedelta(minutes=13), 120),
    (timedelta(minutes=13), timedelta(minutes=1), 120),
)
"""How many trades there are from one age to another: the busier the treasury, the more a stuck transfer is among."""

_QUIET = timedelta(hours=28)
"""From this age on, nothing but its story touches an account that a story needs; before, it may be paid."""

_GAP_IN_BURST = timedelta(milliseconds=400)
_BURST = 8

_TYPICAL = {"USD": 250_000, "USDC": 1_800_000_000, "VMC": 900_000_000, "BTC": 60_000_000, "ETH": 4_000_000_000}
"""What an account typically holds in each currency, in minor units; the demo's currencies."""

_POPULARITY = {"USD": 10, "USDC": 6, "VMC": 4, "ETH": 3, "BTC": 2}
_FUNDERS = 3
_SERVICES = (
    "inference batch",
    "GPU hours",
    "dataset licence",
    "tool calls",
    "vector storage",
    "web research",
    "code review",
    "translation",
)


@dataclass(frozen=True, slots=True)
class LastCredit:
    """The last payment to an account before a fault strikes it. `amount` is decimal text."""

    age: timedelta
    sender: str
    receiver: str
    currency: str
    amount: str


BALANCE_RAISED_TWICE = LastCredit(timedelta(minutes=96), "agent_88", RUNBOOK_AGENT, "USD", "412.37")
ENTRY_WRITTEN_TWICE = LastCredit(timedelta(minutes=83), "agent_90", "agent_150", "USDC", "88.125000")
BALANCE_UPDATE_LOST = LastCredit(timedelta(minutes=71), "agent_91", "agent_45", "ETH", "0.732500000")
LAST_CREDITS = (BALANCE_RAISED_TWICE, ENTRY_WRITTEN_TWICE, BALANCE_UPDATE_LOST)


@dataclass(frozen=True, slots=True)
class PlannedAgent:
    """An agent to open; `shard` is None where the treasury chooses."""

    agent_id: str
    currencies: tuple[str, ...]
    shard: str | None


@dataclass(frozen=True, slots=True)
class PlannedPayment:
    """A deposit (one leg) or a transfer (two or more), `age` before the demo is built."""

    age: timedelta
    kind: Kind
    currency: str
    legs: tuple[Leg, ...]
    reference: str


@dataclass(frozen=True)
class Plan:
    """Everything that happens before anything breaks; payments oldest first."""

    agents: tuple[PlannedAgent, ...]
    payments: tuple[PlannedPayment, ...]


def make_plan(seed: int, currencies: Currencies) -> Plan:
    """Return the plan that `seed` stands for; the same seed, the same plan."""
    return _Planner(chance(seed, "plan"), currencies).plan()


@dataclass
class _Planner:
    random: Random
    currencies: Currencies
    needed: dict[tuple[str, str], int] = field(default_factory=dict)
    balances: dict[tuple[str, str], int] = field(default_factory=dict)
    holders: dict[str, list[str]] = field(default_factory=dict)
    payments: list[PlannedPayment] = field(default_factory=list)

    def plan(self) -> Plan:
        self._note_story_accounts()
        agents = self._agents()
        self._deposits()
        self._allocations()
        self._last_credits()
        self._trades()
        self.payments.sort(key=lambda payment: payment.age, reverse=True)
        return Plan(agents, tuple(self.payments))

    def _note_story_accounts(self) -> None:
        """Note what each account of a story must be able to pay; it is 0 for those that only receive."""
        for story in (*KILLED, LIVE):
            self.needed |= dict.fromkeys(story.accounts(), 0)
            for leg in story.minor_legs(self.currencies):
                self.needed[leg.agent_id, story.currency] = max(-leg.amount, 0)
        for credit in LAST_CREDITS:
            self.needed[credit.sender, credit.currency] = self.currencies[credit.currency].parse(credit.amount)
            self.needed[credit.receiver, credit.currency] = 0

    def _agents(self) -> tuple[PlannedAgent, ...]:
        wanted: dict[str, set[str]] = {}
        for agent_id, currency in self.needed:
            wanted.setdefault(agent_id, set()).add(currency)
        agents = []
        for agent_id in (*(f"agent_{number}" for number in range(1, AGENTS)), HOSTILE_AGENT):
            codes = wanted.get(agent_id, set()).copy()
            how_many = self.random.choices((1, 2, 3), (35, 40, 25))[0]
            while len(codes) < how_many:
                codes.add(self.random.choices(list(_POPULARITY), list(_POPULARITY.values()))[0])
            ordered = tuple(code for code in _TYPICAL if code in codes)
            agents.append(PlannedAgent(agent_id, ordered, SHARD_OF.get(agent_id)))
            for code in ordered:
                self.holders.setdefault(code, []).append(agent_id)
                self.balances[agent_id, code] = 0
        return tuple(agents)

    def _deposits(self) -> None:
        """A few agents in each currency bring in the money of all, and some others bring a little of their own."""
        age = _FIRST_DEPOSIT
        for code, typical in _TYPICAL.items():
            free = self._free(code)
            accounts = len(self.holders[code])
            for position, agent_id in enumerate(free[: _FUNDERS + 4]):
                share = typical * accounts if position < _FUNDERS else typical
                age -= timedelta(seconds=self.random.randint(60, 120))
                self._pay(age, Kind.DEPOSIT, code, (Leg(agent_id, self._about(share)),), "funding")

    def _allocations(self) -> None:
        """Every account that has nothing yet gets its working balance from an agent that was funded."""
        empty = [account for account, balance in self.balances.items() if balance == 0]
        self.random.shuffle(empty)
        for age, (agent_id, code) in zip(
            self._bursts(_FIRST_ALLOCATION, _LAST_ALLOCATION, len(empty)), empty, strict=True
        ):
            funder = max(self._free(code)[:_FUNDERS], key=lambda funder: self.balances[funder, code])
            amount = self.needed.get((agent_id, code), 0) * 5 // 4 + self._about(_TYPICAL[code])
            self._pay(age, Kind.TRANSFER, code, (Leg(funder, -amount), Leg(agent_id, amount)), "working balance")

    def _last_credits(self) -> None:
        for credit in LAST_CREDITS:
            amount = self.currencies[credit.currency].parse(credit.amount)
            legs = (Leg(credit.sender, -amount), Leg(credit.receiver, amount))
            self._pay(credit.age, Kind.TRANSFER, credit.currency, legs, self._reference())

    def _trades(self) -> None:
        """Agents pay each other for services, in bursts, more of them in the last hour."""
        missing = TRANSFERS - sum(payment.kind is Kind.TRANSFER for payment in self.payments)
        ages = [*self._bursts(_FIRST_TRADE, timedelta(hours=1), missing - sum(number for *_, number in _LAST_HOUR))]
        for window in _LAST_HOUR:
            ages += self._bursts(*window)
        split = set(self.random.sample(range(missing), SPLITS))
        for position, age in enumerate(ages):
            self._trade(age, receivers=2 if position in split else 1)

    def _trade(self, age: timedelta, receivers: int) -> None:
        code = self.random.choices(list(_POPULARITY), list(_POPULARITY.values()))[0]
        senders = self._free(code)
        sender = self.random.choice(senders)
        payable = self.holders[code] if age > _QUIET else senders
        others = self.random.sample([agent_id for agent_id in payable if agent_id != sender], receivers)
        parts = [max(self.balances[sender, code] * self.random.randint(5, 90) // 1000, 1) for _ in others]
        legs = (Leg(sender, -sum(parts)), *(Leg(other, part) for other, part in zip(others, parts, strict=True)))
        self._pay(age, Kind.TRANSFER, code, legs, self._reference())

    def _pay(self, age: timedelta, kind: Kind, code: str, legs: tuple[Leg, ...], reference: str) -> None:
        for leg in legs:
            self.balances[leg.agent_id, code] += leg.amount
        self.payments.append(PlannedPayment(age, kind, code, legs, reference))

    def _free(self, code: str) -> list[str]:
        """Return the holders of a currency whose account no story needs."""
        return [agent_id for agent_id in self.holders[code] if (agent_id, code) not in self.needed]

    def _about(self, amount: int) -> int:
        """Return something between 60% and 140% of `amount`."""
        return amount * self.random.randint(600, 1400) // 1000

    def _bursts(self, first: timedelta, last: timedelta, number: int) -> Iterator[timedelta]:
        """Yield `number` ages from `first` down to `last`, in bursts of a few seconds, as programs pay."""
        seconds = (last.total_seconds(), first.total_seconds())
        starts = sorted((self.random.uniform(*seconds) for _ in range(number // _BURST + 1)), reverse=True)
        age = first
        for position in range(number):
            in_burst = timedelta(seconds=starts[position // _BURST]) - _GAP_IN_BURST * (position % _BURST)
            age = min(in_burst, age - timedelta(milliseconds=50))
            yield age

    def _reference(self) -> str:
        return f"{self.random.choice(_SERVICES)} {self.random.randint(1000, 9999)}"
