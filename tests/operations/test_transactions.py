"""The list says what is pending and what may be done; inspecting shows the evidence and what each action would do."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from tests.treasuries import (
    ALICE,
    BOB,
    CAROL,
    NOON,
    OPENING_BALANCE,
    TRANSFER_STEPS,
    ScratchTreasury,
    before_snapshot,
    once_at,
    stuck,
)
from treasury_console.domain.accounts import Account
from treasury_console.domain.durations import AgeFilter
from treasury_console.domain.errors import InvalidRequest, UnknownId
from treasury_console.domain.resolution import Action, Ruling
from treasury_console.domain.transactions import BranchState, TransactionState
from treasury_console.operations.force import Approval, force
from treasury_console.operations.payments import transfer
from treasury_console.operations.transactions import ALL, STATE_FILTERS, inspect_transaction, list_transactions
from treasury_console.operations.treasury import Treasury
from treasury_console.twophase.steps import Step

MINUTES_12 = timedelta(minutes=12)

STATES = {
    (Step.CREATED, ""): ("PREPARING", "rollback only"),
    (Step.BEFORE_PREPARE, ALICE): ("PREPARING", "rollback only"),
    (Step.PREPARED, ALICE): ("PREPARING", "rollback only"),
    (Step.BEFORE_PREPARE, BOB): ("PREPARING", "rollback only"),
    (Step.PREPARED, BOB): ("PREPARED", "commit or rollback"),
    (Step.VOTES_LOGGED, ""): ("PREPARED", "commit or rollback"),
    (Step.BEFORE_DECISION, ""): ("PREPARED", "commit or rollback"),
    (Step.DECIDED, ""): ("COMMITTING", "resume"),
    (Step.BEFORE_APPLY, ALICE): ("COMMITTING", "resume"),
    (Step.APPLIED, ALICE): ("COMMITTING", "resume"),
    (Step.BEFORE_APPLY, BOB): ("COMMITTING", "resume"),
    (Step.APPLIED, BOB): ("COMMITTED", "resume"),
    (Step.BEFORE_CONFIRM, ""): ("COMMITTED", "resume"),
}


def test_every_step_at_which_something_is_left_is_covered() -> None:
    assert tuple(STATES) == TRANSFER_STEPS[:-1]


@pytest.mark.parametrize(("step", "expected"), STATES.items(), ids=lambda value: "-".join(value).strip("-"))
def test_wherever_the_coordinator_died_the_list_says_the_state_and_what_may_be_done(
    scratch: ScratchTreasury, step: tuple[Step, str], expected: tuple[str, str]
) -> None:
    txn_id = scratch.crash_a_transfer(step)
    treasury = scratch.open()
    [while_alive] = list_transactions(treasury)
    assert (while_alive.state.value, while_alive.coordinator_alive) == (expected[0], True)
    assert while_alive.verdict == ("resume" if expected[1] == "resume" else "wait")
    scratch.clock.advance(MINUTES_12)
    [row] = list_transactions(treasury)
    assert (row.txn_id, row.state.value, row.verdict, row.coordinator_alive) == (txn_id, *expected, False)
    assert (row.age, row.created_at, row.participants, row.amount, row.currency) == (
        MINUTES_12,
        NOON,
        (ALICE, BOB),
        1000,
        "USD",
    )


def test_pending_are_those_that_are_not_finished_oldest_first(scratch: ScratchTreasury, treasury: Treasury) -> None:
    transfer(treasury, ALICE, BOB, "1.00", "USD")
    oldest = stuck(scratch, (Step.DECIDED, ""))
    older = stuck(scratch, (Step.PREPARED, BOB))
    newest = stuck(scratch, (Step.CREATED, ""))
    assert [row.txn_id for row in list_transactions(treasury)] == [oldest, older, newest]
    force(treasury, older, Action.FORCE_ROLLBACK, Approval("INC-1"))
    assert [row.txn_id for row in list_transactions(treasury)] == [oldest, newest]


def test_transactions_can_be_listed_by_each_state(scratch: ScratchTreasury, treasury: Treasury) -> None:
    committed = transfer(treasury, ALICE, BOB, "1.00", "USD").txn_id
    aborted = stuck(scratch, (Step.PREPARED, BOB))
    force(treasury, aborted, Action.FORCE_ROLLBACK, Approval("INC-1"))
    pending = {
        "preparing": stuck(scratch, (Step.CREATED, "")),
        "prepared": stuck(scratch, (Step.PREPARED, BOB)),
        "committing": stuck(scratch, (Step.DECIDED, "")),
    }
    aborting = stuck(scratch, (Step.VOTES_LOGGED, ""))
    with scratch.without("shard-2"):
        force(treasury, aborting, Action.FORCE_ROLLBACK, Approval("INC-1"))
    heuristic = stuck(scratch, (Step.APPLIED, ALICE))
    record = treasury.transaction_record(heuristic)
    treasury.shards["shard-2"].manager.rollback(record.transaction, record.transaction.branches[1])

    def listed(state: str) -> list[str]:
        return [row.txn_id for row in list_transactions(treasury, state=state)]

    for state, txn_id in pending.items():
        assert listed(state) == [txn_id]
    assert listed("aborting") == [aborting]
    assert listed("heuristic") == [heuristic]
    assert listed("aborted") == [aborted]
    assert listed("committed")[-1:] == [committed]
    assert listed("pending") == [*pending.values(), aborting, heuristic]
    assert set(listed(ALL)) == {*listed("committed"), aborted, *listed("pending")}


def test_what_is_finished_says_that_it_is_done(treasury: Treasury) -> None:
    transfer(treasury, ALICE, BOB, "1.00", "USD")
    assert {row.verdict for row in list_transactions(treasury, state="committed")} == {"done"}


@pytest.mark.parametrize("state", ["", "PENDING ", "done", "Pending", "\x1b[2J"])
def test_a_state_that_does_not_exist_is_refused_naming_those_that_do(treasury: Treasury, state: str) -> None:
    with pytest.raises(InvalidRequest, match=f"use one of {', '.join(STATE_FILTERS)}") as refused:
        list_transactions(treasury, state=state)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("age", "minutes"),
    [
        (">5m", [20, 6]),
        (">=5m", [20, 6, 5]),
        ("<5m", [1]),
        ("<=5m", [5, 1]),
        ("5m", [20, 6]),
        (">1h", []),
        ("<1h", [20, 6, 5, 1]),
    ],
)
def test_an_age_is_compared_exactly(scratch: ScratchTreasury, treasury: Treasury, age: str, minutes: list[int]) -> None:
    wanted = {}
    start = scratch.clock()
    for old in (20, 6, 5, 1):
        scratch.clock.now = start - timedelta(minutes=old)
        wanted[scratch.crash_a_transfer((Step.CREATED, ""))] = old
    scratch.clock.now = start
    found = list_transactions(treasury, age=AgeFilter.parse(age))
    assert [wanted[row.txn_id] for row in found] == minutes


def test_a_shard_that_is_away_is_no_reason_not_to_list(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = stuck(scratch, (Step.VOTES_LOGGED, ""))
    with scratch.without("shard-2"):
        [row] = list_transactions(treasury)
        inspection = inspect_transaction(treasury, txn_id)
    assert (row.state, row.verdict) == (TransactionState.PREPARED, "commit or rollback")
    assert row.unreachable == ("shard-2",)
    assert inspection.evidence.states == (BranchState.PREPARED, BranchState.UNKNOWN)
    for action in Action:
        unknown = inspection.effects[action][1]
        assert (unknown.participant, unknown.after) == (BOB, None)


def test_listing_and_inspecting_write_nothing_and_work_read_only(scratch: ScratchTreasury) -> None:
    txn_ids = [stuck(scratch, step) for step in TRANSFER_STEPS]
    treasury = scratch.open(read_only=True)
    before = scratch.contents()
    for state in STATE_FILTERS:
        list_transactions(treasury, state=state)
    for txn_id in txn_ids:
        inspect_transaction(treasury, txn_id)
    assert scratch.contents() == before


def test_an_inspection_says_what_each_action_would_do_to_each_account(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    inspection = inspect_transaction(treasury, stuck(scratch, (Step.PREPARED, BOB)))
    before = {
        ALICE: Account(ALICE, "USD", OPENING_BALANCE, 1000, 1),
        BOB: Account(BOB, "USD", OPENING_BALANCE, 0, 1),
    }
    committed = {
        ALICE: Account(ALICE, "USD", OPENING_BALANCE - 1000, 0, 2),
        BOB: Account(BOB, "USD", OPENING_BALANCE + 1000, 0, 2),
    }
    rolled_back = {ALICE: Account(ALICE, "USD", OPENING_BALANCE, 0, 1), BOB: before[BOB]}
    for action, after in (
        (Action.FORCE_COMMIT, committed),
        (Action.FORCE_ROLLBACK, rolled_back),
        (Action.RESUME, before),
    ):
        effects = inspection.effects[action]
        assert {effect.participant: effect.before for effect in effects} == before
        assert {effect.participant: effect.after for effect in effects} == after
    assert inspection.verdicts.force_commit.ruling is Ruling.ALLOW
    assert inspection.verdicts.resume.ruling is Ruling.REFUSE
    assert (inspection.state, inspection.age) == (TransactionState.PREPARED, MINUTES_12)


def test_an_inspection_of_a_decided_transaction_says_what_resuming_does(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    inspection = inspect_transaction(treasury, stuck(scratch, (Step.APPLIED, ALICE)))
    effects = inspection.effects[Action.RESUME]
    assert effects[0].before == effects[0].after
    assert effects[1].after == Account(BOB, "USD", OPENING_BALANCE + 1000, 0, 2)


def test_an_inspection_shows_the_history_oldest_first(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = stuck(scratch, (Step.PREPARED, BOB))
    force(treasury, txn_id, Action.FORCE_COMMIT, Approval("INC-1"))
    history = inspect_transaction(treasury, txn_id).history
    assert [(event.record.operation, event.record.phase.value) for event in history] == [
        ("transfer", "intent"),
        ("force-commit", "intent"),
        ("force-commit", "step"),
        ("force-commit", "step"),
        ("force-commit", "step"),
        ("force-commit", "outcome"),
    ]
    assert {event.record.target for event in history} == {txn_id}


def test_the_fingerprint_stays_while_nothing_changes_and_changes_with_the_evidence(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    txn_id = stuck(scratch, (Step.PREPARED, BOB))
    first = inspect_transaction(treasury, txn_id).fingerprint
    scratch.clock.advance(timedelta(hours=1))
    transfer(treasury, CAROL, BOB, "1.00", "USD")
    assert inspect_transaction(treasury, txn_id).fingerprint == first
    with scratch.without("shard-2"):
        assert inspect_transaction(treasury, txn_id).fingerprint != first
    force(treasury, txn_id, Action.FORCE_COMMIT, Approval("INC-1"))
    assert inspect_transaction(treasury, txn_id).fingerprint != first


def test_an_unknown_transaction_is_refused_harmlessly(treasury: Treasury) -> None:
    with pytest.raises(UnknownId, match="there is no transaction 'txn_") as refused:
        inspect_transaction(treasury, "txn_\x1b[2J")
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("moment", ["shard-1", "shard-2"])
@pytest.mark.parametrize("step", TRANSFER_STEPS[:-1], ids=lambda step: "-".join(step).strip("-"))
def test_a_transfer_that_moves_on_while_it_is_looked_at_is_never_called_damaged(
    scratch: ScratchTreasury, step: tuple[Step, str], moment: str
) -> None:
    """It stands at `step` when its record is read, and is finished when the shard is."""
    reached, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        reached.set()
        go_on.wait()

    platform = scratch.open(actor="platform@test", on_step=once_at(step, wait))
    payment = threading.Thread(target=transfer, args=[platform, ALICE, BOB, "10.00", "USD"])
    payment.start()
    reached.wait()

    def finish() -> None:
        go_on.set()
        payment.join()

    treasury = scratch.open()
    before_snapshot(treasury.shards[moment].database, finish)
    [row] = list_transactions(treasury)
    payment.join()
    assert row.state is not TransactionState.HEURISTIC
    assert "damaged" not in row.verdict
    assert row.verdict in ("wait", "resume", "done")
