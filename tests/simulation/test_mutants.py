"""The simulation can fail: every broken protocol below is noticed."""

from __future__ import annotations

import pytest

from .cases import parse_case
from .exhaustive import Tally
from .mutants import MUTANTS, Mutant
from .runner import Runner
from .seeds import script_of_seed

CAMPAIGN_SEEDS = 3_000

each_mutant = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.breaks.replace(" ", "-"))


@each_mutant
def test_a_broken_protocol_is_noticed(runner: Runner, mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in mutant.cases:
        with monkeypatch.context() as patch:
            runner.restart()
            mutant.break_it(patch)
            found = runner.run(parse_case(line).script()).violations
        runner.restart()
        assert any(violation.startswith(f"{mutant.noticed_by} ") for violation in found), found


def test_the_unbroken_protocol_passes_the_same_schedules(runner: Runner) -> None:
    for line in sorted({line for mutant in MUTANTS for line in mutant.cases}):
        case = parse_case(line)
        assert runner.run(case.script()).violations == [], case.replay


def test_at_least_twenty_different_protocols_are_broken() -> None:
    assert len({mutant.breaks for mutant in MUTANTS}) == len(MUTANTS) >= 20


@each_mutant
def test_a_failure_prints_the_line_that_replays_it(
    runner: Runner, mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner.restart()
    tally = Tally()
    with monkeypatch.context() as patch:
        mutant.break_it(patch)
        tally.run(runner, parse_case(mutant.cases[0]))
        line, *violations = tally.failures[0].splitlines()
        assert line.startswith("replay: python -m tests.simulation")
        runner.restart()
        again = runner.run(parse_case(line.partition("tests.simulation")[2]).script()).violations
    runner.restart()
    assert [violation.strip() for violation in violations] == "\n".join(again).splitlines()


@pytest.mark.campaign
@pytest.mark.timeout(0)
@each_mutant
def test_random_schedules_alone_notice_a_broken_protocol(
    runner: Runner, mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = range(1, CAMPAIGN_SEEDS + 1)
    with monkeypatch.context() as patch:
        runner.restart()
        mutant.break_it(patch)
        noticed = next((seed for seed in seeds if runner.run(script_of_seed(seed)).violations), None)
    runner.restart()
    assert noticed is not None, f"{CAMPAIGN_SEEDS} seeds did not notice that {mutant.breaks}"
