"""Two real processes force the same transaction at the same moment: one decision, and the loser is told whose."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.simulation.invariants import Chronicle
from tests.treasuries import scratch_folder
from treasury_console.configuration import Settings
from treasury_console.domain.durations import iso_utc
from treasury_console.domain.errors import TreasuryError
from treasury_console.domain.resolution import Action
from treasury_console.domain.transactions import RecordedDecision
from treasury_console.operations.payments import transfer
from treasury_console.operations.transactions import inspect_transaction, list_transactions
from treasury_console.operations.treasury import open_treasury
from treasury_console.twophase.steps import Step

from .inspection import check_by_the_product, check_stored
from .people import CURRENCY, make_treasury, resolve
from .processes import Child, Voice

ROUNDS = 30
CAMPAIGN_ROUNDS = int(os.environ.get("TREASURY_RACE_ROUNDS", "500"))
COMMIT, ROLLBACK = Action.FORCE_COMMIT, Action.FORCE_ROLLBACK


class CoordinatorDied(BaseException):
    """A coordinator that leaves its transaction behind."""


@dataclass(frozen=True)
class Racer:
    """Waits at the gate, then forces; `already` is whether it found the decision made."""

    settings: Settings
    name: str
    txn_id: str
    action: Action
    gate: int

    def __call__(self, voice: Voice) -> None:
        """Race."""
        with open_treasury(self.settings, actor=self.name) as treasury:
            voice.say(ready=self.name)
            os.read(self.gate, 1)
            try:
                resolution = resolve(treasury, self.txn_id, self.action)
            except TreasuryError as error:
                voice.say(error=type(error).__name__, message=str(error))
            else:
                voice.say(by=resolution.decision.decided_by, already=resolution.already_decided)


@pytest.fixture
def settings() -> Iterator[Settings]:
    """A new treasury, removed afterwards."""
    with scratch_folder() as folder:
        yield make_treasury(folder)


def test_opposite_forces_get_one_decision_and_the_loser_is_told_whose(settings: Settings) -> None:
    run_opposite_races(settings, ROUNDS)


@pytest.mark.campaign
@pytest.mark.timeout(0)
def test_a_campaign_of_opposite_forces_gets_one_decision_each(settings: Settings) -> None:
    run_opposite_races(settings, CAMPAIGN_ROUNDS)


@pytest.mark.parametrize("action", [COMMIT, ROLLBACK])
def test_equal_forces_both_succeed_and_one_of_them_decided(settings: Settings, action: Action) -> None:
    for number in range(ROUNDS // 3):
        txn_id = leave_prepared(settings, number)
        answers, decision = race(settings, txn_id, {"one": action, "other": action})
        assert decision.decision is action.decision
        assert {answer["by"] for answer in answers.values()} == {decision.decided_by}, answers
        assert not answers[decision.decided_by]["already"]
    check_stored(settings, Chronicle())
    check_by_the_product(settings)


def run_opposite_races(settings: Settings, rounds: int) -> None:
    for number in range(rounds):
        txn_id = leave_prepared(settings, number)
        answers, decision = race(settings, txn_id, {"committer": COMMIT, "rollbacker": ROLLBACK})
        winner = "committer" if decision.decision is COMMIT.decision else "rollbacker"
        (loser,) = answers.keys() - {winner}
        assert decision.decided_by == winner
        assert answers[winner].get("by") == winner, answers
        assert answers[loser].get("error") == "DecidedOtherwise", answers
        told = answers[loser]["message"]
        assert f"decided {decision.decision.value} by {winner} at {iso_utc(decision.decided_at)}" in told
    check_stored(settings, Chronicle())
    check_by_the_product(settings)


def race(
    settings: Settings, txn_id: str, actions: dict[str, Action]
) -> tuple[dict[str, dict[str, str]], RecordedDecision]:
    """Let the actors race; return what each was answered, and the decision on record."""
    gate, opener = os.pipe()
    racers = {name: Child(Racer(settings, name, txn_id, action, gate)) for name, action in actions.items()}
    for racer in racers.values():
        assert next(racer.listen()).keys() == {"ready"}
    os.write(opener, b"!" * len(racers))
    for racer in racers.values():
        assert racer.end() == 0
    os.close(gate)
    os.close(opener)
    with open_treasury(settings, actor="looker") as treasury:
        assert list_transactions(treasury) == []
        decision = inspect_transaction(treasury, txn_id).record.decision
    assert decision is not None
    return {name: racer.heard[-1] for name, racer in racers.items()}, decision


def leave_prepared(settings: Settings, number: int) -> str:
    """Leave a transfer whose participants are both prepared and whose coordinator is gone; return its txn_id."""

    def die(step: Step, _participant: str) -> None:
        if step is Step.VOTES_LOGGED:
            raise CoordinatorDied

    sender, receiver = ("agent_1", "agent_2") if number % 2 else ("agent_2", "agent_1")
    with open_treasury(settings, actor="coordinator", on_step=die) as treasury:
        with pytest.raises(CoordinatorDied):
            transfer(treasury, sender, receiver, "1.00", CURRENCY)
        (summary,) = list_transactions(treasury)
        return summary.txn_id
