"""Schedules drawn by chance from a seed: everything mixed."""

from __future__ import annotations

import random

from treasury_console.domain.resolution import Action
from treasury_console.domain.transactions import Kind

from .acts import (
    FIRST_SHARD,
    MAIN,
    SECOND_SHARD,
    Act,
    Befall,
    During,
    Fault,
    Operate,
    Pay,
    Payment,
    Script,
    interloper,
    payment_of,
)
from .cases import REPLAY, before_prepare

_HOUR = 3600
_RIVAL = "rival"
_JUMPS = (-_HOUR, _HOUR, 20, 60)
_LONGEST_PAYMENT = 6 + 4 * 4
_LONGEST_OPERATION = 7 + 2 * 4
_MOST_CALLS = 40
_MOST_LOOKS = 4


def replay_of_seed(seed: int) -> str:
    """Return the line that runs the schedule of this seed again."""
    return f"{REPLAY} --seed {seed}"


def script_of_seed(seed: int) -> Script:
    """Return the schedule of this seed: always the same one."""
    return _Draw(random.Random(seed)).script()


class _Draw:
    """Draws the parts of one schedule."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def script(self) -> Script:
        acts: list[Act] = [self.first_payment()]
        acts += [self.later_act() for _ in range(self.chance.randint(0, 5))]
        return Script(
            tuple(acts),
            lost_requests=self.calls(),
            lost_replies=self.calls(),
            prefer_commit=self.maybe(0.3),
            forget=self.maybe(0.3),
        )

    def maybe(self, probability: float) -> bool:
        return self.chance.random() < probability

    def calls(self) -> frozenset[int]:
        if not self.maybe(0.2):
            return frozenset()
        return frozenset(self.chance.randint(1, _MOST_CALLS) for _ in range(self.chance.randint(1, 3)))

    def payment(self, key: str) -> Payment:
        kind = self.chance.choice([Kind.TRANSFER] * 5 + [Kind.DEPOSIT, Kind.WITHDRAWAL])
        payment = payment_of(kind, self.chance.choice([2, 2, 2, 3, 3, 4]), key)
        if kind is Kind.TRANSFER and self.maybe(0.3):
            payment = Payment(key, kind, tuple((agent, -amount) for agent, amount in payment.legs)[::-1])
        if self.maybe(0.2):
            payment = Payment(key, kind, tuple((agent, amount * 2) for agent, amount in payment.legs))
        return payment

    def first_payment(self) -> Pay:
        payment = self.payment(MAIN)
        during = [self.during(_LONGEST_PAYMENT, 2) for _ in range(self.chance.choice([0, 0, 1, 1, 1, 2, 3]))]
        if self.maybe(0.15):
            branch = self.chance.randint(1, len(payment.legs))
            agent, amount = payment.ordered[branch - 1]
            step = before_prepare(branch) if self.maybe(0.7) else self.chance.randint(1, _LONGEST_PAYMENT)
            during.append(During(step, Pay(interloper(agent, amount), self.crash(14, 0.3))))
        steps = 6 + 4 * len(payment.legs)
        return Pay(payment, self.crash(steps, 0.6), tuple(sorted(during, key=lambda nested: nested.step)))

    def crash(self, steps: int, probability: float) -> int:
        return self.chance.randint(1, steps) if self.maybe(probability) else 0

    def during(self, steps: int, depth: int) -> During:
        at_call = self.maybe(0.35)
        return During(self.chance.randint(1, 8 if at_call else steps), self.act(depth), at_call)

    def later_act(self) -> Act:
        if self.maybe(0.12):
            return Befall(Fault.LOSE_LOG)
        if self.maybe(0.1):
            return Pay(self.payment(self.chance.choice([MAIN, _RIVAL])), self.crash(14, 0.3))
        return self.act(2)

    def act(self, depth: int) -> Act:
        """Draw an act that may stand anywhere; `depth` is how deeply others may be nested in it."""
        kind = self.chance.choices(["operate", "clock", "down", "up", "pay"], [12, 3, 4, 2, 2])[0]
        match kind:
            case "operate":
                return self.operate(depth)
            case "clock":
                return Befall(Fault.CLOCK, seconds=self.chance.choice(_JUMPS))
            case "pay":
                return Pay(self.payment(_RIVAL), self.crash(14, 0.4))
            case _:
                return Befall(Fault(kind), shard=self.chance.choice([FIRST_SHARD, SECOND_SHARD]))

    def operate(self, depth: int) -> Operate:
        action = self.chance.choice(list(Action))
        during: tuple[During, ...] = ()
        if depth > 0 and self.maybe(0.3):
            during = (self.during(_LONGEST_OPERATION, depth - 1),)
        elif depth > 0 and self.maybe(0.15):
            rival = self.chance.choice([Action.FORCE_COMMIT, Action.FORCE_ROLLBACK])
            during = (During(self.chance.randint(1, _MOST_LOOKS), Operate(rival), at_call=True),)
        return Operate(
            action,
            _RIVAL if self.maybe(0.1) else MAIN,
            self.crash(_LONGEST_OPERATION, 0.4),
            during,
            fence_approval=self.maybe(0.6),
            acknowledge_log_lost=self.maybe(0.6),
            fingerprint=self.maybe(0.2),
        )
