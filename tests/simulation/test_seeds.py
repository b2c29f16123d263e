"""Schedules drawn by chance: crashes, zombies, races, unreachable shards, lost calls, clock jumps and lost logs, mixed.

`-m campaign` runs 20,000 of them, or as many as the environment variable TREASURY_SIMULATION_SEEDS says.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

import pytest

from treasury_console.operations.force import Resolution
from treasury_console.operations.payments import Receipt

from .performance import Performance
from .runner import Runner
from .seeds import replay_of_seed, script_of_seed

SHORT_RUN = 200
CAMPAIGN = int(os.environ.get("TREASURY_SIMULATION_SEEDS", "20000"))
PARTS = 20


def test_schedules_drawn_by_chance_keep_every_invariant(runner: Runner) -> None:
    seen: Counter[str] = Counter()
    failures = []
    for seed in range(1, SHORT_RUN + 1):
        report = runner.run(script_of_seed(seed))
        if report.violations:
            failures.append("\n    ".join([replay_of_seed(seed), *report.violations]))
        seen.update(kinds(report.performances))
    assert not failures, "\n".join(failures)
    # What the schedules are for has to come up in them, or they prove nothing.
    wanted = {
        "COMMITTED receipt",
        "COMMITTING receipt",
        "COMMITTED resolution",
        "ABORTED resolution",
        "COMMITTING resolution",
        "ABORTING resolution",
        "Crash",
        "Fenced",
        "DecidedOtherwise",
        "ForceRefused",
        "Refused",
        "PaymentAborted",
        "InsufficientFunds",
        "Unreachable",
    }
    assert wanted <= seen.keys(), wanted - seen.keys()


def test_a_seed_always_runs_the_same_schedule(runner: Runner) -> None:
    for seed in range(1, 6):
        runner.restart()
        runner.run(script_of_seed(seed))
        first = runner.world.read()
        runner.restart()
        runner.run(script_of_seed(seed))
        assert not first.differences(runner.world.read(), besides=frozenset()), replay_of_seed(seed)


@pytest.mark.campaign
@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_campaign_of_schedules_keeps_every_invariant(runner: Runner, part: int) -> None:
    failures = []
    for seed in range(SHORT_RUN + 1 + part, SHORT_RUN + 1 + CAMPAIGN, PARTS):
        report = runner.run(script_of_seed(seed))
        if report.violations:
            failures.append("\n    ".join([replay_of_seed(seed), *report.violations]))
    assert not failures, "\n".join(failures[:20])


def kinds(performances: Iterable[Performance]) -> Iterable[str]:
    """Yield how each command, and each within it, was answered."""
    for performance in performances:
        yield from kinds(performance.nested)
        match performance.answer:
            case Receipt(state=state):
                yield f"{state.value} receipt"
            case Resolution(state=state):
                yield f"{state.value} resolution"
            case _:
                yield type(performance.error).__name__
