"""What the children do: clients who pay without end, and operators who resolve whatever is pending."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from treasury_console.configuration import Settings, load_settings
from treasury_console.domain.errors import TreasuryError
from treasury_console.domain.resolution import Action
from treasury_console.domain.transactions import Leg
from treasury_console.operations import force, payments
from treasury_console.operations.accounts import open_accounts
from treasury_console.operations.force import Approval
from treasury_console.operations.payments import PaymentAborted, Receipt
from treasury_console.operations.setup import initialise
from treasury_console.operations.transactions import list_transactions
from treasury_console.operations.treasury import Treasury, open_treasury, utc_now
from treasury_console.twophase.steps import Step

from .processes import Doom, Voice, die

AGENTS = tuple(f"agent_{number}" for number in range(1, 7))
CURRENCY = "USD"
APPROVAL = Approval("INC-1", fence_approval="INC-2", acknowledge_log_lost=True)
_MOST_ROUNDS = 3


def make_treasury(folder: Path) -> Settings:
    """Make a treasury whose agents have 1000.00 each, on two shards by turns."""
    settings = replace(
        load_settings(database_url=f"sqlite:///{folder / 'treasury.sqlite'}", environment={}), synchronous="OFF"
    )
    initialise(settings)
    with open_treasury(settings, actor="founder") as treasury:
        for number, agent in enumerate(AGENTS):
            open_accounts(treasury, agent, [CURRENCY], shard=f"shard-{1 + number % 2}")
            payments.deposit(treasury, agent, "1000.00", CURRENCY)
    return settings


@dataclass(frozen=True)
class Client:
    """Pays and pays, with an idempotency key each, and says what it was told, until it dies."""

    settings: Settings
    name: str
    seed: int
    doom: Doom

    def __call__(self, voice: Voice) -> None:
        """Be a client."""
        chance = random.Random(self.seed)
        with open_treasury(self.settings, actor=self.name, on_step=_hook(voice, self.doom)) as treasury:
            number = 0
            while True:
                number += 1
                try:
                    receipt = _pay(treasury, chance, f"{self.name}-{number}")
                except PaymentAborted as error:
                    voice.say(told="abort", txn_id=error.txn_id)
                except TreasuryError as error:
                    voice.say(refused=str(error))
                else:
                    voice.say(told="commit", txn_id=receipt.txn_id)


@dataclass(frozen=True)
class Operator:
    """Forces or resumes what is pending, in any order and direction the rules allow, and says what came of it."""

    settings: Settings
    name: str
    seed: int
    doom: Doom

    def __call__(self, voice: Voice) -> None:
        """Be an operator."""
        chance = random.Random(self.seed)
        with open_treasury(self.settings, actor=self.name, on_step=_hook(voice, self.doom)) as treasury:
            for _ in range(_MOST_ROUNDS):
                pending = [summary.txn_id for summary in list_transactions(treasury)]
                for txn_id in pending:
                    try:
                        resolution = resolve(treasury, txn_id, chance.choice(list(Action)))
                    except TreasuryError as error:
                        voice.say(refused=str(error))
                    else:
                        voice.say(told=resolution.decision.decision.value, txn_id=txn_id)


def resolve(treasury: Treasury, txn_id: str, action: Action) -> force.Resolution:
    """Do the action, with every approval there is."""
    if action is Action.RESUME:
        return force.resume(treasury, txn_id)
    return force.force(treasury, txn_id, action, APPROVAL)


def recover(settings: Settings) -> None:
    """Finish everything, as an operator would an hour later: resume what is decided, force the rest."""
    with open_treasury(settings, actor="rescuer", clock=lambda: utc_now() + timedelta(hours=1)) as treasury:
        for txn_id in force.resumable(treasury):
            assert resolve(treasury, txn_id, Action.RESUME).verified
        for summary in list_transactions(treasury):
            allowed = [
                action for action in (Action.FORCE_ROLLBACK, Action.FORCE_COMMIT) if summary.verdicts.of(action).allowed
            ]
            assert allowed, summary
            assert resolve(treasury, summary.txn_id, allowed[0]).verified
        assert list_transactions(treasury) == []


def _pay(treasury: Treasury, chance: random.Random, key: str) -> Receipt:
    amount = f"{chance.randint(1, 300)}.{chance.randint(0, 99):02}"
    first, second, third = chance.sample(AGENTS, 3)
    match chance.randint(1, 10):
        case 1:
            return payments.deposit(treasury, first, amount, CURRENCY, idempotency_key=key)
        case 2:
            return payments.withdraw(treasury, first, amount, CURRENCY, idempotency_key=key)
        case 3 | 4 | 5:
            minor = treasury.settings.currencies[CURRENCY].parse(amount)
            part = chance.randint(1, minor - 1)
            legs = [Leg(first, -minor), Leg(second, part), Leg(third, minor - part)]
            return payments.split_transfer(treasury, legs, CURRENCY, idempotency_key=key)
        case _:
            return payments.transfer(treasury, first, second, amount, CURRENCY, idempotency_key=key)


def _hook(voice: Voice, doom: Doom) -> Callable[[Step, str], None]:
    steps = 0

    def on_step(step: Step, _participant: str) -> None:
        nonlocal steps
        steps += 1
        if steps == doom.step and doom.by_own_hand:
            die()
        voice.say(step=step.value)

    return on_step
