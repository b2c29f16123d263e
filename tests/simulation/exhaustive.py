"""Every schedule of a class, one after another: how many steps a command has is found by running it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from .acts import HOMES
from .cases import Case
from .performance import Ending, Performance
from .runner import Runner

LOOKS = 2
"""How often a force reads the evidence at every shard before it decides."""


@dataclass
class Tally:
    """How many schedules were run, and the first failures, each with its replay line."""

    schedules: int = 0
    failures: list[str] = field(default_factory=list)

    def run(self, runner: Runner, case: Case) -> list[Performance]:
        """Run the case; return how its outermost acts went."""
        report = runner.run(case.script())
        self.schedules += 1
        if report.violations:
            self.failures.append(f"{case.replay}\n    " + "\n    ".join(report.violations))
        return report.performances


def crash_points(runner: Runner, tally: Tally, case: Case) -> Iterator[int]:
    """Yield 0 and every step of the case's coordinator."""
    steps = tally.run(runner, case)[0].steps
    yield from range(steps + 1)


def single_crashes(runner: Runner, base: Case) -> Tally:
    """Let the coordinator die at every step, then the operator at every step; then the operator comes again."""
    tally = Tally()
    alone = replace(base, operator="")
    for coordinator_crash in crash_points(runner, tally, alone):
        case = replace(base, coordinator_crash=coordinator_crash)
        steps = tally.run(runner, case)[1].steps
        for operator_crash in range(1, steps + 1):
            tally.run(runner, replace(case, operator_crash=operator_crash))
    return tally


def zombies(runner: Runner, base: Case, *, operator_dies: bool = True) -> Tally:
    """Let the operator come while the coordinator is stopped at every step; then the coordinator wakes.

    The operator ends its command, and in further schedules dies at every step of it.
    """
    tally = Tally()
    alone = replace(base, operator="")
    for operator_at in list(crash_points(runner, tally, alone))[1:]:
        case = replace(base, operator_at=operator_at)
        operator = tally.run(runner, case)[0].nested[0]
        for operator_crash in range(1, operator.steps + 1 if operator_dies else 1):
            tally.run(runner, replace(case, operator_crash=operator_crash))
    return tally


def races(runner: Runner, base: Case, *, coordinator_crashes: Sequence[int] = ()) -> Tally:
    """Let a second operator act while the first is stopped at every step, and while a shard is answering the first.

    In the latter case the first goes on with evidence that is out of date. The coordinator died before at every step,
    or at those given.
    """
    tally = Tally()
    alone = replace(base, operator="", second_operator="")
    for coordinator_crash in coordinator_crashes or list(crash_points(runner, tally, alone))[1:]:
        case = replace(base, coordinator_crash=coordinator_crash)
        first = tally.run(runner, replace(case, second_operator=""))[1]
        # A command that is refused at once leaves no room for a race, and neither does one that only repeats.
        for step in range(1, first.steps + 1 if first.ending is Ending.DONE else 1):
            tally.run(runner, replace(case, second_operator_at=step))
        for call in range(1, LOOKS * len({*HOMES.values()}) + 1):
            tally.run(runner, replace(case, second_operator_at_call=call))
    return tally
