"""Every schedule of one crash of the coordinator and one of the operator, zombies that wake, and operators that race.

A failure names the line that replays it. The bigger classes run with `-m campaign`.
"""

from __future__ import annotations

import pytest

from .cases import ACTIONS, Case
from .exhaustive import Tally, races, single_crashes, zombies
from .runner import Runner

ALL_PREPARED = 5  # the step of a coordinator of two participants after the second has prepared

each_action = pytest.mark.parametrize("operator", ACTIONS)
each_second_action = pytest.mark.parametrize("second_operator", ACTIONS)


def check(tally: Tally, *, at_least: int) -> None:
    assert not tally.failures, "\n".join(tally.failures[:10])
    assert tally.schedules >= at_least


@each_action
@pytest.mark.parametrize("participants", [2, 3])
def test_no_single_crash_breaks_a_transfer(runner: Runner, participants: int, operator: str) -> None:
    check(single_crashes(runner, Case(participants=participants, operator=operator)), at_least=90)


@pytest.mark.parametrize(("kind", "operator"), [("deposit", "force-commit"), ("withdrawal", "force-rollback")])
def test_no_single_crash_breaks_a_payment_with_the_outside(runner: Runner, kind: str, operator: str) -> None:
    check(single_crashes(runner, Case(kind=kind, participants=1, operator=operator)), at_least=50)


def test_no_single_crash_lets_a_refused_transfer_be_forced_to_commit(runner: Runner) -> None:
    check(single_crashes(runner, Case(refuses=2, operator="force-commit")), at_least=30)


@each_action
def test_a_coordinator_that_wakes_after_an_operator_changes_nothing(runner: Runner, operator: str) -> None:
    check(zombies(runner, Case(operator=operator)), at_least=70)


@each_action
def test_a_coordinator_of_three_that_wakes_after_an_operator_changes_nothing(runner: Runner, operator: str) -> None:
    check(zombies(runner, Case(participants=3, operator=operator), operator_dies=False), at_least=18)


@each_action
def test_a_payment_proven_decided_is_not_forced_otherwise_when_its_log_and_its_shard_are_lost(
    runner: Runner, operator: str
) -> None:
    tally = Tally()
    tally.run(runner, Case("withdrawal", participants=1, lose_log=True, down="shard-1", operator=operator))
    check(tally, at_least=1)


@each_second_action
@pytest.mark.parametrize("operator", ["force-commit", "force-rollback"])
def test_two_operators_who_race_get_one_decision(runner: Runner, operator: str, second_operator: str) -> None:
    case = Case(operator=operator, second_operator=second_operator)
    check(races(runner, case, coordinator_crashes=[ALL_PREPARED]), at_least=12)


@pytest.mark.campaign
@pytest.mark.timeout(0)
@each_action
@pytest.mark.parametrize("participants", [2, 3, 4])
@pytest.mark.parametrize("refuses", [0, 1, 2])
def test_no_single_crash_breaks_any_transfer(runner: Runner, participants: int, refuses: int, operator: str) -> None:
    case = Case(participants=participants, refuses=refuses, operator=operator)
    check(single_crashes(runner, case), at_least=25)


@pytest.mark.campaign
@pytest.mark.timeout(0)
@each_action
@pytest.mark.parametrize("down", ["shard-1", "shard-2"])
@pytest.mark.parametrize("participants", [2, 3])
def test_no_single_crash_beside_an_unreachable_shard_breaks_a_transfer(
    runner: Runner, participants: int, down: str, operator: str
) -> None:
    check(single_crashes(runner, Case(participants=participants, down=down, operator=operator)), at_least=25)


@pytest.mark.campaign
@pytest.mark.timeout(0)
@each_action
@pytest.mark.parametrize("participants", [2, 3])
def test_no_single_crash_with_a_lost_log_breaks_a_transfer(runner: Runner, participants: int, operator: str) -> None:
    case = Case(participants=participants, lose_log=True, forget=True, operator=operator)
    check(single_crashes(runner, case), at_least=25)


@pytest.mark.campaign
@pytest.mark.timeout(0)
@each_action
def test_a_coordinator_of_three_that_wakes_after_a_dead_operator_changes_nothing(runner: Runner, operator: str) -> None:
    check(zombies(runner, Case(participants=3, operator=operator)), at_least=100)


@pytest.mark.campaign
@pytest.mark.timeout(0)
@each_action
@each_second_action
@pytest.mark.parametrize("participants", [2, 3])
def test_two_operators_who_race_after_any_crash_get_one_decision(
    runner: Runner, participants: int, operator: str, second_operator: str
) -> None:
    case = Case(participants=participants, operator=operator, second_operator=second_operator)
    check(races(runner, case), at_least=30)
