"""Schedules that have a name: written as flags, so that a failure can be replayed by the line it prints."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields

from treasury_console.domain.resolution import Action
from treasury_console.domain.transactions import Kind

from .acts import (
    MAIN,
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

REPLAY = "replay: python -m tests.simulation"
LEASE_AND_MORE = 60
NEVER = 0


@dataclass(frozen=True, slots=True)
class Case:
    """One payment, its coordinator's death, and what operators do about it.

    Steps and calls count from 1; 0 is never.
    """

    kind: str = Kind.TRANSFER.value
    participants: int = 2
    refuses: int = NEVER  # the branch, counted from 1, that votes no because another payment comes in between
    refuses_at: int = NEVER  # inside this step of the coordinator instead: the branch voted yes, and another comes
    coordinator_crash: int = NEVER
    operator: str = ""
    operator_at: int = NEVER  # inside this step of the coordinator, not after it: the coordinator wakes as a zombie
    operator_crash: int = NEVER
    second_operator: str = ""
    second_operator_at: int = NEVER  # inside this step of the first operator
    second_operator_at_call: int = NEVER  # while this call of the first operator to a resource manager is answered
    rival: int = NEVER  # inside this step of the coordinator, another payment takes the same money
    rival_crash: int = NEVER
    down: str = ""  # this shard is cut off ...
    down_at: int = NEVER  # ... from this step of the coordinator on, or after it
    lost_request: int = NEVER  # this call to a resource manager is lost
    lost_reply: int = NEVER  # the answer to this call to a resource manager is lost
    clock_jump: int = 0  # seconds, after the coordinator
    clock_jump_at: int = NEVER  # inside this step of the coordinator instead
    lose_log: bool = False  # after the coordinator
    no_fence_approval: bool = False
    no_acknowledgement: bool = False
    prefer_commit: bool = False
    forget: bool = False  # at the end, before late PREPAREs arrive
    again: bool = False  # the client sends the payment again before anybody recovers anything

    @property
    def replay(self) -> str:
        """The line that runs this schedule again."""
        return f"{REPLAY}{''.join(self._flags())}"

    def script(self) -> Script:
        """Return the acts."""
        acts: list[Act] = [Pay(self.payment, self.coordinator_crash, tuple(self._during_payment()))]
        if self.down and not self.down_at:
            acts.append(Befall(Fault.DOWN, shard=self.down))
        if self.lose_log:
            acts.append(Befall(Fault.LOSE_LOG))
        if not self.clock_jump_at:
            acts.append(Befall(Fault.CLOCK, seconds=self.clock_jump or LEASE_AND_MORE))
        if self.again:
            acts.append(Pay(self.payment))
        if self.operator and not self.operator_at:
            acts.append(self._first_operator())
        if self.operator:
            acts.append(self._operate(self.operator))
        return Script(
            tuple(acts),
            frozenset({self.lost_request} - {NEVER}),
            frozenset({self.lost_reply} - {NEVER}),
            self.prefer_commit,
            self.forget,
        )

    @property
    def payment(self) -> Payment:
        """The payment that everything is about."""
        return payment_of(Kind(self.kind), self.participants)

    def _during_payment(self) -> Iterator[During]:
        if self.refuses:
            agent, amount = self.payment.ordered[self.refuses - 1]
            yield During(self.refuses_at or before_prepare(self.refuses), Pay(interloper(agent, amount)))
        if self.rival:
            legs = tuple((agent, amount * 2) for agent, amount in self.payment.legs)
            yield During(self.rival, Pay(Payment("rival", Kind(self.kind), legs), self.rival_crash))
        if self.down and self.down_at:
            yield During(self.down_at, Befall(Fault.DOWN, shard=self.down))
        if self.clock_jump_at:
            yield During(self.clock_jump_at, Befall(Fault.CLOCK, seconds=self.clock_jump))
        if self.operator and self.operator_at:
            yield During(self.operator_at, self._first_operator())

    def _first_operator(self) -> Operate:
        during: tuple[During, ...] = ()
        if self.second_operator:
            at_call = self.second_operator_at == NEVER
            step = self.second_operator_at_call if at_call else self.second_operator_at
            during = (During(step, self._operate(self.second_operator), at_call),)
        return self._operate(self.operator, self.operator_crash, during)

    def _operate(self, action: str, crash: int = NEVER, during: tuple[During, ...] = ()) -> Operate:
        return Operate(Action(action), MAIN, crash, during, not self.no_fence_approval, not self.no_acknowledgement)

    def _flags(self) -> Iterator[str]:
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                flag = f" --{field.name.replace('_', '-')}"
                yield flag if value is True else f"{flag} {value}"


def before_prepare(branch: int) -> int:
    """Return the coordinator's step that comes just before it asks branch number `branch` (from 1) to prepare."""
    return 2 * branch


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Let `parser` take the flags of a Case."""
    for field in fields(Case):
        flag = f"--{field.name.replace('_', '-')}"
        assert field.default is not MISSING
        if isinstance(field.default, bool):
            parser.add_argument(flag, action="store_true")
        else:
            parser.add_argument(flag, type=type(field.default), default=field.default)


def case_of(arguments: argparse.Namespace) -> Case:
    """Return the Case that the parsed flags describe."""
    return Case(**{field.name: getattr(arguments, field.name) for field in fields(Case)})


def parse_case(line: str) -> Case:
    """Return the Case of a line of flags."""
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return case_of(parser.parse_args(line.split()))


ACTIONS: Sequence[str] = tuple(action.value for action in Action)
