"""The `holds` resource manager keeps its promises: a yes is durable and can commit, a tombstone bars for ever."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from tests.treasuries import ALICE, BOB, CAROL, ScratchTreasury, a_transaction
from treasury_console.domain.errors import StoreCorrupt, Unreachable
from treasury_console.domain.money import MAX_MINOR_UNITS
from treasury_console.domain.transactions import Branch, BranchState, Transaction, Vote
from treasury_console.twophase.resource_manager import ResourceManager

HALF = MAX_MINOR_UNITS // 2


@pytest.fixture
def manager(scratch: ScratchTreasury) -> ResourceManager:
    """The manager of Alice's and Carol's shard; each has 1000.00 USD, at version 1."""
    return scratch.open().shards["shard-1"].manager


def debit(amount: int = 300, txn_id: str = "txn_1", agent_id: str = ALICE) -> tuple[Transaction, Branch]:
    branch = Branch(agent_id, "shard-1", -amount)
    return a_transaction(branch, Branch(BOB, "shard-2", amount), txn_id=txn_id), branch


def credit(amount: int = 300, txn_id: str = "txn_1", agent_id: str = ALICE) -> tuple[Transaction, Branch]:
    branch = Branch(agent_id, "shard-1", amount)
    return a_transaction(Branch(BOB, "shard-2", -amount), branch, txn_id=txn_id), branch


def state_of(scratch: ScratchTreasury, txn_id: str = "txn_1", agent_id: str = ALICE) -> BranchState | None:
    """Return what another process sees of the branch; None without a trace."""
    sighting = scratch.open().shards["shard-1"].manager.sightings([txn_id]).get((txn_id, agent_id))
    return None if sighting is None else sighting.state


def test_a_debit_that_is_prepared_is_held_and_moves_nothing(scratch: ScratchTreasury, manager: ResourceManager) -> None:
    assert manager.prepare(*debit(300)).vote is Vote.YES
    assert scratch.account(ALICE) == (100_000, 300, 1)
    assert state_of(scratch) is BranchState.PREPARED


def test_a_credit_that_is_prepared_holds_and_moves_nothing(scratch: ScratchTreasury, manager: ResourceManager) -> None:
    assert manager.prepare(*credit(300)).vote is Vote.YES
    assert scratch.account(ALICE) == (100_000, 0, 1)
    assert state_of(scratch) is BranchState.PREPARED


def test_a_yes_is_durable_before_it_is_returned(scratch: ScratchTreasury, manager: ResourceManager) -> None:
    """Whoever prepared is gone at once; another process commits."""
    transaction, branch = debit(300)
    assert manager.prepare(transaction, branch).vote is Vote.YES
    for handle in scratch.handles:
        handle.close()
    assert scratch.open().shards["shard-1"].manager.commit(transaction, branch) is BranchState.COMMITTED
    assert scratch.account(ALICE) == (99_700, 0, 2)


def test_a_debit_that_commits_becomes_an_entry_and_its_hold_is_gone(
    scratch: ScratchTreasury, manager: ResourceManager
) -> None:
    transaction, branch = debit(300)
    manager.prepare(transaction, branch)
    assert manager.commit(transaction, branch) is BranchState.COMMITTED
    assert scratch.account(ALICE) == (99_700, 0, 2)
    entries = scratch.query(
        "shard-1", "SELECT agent_id, version, amount, balance_after FROM entries WHERE txn_id = ?", "txn_1"
    )
    assert entries == [(ALICE, 2, -300, 99_700)]
    assert scratch.query("shard-1", "SELECT * FROM holds") == []
    assert state_of(scratch) is BranchState.COMMITTED


def test_a_credit_that_commits_becomes_an_entry(scratch: ScratchTreasury, manager: ResourceManager) -> None:
    transaction, branch = credit(300)
    manager.prepare(transaction, branch)
    assert manager.commit(transaction, branch) is BranchState.COMMITTED
    assert scratch.account(ALICE) == (100_300, 0, 2)


def test_the_reserved_owner_takes_the_opposite_entry_without_a_balance(
    scratch: ScratchTreasury, manager: ResourceManager
) -> None:
    branch = Branch(ALICE, "shard-1", 300, "@external")
    transaction = a_transaction(branch)
    manager.prepare(transaction, branch)
    manager.commit(transaction, branch)
    query = "SELECT agent_id, version, amount, balance_after FROM entries WHERE txn_id = 'txn_1' ORDER BY agent_id"
    assert scratch.query("shard-1", query) == [("@external", None, -300, None), (ALICE, 2, 300, 100_300)]


def test_a_debit_that_rolls_back_gives_the_hold_back_and_writes_no_entry(
    scratch: ScratchTreasury, manager: ResourceManager
) -> None:
    transaction, branch = debit(300)
    manager.prepare(transaction, branch)
    assert manager.rollback(transaction, branch) is BranchState.ROLLED_BACK
    assert scratch.account(ALICE) == (100_000, 0, 1)
    assert scratch.query("shard-1", "SELECT * FROM entries WHERE txn_id = 'txn_1'") == []
    assert scratch.query("shard-1", "SELECT * FROM holds") == []
    assert state_of(scratch) is BranchState.ROLLED_BACK


def test_preparing_twice_holds_once_and_says_yes_twice(scratch: ScratchTreasury, manager: ResourceManager) -> None:
    assert [manager.prepare(*debit(300)).vote for _ in range(2)] == [Vote.YES, Vote.YES]
    assert scratch.account(ALICE) == (100_000, 300, 1)


def test_committing_twice_moves_the_money_once(scratch: ScratchTreasury, manager: ResourceManager) -> None:
    transaction, branch = debit(300)
    manager.prepare(transaction, branch)
    assert [manager.commit(transaction, branch) for _ in range(2)] == [BranchState.COMMITTED] * 2
    assert scratch.account(ALICE) == (99_700, 0, 2)


def test_rolling_back_twice_gives_the_hold_back_once(scratch: ScratchTreasury, manager: ResourceManager) -> None:
    other, branch_of_other = debit(500, "txn_2")
    transaction, branch = debit(300)
    manager.prepare(other, branch_of_other)
    manager.prepare(transaction, branch)
    assert [manager.rollback(transaction, branch) for _ in range(2)] == [BranchState.ROLLED_BACK] * 2
    assert scratch.account(ALICE) == (100_000, 500, 1)


def test_rolling_back_what_is_committed_leaves_it_committed(scratch: ScratchTreasury, manager: ResourceManager) -> None:
    transaction, branch = debit(300)
    manager.prepare(transaction, branch)
    manager.commit(transaction, branch)
    assert manager.rollback(transaction, branch) is BranchState.COMMITTED
    assert scratch.account(ALICE) == (99_700, 0, 2)
    assert state_of(scratch) is BranchState.COMMITTED


def test_committing_what_is_rolled_back_leaves_it_rolled_back(
    scratch: ScratchTreasury, manager: ResourceManager
) -> None:
    transaction, branch = debit(300)
    manager.prepare(transaction, branch)
    manager.rollback(transaction, branch)
    assert manager.commit(transaction, branch) is BranchState.ROLLED_BACK
    assert scratch.account(ALICE) == (100_000, 0, 1)


def test_committing_what_never_prepared_leaves_it_active_and_touches_nothing(
    scratch: ScratchTreasury, manager: ResourceManager
) -> None:
    before = scratch.contents()
    assert manager.commit(*debit(300)) is BranchState.ACTIVE
    assert scratch.contents() == before
    assert state_of(scratch) is None


def test_a_branch_that_was_rolled_back_before_it_prepared_can_never_prepare(
    scratch: ScratchTreasury, manager: ResourceManager
) -> None:
    transaction, branch = debit(300)
    assert manager.rollback(transaction, branch) is BranchState.ROLLED_BACK
    vote = manager.prepare(transaction, branch)
    assert (vote.vote, vote.detail) == (Vote.NO, "the branch was rolled back before it prepared")
    assert manager.commit(transaction, branch) is BranchState.ROLLED_BACK
    assert scratch.account(ALICE) == (100_000, 0, 1)
    assert scratch.query("shard-1", "SELECT * FROM holds") == []


def test_a_branch_that_was_rolled_back_after_it_prepared_cannot_prepare_again(
    scratch: ScratchTreasury, manager: ResourceManager
) -> None:
    transaction, branch = debit(300)
    manager.prepare(transaction, branch)
    manager.rollback(transaction, branch)
    assert manager.prepare(transaction, branch).vote is Vote.NO
    assert scratch.account(ALICE) == (100_000, 0, 1)


def test_a_tombstone_bars_one_branch_and_no_other(manager: ResourceManager) -> None:
    manager.rollback(*debit(300, "txn_1", ALICE))
    assert manager.prepare(*debit(300, "txn_2", ALICE)).vote is Vote.YES
    assert manager.prepare(*debit(300, "txn_1", CAROL)).vote is Vote.YES


@pytest.mark.parametrize("amount", [-300, 300])
def test_without_an_account_the_vote_is_no_with_the_reason(
    scratch: ScratchTreasury, manager: ResourceManager, amount: int
) -> None:
    before = scratch.contents()
    stranger = Branch("agent_9", "shard-1", amount)
    vote = manager.prepare(a_transaction(stranger), stranger)
    assert (vote.vote, vote.detail) == (Vote.NO, "no USD account")
    wrong_currency = Branch(ALICE, "shard-1", amount)
    vote = manager.prepare(a_transaction(wrong_currency, currency="ETH"), wrong_currency)
    assert (vote.vote, vote.detail) == (Vote.NO, "no ETH account")
    assert scratch.contents() == before


def test_a_debit_of_everything_is_accepted_and_of_one_unit_more_refused(
    scratch: ScratchTreasury, manager: ResourceManager
) -> None:
    before = scratch.contents()
    vote = manager.prepare(*debit(100_001))
    assert vote.vote is Vote.NO
    assert "too little USD available" in vote.detail
    assert scratch.contents() == before
    assert manager.prepare(*debit(100_000)).vote is Vote.YES


def test_what_is_held_is_not_available_to_another_debit(scratch: ScratchTreasury, manager: ResourceManager) -> None:
    assert manager.prepare(*debit(60_000, "txn_1")).vote is Vote.YES
    assert manager.prepare(*debit(60_000, "txn_2")).vote is Vote.NO
    assert scratch.account(ALICE) == (100_000, 60_000, 1)
    manager.rollback(*debit(60_000, "txn_1"))
    assert manager.prepare(*debit(60_000, "txn_3")).vote is Vote.YES


def test_a_credit_that_is_only_prepared_cannot_be_spent(manager: ResourceManager) -> None:
    manager.prepare(*credit(50_000, "txn_1"))
    assert manager.prepare(*debit(100_001, "txn_2")).vote is Vote.NO


def test_of_two_credits_that_together_overflow_the_second_is_refused_and_the_first_can_commit(
    scratch: ScratchTreasury, manager: ResourceManager
) -> None:
    assert manager.prepare(*credit(HALF, "txn_1")).vote is Vote.YES
    second = manager.prepare(*credit(HALF, "txn_2"))
    assert second.vote is Vote.NO
    assert "64 bits" in second.detail
    assert manager.commit(*credit(HALF, "txn_1")) is BranchState.COMMITTED
    assert scratch.account(ALICE) == (100_000 + HALF, 0, 2)


def test_a_credit_that_was_rolled_back_makes_room_again(manager: ResourceManager) -> None:
    manager.prepare(*credit(HALF, "txn_1"))
    manager.rollback(*credit(HALF, "txn_1"))
    assert manager.prepare(*credit(HALF, "txn_2")).vote is Vote.YES


def test_credits_to_others_do_not_use_up_the_room_of_this_account(manager: ResourceManager) -> None:
    assert manager.prepare(*credit(HALF, "txn_1", CAROL)).vote is Vote.YES
    assert manager.prepare(*credit(HALF, "txn_2", ALICE)).vote is Vote.YES


def test_a_prepared_debit_makes_no_room_for_a_credit_because_it_may_roll_back(manager: ResourceManager) -> None:
    room = MAX_MINOR_UNITS - 100_000
    assert manager.prepare(*debit(50_000, "txn_1")).vote is Vote.YES
    assert manager.prepare(*credit(room + 1, "txn_2")).vote is Vote.NO
    assert manager.prepare(*credit(room, "txn_3")).vote is Vote.YES


def test_branches_of_one_transaction_on_one_shard_end_apart(scratch: ScratchTreasury, manager: ResourceManager) -> None:
    alice, carol = Branch(ALICE, "shard-1", -300), Branch(CAROL, "shard-1", 300)
    transaction = a_transaction(alice, carol)
    manager.prepare(transaction, alice)
    manager.prepare(transaction, carol)
    manager.commit(transaction, alice)
    assert (state_of(scratch), state_of(scratch, agent_id=CAROL)) == (BranchState.COMMITTED, BranchState.PREPARED)
    manager.commit(transaction, carol)
    assert (scratch.account(ALICE), scratch.account(CAROL)) == ((99_700, 0, 2), (100_300, 0, 2))


def test_a_sighting_says_what_the_shard_has_of_the_branch(manager: ResourceManager) -> None:
    manager.prepare(*debit(300, "txn_1"))
    manager.rollback(*debit(300, "txn_2"))
    seen = manager.sightings(["txn_1", "txn_2", "txn_3"])
    prepared = seen["txn_1", ALICE]
    assert (prepared.state, prepared.amount, prepared.currency, prepared.epoch) == (
        BranchState.PREPARED,
        -300,
        "USD",
        1,
    )
    assert prepared.detail == "hold since 2025-12-30 12:00:00Z"
    assert seen["txn_2", ALICE].state is BranchState.ROLLED_BACK
    assert seen["txn_2", ALICE].detail == "rolled-back at 2025-12-30 12:00:00Z"
    assert set(seen) == {("txn_1", ALICE), ("txn_2", ALICE)}


def test_thousands_of_transactions_are_seen_in_one_look(manager: ResourceManager) -> None:
    manager.prepare(*debit(300, "txn_900"))
    assert set(manager.sightings([f"txn_{number}" for number in range(1000)])) == {("txn_900", ALICE)}


@pytest.mark.parametrize("act", ["prepare", "commit", "rollback"])
def test_a_shard_that_does_not_answer_says_so_whatever_is_asked(
    scratch: ScratchTreasury, manager: ResourceManager, act: str
) -> None:
    before = scratch.contents()
    with scratch.without("shard-1"):
        with pytest.raises(Unreachable):
            getattr(manager, act)(*debit(300))
        with pytest.raises(Unreachable):
            manager.sightings(["txn_1"])
    assert scratch.contents() == before


@pytest.mark.parametrize("act", ["commit", "rollback"])
def test_a_hold_whose_account_holds_less_is_not_ended_but_reported(
    scratch: ScratchTreasury, manager: ResourceManager, act: str
) -> None:
    manager.prepare(*debit(300))
    scratch.execute("shard-1", f"UPDATE accounts SET held = 0 WHERE agent_id = '{ALICE}'")
    before = scratch.contents()
    with pytest.raises(StoreCorrupt, match="holds less USD than its prepared branch"):
        getattr(manager, act)(*debit(300))
    assert scratch.contents() == before


def test_many_threads_that_debit_one_account_never_take_more_than_it_has(scratch: ScratchTreasury) -> None:
    managers = [scratch.open().shards["shard-1"].manager for _ in range(2)]
    start = threading.Barrier(4)
    votes: list[Vote] = []

    def prepare_many(thread: int) -> None:
        start.wait()
        votes.extend(managers[thread % 2].prepare(*debit(10_000, f"txn_{thread}_{n}")).vote for n in range(4))

    threads = [threading.Thread(target=prepare_many, args=[thread]) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (votes.count(Vote.YES), votes.count(Vote.NO)) == (10, 6)
    assert scratch.account(ALICE) == (100_000, 100_000, 1)


def test_a_branch_that_is_ended_from_two_sides_at_once_ends_one_way(scratch: ScratchTreasury) -> None:
    managers = [scratch.open().shards["shard-1"].manager for _ in range(2)]
    for number in range(5):
        transaction, branch = debit(300, f"txn_{number}")
        managers[0].prepare(transaction, branch)
        start = threading.Barrier(2)
        ended: list[BranchState] = []

        def end(manager: ResourceManager, act: str, transaction: Transaction = transaction) -> None:
            start.wait()  # noqa: B023
            ended.append(getattr(manager, act)(transaction, transaction.branches[0]))  # noqa: B023

        threads = [
            threading.Thread(target=end, args=[manager, act])
            for manager, act in zip(managers, ["commit", "rollback"], strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(ended)) == 1
    balance, held, version = scratch.account(ALICE)
    assert held == 0
    assert balance == 100_000 - 300 * (version - 1)


def test_entries_carry_the_time_of_the_shards_commit(scratch: ScratchTreasury, manager: ResourceManager) -> None:
    manager.prepare(*debit(300))
    scratch.clock.advance(timedelta(hours=1))
    manager.commit(*debit(300))
    [[posted_at, effective_at]] = scratch.query(
        "shard-1", "SELECT posted_at, effective_at FROM entries WHERE txn_id = 'txn_1'"
    )
    assert posted_at == effective_at == int(scratch.clock.now.timestamp()) * 1_000_000
