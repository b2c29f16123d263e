"""Replay one schedule by its flags or its seed, or run a campaign of seeds.

python -m tests.simulation --participants 2 --coordinator-crash 7 --operator force-commit --operator-crash 3
python -m tests.simulation --seed 4711
python -m tests.simulation --seeds 20000 --from-seed 1
python -m tests.simulation --exhaustive
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import product

from treasury_console.operations.force import Resolution
from treasury_console.operations.payments import Receipt

from .cases import ACTIONS, Case, add_flags, case_of
from .exhaustive import Tally, races, single_crashes, zombies
from .performance import Performance
from .runner import Runner
from .seeds import replay_of_seed, script_of_seed
from .world import World


def main() -> int:
    """Return 0 when nothing was violated, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    add_flags(parser)
    parser.add_argument("--seed", type=int, help="run the schedule of this seed")
    parser.add_argument("--seeds", type=int, default=0, help="run this many seeds")
    parser.add_argument("--from-seed", type=int, default=1)
    parser.add_argument("--exhaustive", action="store_true", help="run every single-crash, zombie and race schedule")
    arguments = parser.parse_args()
    with World() as world:
        runner = Runner(world)
        if arguments.exhaustive:
            return _exhaustive(runner)
        if arguments.seeds:
            return _campaign(runner, arguments.from_seed, arguments.seeds)
        script = case_of(arguments).script() if arguments.seed is None else script_of_seed(arguments.seed)
        report = runner.run(script)
        _tell(report.performances)
        for problem in report.violations:
            _say(f"VIOLATION {problem}")
        return 1 if report.violations else 0


def _tell(performances: Iterable[Performance], indent: str = "") -> None:
    for performance in performances:
        _say(f"{indent}{performance.actor}: {performance.ending.value} after {performance.steps} steps")
        _say(f"{indent}    {_answer(performance)}")
        _tell(performance.nested, f"{indent}    within it, ")


def _answer(performance: Performance) -> str:
    match performance.answer:
        case Receipt(state=state, replayed=replayed):
            return f"{state.value}{', as before' if replayed else ''}"
        case Resolution(state=state, decision=decision):
            return f"{state.value}: {decision.decision.value} by {decision.decided_by}"
        case _:
            return repr(performance.error)


def _campaign(runner: Runner, first: int, count: int) -> int:
    began, failed = time.monotonic(), 0
    for seed in range(first, first + count):
        report = runner.run(script_of_seed(seed))
        if report.violations:
            failed += 1
            _say(replay_of_seed(seed))
            for problem in report.violations:
                _say(f"    {problem}")
    seconds = time.monotonic() - began
    _say(
        f"{count} seeds, {runner.steps_run} steps, {failed} failed, "
        f"{count / seconds:.0f} schedules/s, {runner.steps_run / seconds:.0f} steps/s"
    )
    return 1 if failed else 0


def _exhaustive(runner: Runner) -> int:
    failed = 0
    for participants, operator in product((2, 3), ACTIONS):
        case = Case(participants=participants, operator=operator)
        enumerations: list[tuple[str, Callable[[], Tally]]] = [
            ("single crashes", partial(single_crashes, runner, case)),
            ("zombies", partial(zombies, runner, case)),
        ]
        for second in ACTIONS:
            race = partial(races, runner, replace(case, second_operator=second))
            enumerations.append((f"races with {second}", race))
        for name, enumerate_all in enumerations:
            began = time.monotonic()
            tally = enumerate_all()
            seconds = time.monotonic() - began
            failed += len(tally.failures)
            for failure in tally.failures:
                _say(failure)
            _say(
                f"{participants} participants, {operator}, {name}: {tally.schedules} schedules, "
                f"{len(tally.failures)} failed, {tally.schedules / seconds:.0f} schedules/s"
            )
    return 1 if failed else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
