"""The coordinator decides once, after everybody voted and before anything is applied, and stops when it is fenced."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest

from tests.treasuries import (
    ALICE,
    BOB,
    CAROL,
    NOON,
    OPENING_BALANCE,
    TRANSFER_STEPS,
    Crash,
    Recorder,
    ScratchTreasury,
    a_transaction,
    once_at,
)
from treasury_console.domain.errors import Fenced, Unreachable
from treasury_console.domain.transactions import (
    Branch,
    BranchState,
    BranchVote,
    Decision,
    Transaction,
    TransactionState,
    Vote,
)
from treasury_console.ledger.transactions import IdempotencyKeyTaken, fence
from treasury_console.operations.force import resumable, resume
from treasury_console.operations.treasury import Treasury
from treasury_console.operations.verification import verify_agents
from treasury_console.twophase.coordinator import Coordinator, CoordinatorReport
from treasury_console.twophase.resource_manager import BranchSighting, Shard
from treasury_console.twophase.steps import Step, StepHook, no_hook

BRANCHES = (Branch(ALICE, "shard-1", -1000), Branch(BOB, "shard-2", 1000))


def coordinator(
    treasury: Treasury, on_step: StepHook = no_hook, name: str = "coord_1", shards: Mapping[str, Shard] | None = None
) -> Coordinator:
    started = Coordinator(
        coordinator_id=name,
        actor="platform@test",
        store=treasury.store,
        shards=shards or treasury.shards,
        clock=treasury.clock,
        lease=timedelta(seconds=15),
        on_step=on_step,
    )
    started.start()
    return started


def run(treasury: Treasury, on_step: StepHook = no_hook, *branches: Branch) -> CoordinatorReport:
    return coordinator(treasury, on_step).run(a_transaction(*(branches or BRANCHES)), "digest")


def lease_until(scratch: ScratchTreasury, name: str = "coord_1") -> timedelta:
    """Return how long after NOON the lease ends."""
    [[micros]] = scratch.query("treasury", "SELECT lease_until FROM coordinators WHERE coordinator_id = ?", name)
    return timedelta(microseconds=micros - int(NOON.timestamp()) * 1_000_000)


def assert_money_is_right(scratch: ScratchTreasury, moved: int) -> None:
    """Alice gave `moved` to Bob, nothing is held, and balances agree with the journal."""
    assert scratch.account(ALICE)[:2] == (OPENING_BALANCE - moved, 0)
    assert scratch.account(BOB)[:2] == (OPENING_BALANCE + moved, 0)
    assert verify_agents(scratch.observer, [ALICE, BOB, CAROL]).ok


def test_a_transfer_takes_exactly_the_steps_it_says(treasury: Treasury) -> None:
    steps = Recorder()
    run(treasury, steps)
    assert tuple(steps.seen) == TRANSFER_STEPS


def test_when_all_vote_yes_the_money_moves(scratch: ScratchTreasury, treasury: Treasury) -> None:
    report = run(treasury)
    assert (report.state, report.decision.decision, report.refusal) == (
        TransactionState.COMMITTED,
        Decision.COMMIT,
        None,
    )
    assert [outcome.state for outcome in report.outcomes] == [BranchState.COMMITTED] * 2
    assert (report.decision.decided_by, report.decision.decided_at, report.decision.approval) == (
        "platform@test",
        NOON,
        None,
    )
    assert_money_is_right(scratch, 1000)
    record = treasury.transaction_record("txn_1")
    assert (record.finished_at, record.confirmed) == (NOON, frozenset({ALICE, BOB}))
    assert [phase for phase, _, _ in scratch.audit_trail("transfer")] == ["intent", "outcome"]


@dataclass
class Watcher:
    """A resource manager that notes, at every call, what of the transaction is durable in the treasury's log."""

    scratch: ScratchTreasury
    inner: Shard
    calls: list[tuple[str, str, int, int, int]]

    def note(self, what: str, branch: Branch) -> None:
        [[created]] = self.scratch.query("treasury", "SELECT count(*) FROM transactions WHERE txn_id = 'txn_1'")
        [[voted]] = self.scratch.query("treasury", "SELECT count(vote) FROM branches WHERE txn_id = 'txn_1'")
        [[decided]] = self.scratch.query("treasury", "SELECT count(*) FROM decisions WHERE txn_id = 'txn_1'")
        self.calls.append((what, branch.participant, created, voted, decided))

    def prepare(self, transaction: Transaction, branch: Branch) -> BranchVote:
        self.note("prepare", branch)
        return self.inner.manager.prepare(transaction, branch)

    def commit(self, transaction: Transaction, branch: Branch) -> BranchState:
        self.note("commit", branch)
        return self.inner.manager.commit(transaction, branch)

    def rollback(self, transaction: Transaction, branch: Branch) -> BranchState:
        self.note("rollback", branch)
        return self.inner.manager.rollback(transaction, branch)

    def sightings(self, txn_ids: Sequence[str]) -> Mapping[tuple[str, str], BranchSighting]:
        return self.inner.manager.sightings(txn_ids)


def watched(
    scratch: ScratchTreasury, treasury: Treasury
) -> tuple[dict[str, Shard], list[tuple[str, str, int, int, int]]]:
    calls: list[tuple[str, str, int, int, int]] = []
    shards = {
        name: Shard(name, shard.database, Watcher(scratch, shard, calls)) for name, shard in treasury.shards.items()
    }
    return shards, calls


def test_nothing_is_applied_before_votes_and_decision_are_durable(scratch: ScratchTreasury, treasury: Treasury) -> None:
    shards, calls = watched(scratch, treasury)
    coordinator(treasury, shards=shards).run(a_transaction(*BRANCHES), "digest")
    assert calls == [
        ("prepare", ALICE, 1, 0, 0),
        ("prepare", BOB, 1, 0, 0),
        ("commit", ALICE, 1, 2, 1),
        ("commit", BOB, 1, 2, 1),
    ]


def test_after_a_no_nobody_else_is_asked_and_everybody_is_rolled_back_after_the_decision(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    shards, calls = watched(scratch, treasury)
    branches = (Branch(ALICE, "shard-1", -OPENING_BALANCE - 1), Branch(BOB, "shard-2", OPENING_BALANCE + 1))
    coordinator(treasury, shards=shards).run(a_transaction(*branches), "digest")
    assert calls == [("prepare", ALICE, 1, 0, 0), ("rollback", ALICE, 1, 1, 1), ("rollback", BOB, 1, 1, 1)]


def test_a_no_aborts_and_gives_everything_back(scratch: ScratchTreasury, treasury: Treasury) -> None:
    stranger = Branch("agent_9", "shard-2", 1000)
    report = run(treasury, no_hook, BRANCHES[0], stranger)
    assert (report.state, report.decision.decision, report.refusal) == (
        TransactionState.ABORTED,
        Decision.ABORT,
        "no USD account",
    )
    assert_money_is_right(scratch, 0)
    record = treasury.transaction_record("txn_1")
    assert {name: vote.vote for name, vote in record.votes.items()} == {ALICE: Vote.YES, "agent_9": Vote.NO}
    assert record.finished_at == NOON
    assert [phase for phase, _, _ in scratch.audit_trail("transfer")] == ["intent", "outcome"]


def test_a_shard_that_does_not_answer_at_prepare_aborts_and_the_money_held_is_given_back(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    report = run(treasury, once_at((Step.BEFORE_PREPARE, BOB), lambda: scratch.take_away("shard-2")))
    assert (report.decision.decision, report.state) == (Decision.ABORT, TransactionState.ABORTING)
    assert report.refusal is not None
    assert "shard-2 did not answer" in report.refusal
    assert [outcome.state for outcome in report.outcomes] == [BranchState.ROLLED_BACK, BranchState.UNKNOWN]
    assert scratch.account(ALICE) == (OPENING_BALANCE, 0, 1)
    assert treasury.transaction_record("txn_1").finished_at is None
    scratch.bring_back("shard-2")
    scratch.clock.advance(timedelta(minutes=1))
    assert resumable(treasury) == ["txn_1"]
    assert resume(treasury, "txn_1").state is TransactionState.ABORTED
    assert_money_is_right(scratch, 0)


def test_a_shard_that_does_not_answer_at_apply_leaves_it_committing_until_it_is_resumed(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    report = run(treasury, once_at((Step.BEFORE_APPLY, BOB), lambda: scratch.take_away("shard-2")))
    assert (report.decision.decision, report.state) == (Decision.COMMIT, TransactionState.COMMITTING)
    assert [outcome.state for outcome in report.outcomes] == [BranchState.COMMITTED, BranchState.UNKNOWN]
    assert "shard-2 did not answer" in report.outcomes[1].detail
    record = treasury.transaction_record("txn_1")
    assert (record.finished_at, record.confirmed) == (None, frozenset({ALICE}))
    scratch.bring_back("shard-2")
    assert scratch.account(BOB) == (OPENING_BALANCE, 0, 1)
    scratch.clock.advance(timedelta(minutes=1))
    resumed = resume(treasury, "txn_1")
    assert (resumed.state, resumed.verified) == (TransactionState.COMMITTED, True)
    assert_money_is_right(scratch, 1000)
    assert resumable(treasury) == []


def test_a_shard_that_does_not_answer_does_not_keep_the_others_from_being_applied(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    report = run(treasury, once_at((Step.BEFORE_APPLY, ALICE), lambda: scratch.take_away("shard-1")))
    assert [outcome.state for outcome in report.outcomes] == [BranchState.UNKNOWN, BranchState.COMMITTED]
    assert report.state is TransactionState.COMMITTING


@pytest.mark.parametrize("step", TRANSFER_STEPS, ids=lambda step: "-".join(step).strip("-"))
def test_wherever_it_dies_what_is_left_can_be_finished_and_the_money_is_right(
    scratch: ScratchTreasury, treasury: Treasury, step: tuple[Step, str]
) -> None:
    with pytest.raises(Crash):
        run(treasury, Recorder(dies_at=step))
    decided = step in TRANSFER_STEPS[TRANSFER_STEPS.index((Step.DECIDED, "")) :]
    assert (treasury.transaction_record("txn_1").decision is not None) == decided
    scratch.clock.advance(timedelta(minutes=1))
    finished = step == (Step.CONFIRMED, "")
    assert resumable(treasury) == (["txn_1"] if decided and not finished else [])
    if decided:
        assert resume(treasury, "txn_1").state is TransactionState.COMMITTED
        assert_money_is_right(scratch, 1000)


def test_a_lease_is_valid_from_the_start_and_renewed_before_it_runs_out(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    alive = coordinator(treasury)
    assert lease_until(scratch) == timedelta(seconds=15)
    scratch.clock.advance(timedelta(seconds=7))
    alive.run(a_transaction(*BRANCHES), "digest")
    assert lease_until(scratch) == timedelta(seconds=15)
    scratch.clock.advance(timedelta(seconds=1))
    alive.run(a_transaction(*BRANCHES, txn_id="txn_2"), "digest")
    assert lease_until(scratch) == timedelta(seconds=8 + 15)
    alive.renew()
    scratch.clock.advance(timedelta(seconds=2))
    alive.renew()
    assert lease_until(scratch) == timedelta(seconds=10 + 15)


def test_a_lease_is_renewed_in_the_middle_of_a_transaction_that_takes_long(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    run(treasury, once_at((Step.PREPARED, BOB), lambda: scratch.clock.advance(timedelta(seconds=12))))
    assert lease_until(scratch) == timedelta(seconds=12 + 15)


def take_over(scratch: ScratchTreasury) -> None:
    with scratch.open().store.write() as connection:
        assert fence(connection, "txn_1", 1, "operator@test", scratch.clock())


@pytest.mark.parametrize("step", TRANSFER_STEPS[: TRANSFER_STEPS.index((Step.DECIDED, ""))], ids=str)
def test_a_coordinator_whose_transaction_was_taken_stops_without_deciding_or_applying(
    scratch: ScratchTreasury, treasury: Treasury, step: tuple[Step, str]
) -> None:
    with pytest.raises(Fenced, match="txn_1 was taken from epoch 1 by an operator"):
        run(treasury, once_at(step, lambda: take_over(scratch)))
    record = treasury.transaction_record("txn_1")
    assert (record.decision, record.confirmed, record.finished_at) == (None, frozenset(), None)
    assert scratch.account(ALICE)[0] == scratch.account(BOB)[0] == OPENING_BALANCE
    for shard in ("shard-1", "shard-2"):
        assert scratch.query(shard, "SELECT * FROM branch_log WHERE txn_id = 'txn_1'") == []


def test_a_coordinator_that_lost_one_transaction_goes_on_with_others(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    working = coordinator(treasury, once_at((Step.PREPARED, ALICE), lambda: take_over(scratch)))
    with pytest.raises(Fenced):
        working.run(a_transaction(*BRANCHES), "digest")
    assert working.run(a_transaction(*BRANCHES, txn_id="txn_2"), "digest").state is TransactionState.COMMITTED


def test_a_treasury_that_does_not_answer_before_the_decision_leaves_the_outcome_open(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    with pytest.raises(Unreachable):
        run(treasury, once_at((Step.BEFORE_DECISION, ""), lambda: scratch.take_away("treasury")))
    scratch.bring_back("treasury")
    assert treasury.transaction_record("txn_1").decision is None
    assert scratch.account(ALICE) == (OPENING_BALANCE, 1000, 1)


def test_a_second_transaction_with_the_same_key_is_not_begun(scratch: ScratchTreasury, treasury: Treasury) -> None:
    working = coordinator(treasury)
    working.run(a_transaction(*BRANCHES, idempotency_key="order-77"), "digest")
    before = scratch.contents()
    with pytest.raises(IdempotencyKeyTaken):
        working.run(a_transaction(*BRANCHES, txn_id="txn_2", idempotency_key="order-77"), "digest")
    assert scratch.contents() == before


def test_one_coordinator_runs_transactions_of_several_threads(scratch: ScratchTreasury, treasury: Treasury) -> None:
    working = coordinator(treasury)
    start = threading.Barrier(2)
    states: list[TransactionState] = []

    def run_many(thread: int) -> None:
        sender, receiver = (
            (BRANCHES[0], BRANCHES[1])
            if thread == 0
            else (
                Branch(BOB, "shard-2", -1000),
                Branch(ALICE, "shard-1", 1000),
            )
        )
        start.wait()
        for number in range(10):
            transaction = a_transaction(sender, receiver, txn_id=f"txn_{thread}_{number}")
            states.append(working.run(transaction, "digest").state)

    threads = [threading.Thread(target=run_many, args=[thread]) for thread in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states == [TransactionState.COMMITTED] * 20
    assert_money_is_right(scratch, 0)
    assert scratch.account(ALICE)[2] == scratch.account(BOB)[2] == 21


def test_two_coordinators_work_side_by_side(scratch: ScratchTreasury) -> None:
    first, second = coordinator(scratch.open(), name="coord_1"), coordinator(scratch.open(), name="coord_2")
    assert first.run(a_transaction(*BRANCHES, txn_id="txn_1"), "d").state is TransactionState.COMMITTED
    transaction = a_transaction(*BRANCHES, txn_id="txn_2", coordinator_id="coord_2")
    assert second.run(transaction, "d").state is TransactionState.COMMITTED
    assert_money_is_right(scratch, 2000)
