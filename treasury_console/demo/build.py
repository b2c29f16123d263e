"""Making the demo treasury: a week of real payments, coordinators really killed, faults really made, one real run.

Everything but the time comes from the seed. The treasury lives in one directory and nothing outside it is touched: the
environment's TREASURY_* variables are not read, so that a demo can never write to a treasury that is configured there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from treasury_console.configuration import SQLITE_SCHEME, Settings, load_settings
from treasury_console.demo.cleanup import stop_live_coordinator
from treasury_console.demo.coordinator_process import PLATFORM, Order
from treasury_console.demo.faults import InjectedDrift, lose_balance_update, raise_balance_twice, write_entry_twice
from treasury_console.demo.plan import (
    BALANCE_RAISED_TWICE,
    BALANCE_UPDATE_LOST,
    ENTRY_WRITTEN_TWICE,
    LastCredit,
    Plan,
    PlannedPayment,
    make_plan,
)
from treasury_console.demo.processes import CoordinatorProcesses, DemoFailed
from treasury_console.demo.record import CONFIG_FILE
from treasury_console.demo.record import DemoTreasury as DemoTreasury
from treasury_console.demo.record import StuckStory as StuckStory
from treasury_console.demo.staging import StagedClock, chance
from treasury_console.demo.stories import KILLED, LIVE, StuckPlan
from treasury_console.domain.errors import Refused
from treasury_console.domain.ids import IdSource
from treasury_console.domain.text import safe_text
from treasury_console.domain.transactions import Kind
from treasury_console.operations.accounts import locate_agents, open_accounts
from treasury_console.operations.payments import deposit, split_transfer
from treasury_console.operations.reconciliation import reconcile_full
from treasury_console.operations.setup import initialise
from treasury_console.operations.transactions import TransactionSummary, list_transactions
from treasury_console.operations.treasury import Clock, Treasury, open_treasury, utc_now

LIVE_SECONDS = 600.0
Progress = Callable[[str], None]

_CONFIGURATION = """\
# A demo treasury: nothing in it is anybody's money. Delete this directory to be rid of it.
[profiles.default]
treasury = "sqlite:///treasury.sqlite"
synchronous = "NORMAL"
banner = "DEMO"

[[profiles.default.shards]]
name = "shard-1"
url = "sqlite:///shard-1.sqlite"

[[profiles.default.shards]]
name = "shard-2"
url = "sqlite:///shard-2.sqlite"
"""

_ACCOUNTS_OPENED = timedelta(days=6, hours=1)
_PROGRESS_EVERY = 100
_PAYMENTS_WHILE_A_PROCESS_STARTS = 25


def build_demo(
    directory: Path,
    *,
    on_progress: Progress = lambda _message: None,
    seed: int = 7,
    live_coordinator: bool = True,
    clock: Clock = utc_now,
) -> DemoTreasury:
    """Make a demo treasury in `directory`, which must be new or empty.

    With `live_coordinator` a process stays behind for ten minutes at most; `cleanup.stop_live_coordinator` ends it.
    Raise Refused when the directory cannot be used, DemoFailed when something in the demo did not become what it
    should; the directory is then as it was.
    """
    is_new = _prepare(directory)
    try:
        return _Builder(directory.absolute(), on_progress, seed, clock(), clock).build(
            live_coordinator=live_coordinator
        )
    except BaseException:
        stop_live_coordinator(directory)
        _remove(directory, is_new=is_new)
        raise


@dataclass(frozen=True)
class _Builder:
    directory: Path
    on_progress: Progress
    seed: int
    now: datetime
    clock: Clock

    @property
    def config_file(self) -> Path:
        return self.directory / CONFIG_FILE

    def build(self, *, live_coordinator: bool) -> DemoTreasury:
        self.config_file.write_text(_CONFIGURATION, encoding="utf-8")
        settings = load_settings(file=self.config_file, environment={})
        fast = replace(settings, synchronous="OFF")
        stories = (*KILLED, LIVE) if live_coordinator else KILLED
        staged = StagedClock(self.now - _ACCOUNTS_OPENED)
        with CoordinatorProcesses.start() as processes:
            self.on_progress("Creating the databases")
            initialise(fast, clock=staged, randomness=chance(self.seed, "setup"))
            with open_treasury(
                fast, actor=PLATFORM, clock=staged, randomness=chance(self.seed, "platform")
            ) as treasury:
                plan = make_plan(self.seed, settings.currencies)
                self._open_accounts(treasury, plan)
                live_pid = self._play(treasury, staged, plan, stories, processes)
                drifts = self._break(treasury)
        self.on_progress("Reconciling")
        with open_treasury(fast, clock=self.clock, randomness=chance(self.seed, "reconciliation")) as treasury:
            reconcile_full(treasury)
            stuck = _found_stuck(treasury, stories)
        demo = DemoTreasury(self.directory, self.config_file, settings, stuck, drifts, live_pid)
        demo.save()
        return demo

    def _open_accounts(self, treasury: Treasury, plan: Plan) -> None:
        self.on_progress(f"Opening accounts for {len(plan.agents)} agents")
        for agent in plan.agents:
            open_accounts(treasury, agent.agent_id, agent.currencies, shard=agent.shard)

    def _play(
        self,
        treasury: Treasury,
        staged: StagedClock,
        plan: Plan,
        stories: Iterable[StuckPlan],
        processes: CoordinatorProcesses,
    ) -> int | None:
        """Make every payment, and have coordinators killed, in the order of time. Return the live one's pid.

        The doomed coordinators work beside the payments, as coordinators do; each has its own clock, and accounts that
        no other payment touches. Only the place of their audit events among the others is left to the race.
        """
        transfers = sum(payment.kind is Kind.TRANSFER for payment in plan.payments)
        done = 0
        for event in _in_order(plan, stories):
            if isinstance(event, StuckPlan):
                processes.order(self._order(event, treasury.settings))
                continue
            staged.move_to(self.now - event.age)
            _pay(treasury, event)
            if event.kind is Kind.TRANSFER:
                done += 1
                if done % _PROGRESS_EVERY == 0:
                    self.on_progress(f"Running transfers through the coordinator: {done} of {transfers}")
        self.on_progress("Killing coordinators")
        reports = processes.await_reports()
        return next((report.pid for report in reports if report.name == LIVE.name), None)

    def _order(self, story: StuckPlan, settings: Settings) -> Order:
        return Order(
            name=story.name,
            config_file=str(self.config_file),
            seed=self.seed,
            at=self.now - story.age,
            currency=story.currency,
            legs=story.minor_legs(settings.currencies),
            step=story.die_at,
            participant=story.participant,
            rival=story.rival,
            stay_seconds=LIVE_SECONDS if story is LIVE else 0.0,
        )

    def _break(self, treasury: Treasury) -> tuple[InjectedDrift, ...]:
        """Make the faults, each on the account whose newest entry was planned for it."""
        self.on_progress("Making faults")

        def shard_file(credit: LastCredit) -> Path:
            shard = locate_agents(treasury, [credit.receiver])[credit.receiver]
            url = next(known.url for known in treasury.settings.shards if known.name == shard)
            return Path(url.removeprefix(SQLITE_SCHEME))

        first, second, third = BALANCE_RAISED_TWICE, ENTRY_WRITTEN_TWICE, BALANCE_UPDATE_LOST
        written_at = self.now - second.age
        return (
            raise_balance_twice(shard_file(first), first.receiver, first.currency),
            write_entry_twice(
                shard_file(second),
                second.receiver,
                second.currency,
                IdSource(chance(self.seed, "retry")),
                lambda: written_at,
            ),
            lose_balance_update(shard_file(third), third.receiver, third.currency),
        )


def _in_order(plan: Plan, stories: Iterable[StuckPlan]) -> list[PlannedPayment | StuckPlan]:
    """Return what happens, oldest first; a coordinator is ordered ahead of its time, because a process has to start."""
    events: list[PlannedPayment | StuckPlan] = list(plan.payments)
    for story in sorted(stories, key=lambda story: story.age):
        in_time = sum(event.age > story.age for event in plan.payments)
        events.insert(max(in_time - _PAYMENTS_WHILE_A_PROCESS_STARTS, 0), story)
    return events


def _pay(treasury: Treasury, payment: PlannedPayment) -> None:
    if payment.kind is Kind.DEPOSIT:
        (leg,) = payment.legs
        amount = treasury.settings.currencies.format(leg.amount, payment.currency)
        deposit(treasury, leg.agent_id, amount, payment.currency, reference=payment.reference)
    else:
        split_transfer(treasury, payment.legs, payment.currency, reference=payment.reference)


def _found_stuck(treasury: Treasury, stories: Iterable[StuckPlan]) -> tuple[StuckStory, ...]:
    """Return what is stuck, oldest first; raise DemoFailed unless it is exactly what the stories tell."""
    pending = list_transactions(treasury)
    told = sorted(stories, key=lambda story: story.age, reverse=True)
    if len(pending) != len(told):
        raise DemoFailed(f"{len(pending)} transactions are stuck in the demo, not {len(told)}")
    return tuple(_story_found(story, found) for story, found in zip(told, pending, strict=True))


def _story_found(story: StuckPlan, found: TransactionSummary) -> StuckStory:
    expected = (story.state, story.verdict, {agent_id for agent_id, _ in story.legs})
    actual = (found.state, found.verdict, set(found.participants))
    if actual != expected:
        raise DemoFailed(
            f"the stuck transaction {story.name!r} became {found.state.value} ({found.verdict}), "
            f"not {story.state.value} ({story.verdict})"
        )
    return StuckStory(story.name, found.txn_id, story.kind, found.state, found.verdict, found.participants, story.story)


def _prepare(directory: Path) -> bool:
    """Make `directory` unless it is there; say whether it is new. Raise Refused if anything is in it."""
    shown = safe_text(str(directory), 120)
    try:
        directory.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        try:
            is_free = directory.is_dir() and not any(directory.iterdir()) and os.access(directory, os.W_OK)
        except OSError:
            is_free = False
        if not is_free:
            raise Refused(f"{shown} is there already and not an empty directory to write in; name a new one") from None
        return False
    except OSError as error:
        raise Refused(f"the directory {shown} cannot be made: {error.strerror}") from None
    return True


def _remove(directory: Path, *, is_new: bool) -> None:
    """Leave the directory as it was found: absent, or empty."""
    if is_new:
        shutil.rmtree(directory, ignore_errors=True)
        return
    for left in directory.iterdir():
        left.unlink(missing_ok=True)
