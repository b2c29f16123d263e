"""The coordinator's log: one transaction per idempotency key, one decision per transaction, writes under one epoch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import pytest
from sqlalchemy.exc import IntegrityError

from tests.treasuries import ALICE, BOB, CAROL, NOON, ScratchTreasury, a_transaction
from treasury_console.domain.errors import Fenced
from treasury_console.domain.transactions import Branch, BranchVote, Decision, RecordedDecision, Transaction, Vote
from treasury_console.ledger.coordinators import register_coordinator
from treasury_console.ledger.database import Connection, Database
from treasury_console.ledger.transactions import (
    Fence,
    IdempotencyKeyTaken,
    check_epoch,
    confirm_branches,
    create_transaction,
    fence,
    find_by_idempotency_key,
    find_transaction,
    find_transactions,
    finish_if_confirmed,
    list_all,
    list_pending,
    log_votes,
    record_decision,
    recorded_legs,
    transactions_of,
)

COMMIT = RecordedDecision(Decision.COMMIT, "coordinator@test", NOON, None)
ABORT = RecordedDecision(Decision.ABORT, "operator@test", NOON, "INC-1")
BRANCHES = (Branch(ALICE, "shard-1", -500), Branch(BOB, "shard-2", 500))


@pytest.fixture
def store(empty: ScratchTreasury) -> Database:
    database = empty.open().store
    with database.write() as connection:
        register_coordinator(connection, "coord_1", NOON, NOON + timedelta(seconds=15))
    return database


def create(store: Database, txn_id: str = "txn_1", key: str | None = None, **changes: object) -> Transaction:
    branches = changes.pop("branches", BRANCHES)
    transaction = a_transaction(*branches, txn_id=txn_id, idempotency_key=key)  # type: ignore[misc]
    with store.write() as connection:
        create_transaction(connection, transaction, f"digest of {txn_id}")
    return transaction


T = TypeVar("T")


def in_write(store: Database, act: Callable[[Connection], T]) -> T:
    with store.write() as connection:
        return act(connection)


def test_a_transaction_is_read_back_as_it_was_created(store: Database) -> None:
    transaction = create(store, key="order-77")
    with store.snapshot() as connection:
        record = find_transaction(connection, "txn_1")
        assert find_transaction(connection, "txn_2") is None
        assert find_transactions(connection, ["txn_1", "txn_2"]) == {"txn_1": record}
        assert find_by_idempotency_key(connection, "order-77") == ("txn_1", "digest of txn_1")
        assert find_by_idempotency_key(connection, "order-78") is None
    assert record is not None
    assert record.transaction == transaction
    assert (record.votes, record.confirmed, record.decision, record.fence, record.finished_at) == (
        {},
        frozenset(),
        None,
        None,
        None,
    )
    assert record.lease_until == NOON + timedelta(seconds=15)


def test_branches_keep_their_order(store: Database) -> None:
    branches = (Branch("z", "shard-1", -2), Branch("a", "shard-2", 1), Branch("m", "shard-1", 1, "@external"))
    create(store, branches=branches)
    with store.snapshot() as connection:
        record = find_transaction(connection, "txn_1")
    assert record is not None
    assert record.transaction.branches == branches


def test_an_idempotency_key_has_one_transaction(store: Database) -> None:
    create(store, "txn_1", key="order-77")
    with pytest.raises(IdempotencyKeyTaken):
        create(store, "txn_2", key="order-77")
    create(store, "txn_3")
    create(store, "txn_4")
    with store.snapshot() as connection:
        assert [record.transaction.txn_id for record in list_all(connection)] == ["txn_1", "txn_3", "txn_4"]


def test_a_repeated_transaction_id_is_not_mistaken_for_a_repeated_key(store: Database) -> None:
    create(store, "txn_1", key="order-77")
    with pytest.raises(IntegrityError):
        create(store, "txn_1", key="order-78")


def test_the_first_decision_is_the_only_one(store: Database) -> None:
    create(store)
    assert in_write(store, lambda connection: record_decision(connection, "txn_1", 1, COMMIT)) == (COMMIT, True)
    for later in (ABORT, COMMIT):
        assert in_write(store, lambda connection, d=later: record_decision(connection, "txn_1", 1, d)) == (  # type: ignore[misc]
            COMMIT,
            False,
        )
    with store.snapshot() as connection:
        record = find_transaction(connection, "txn_1")
    assert record is not None
    assert record.decision == COMMIT


def test_of_many_that_decide_at_once_exactly_one_wins_and_all_are_told_the_same(empty: ScratchTreasury) -> None:
    stores = [empty.open().store for _ in range(4)]
    with stores[0].write() as connection:
        register_coordinator(connection, "coord_1", NOON, NOON)
    for number in range(5):
        txn_id = f"txn_{number}"
        create(stores[0], txn_id)
        start, answers = threading.Barrier(4), []

        def decide(store: Database, mine: RecordedDecision, txn_id: str = txn_id) -> None:
            start.wait()  # noqa: B023
            with store.write() as connection:
                answers.append(record_decision(connection, txn_id, 1, mine))  # noqa: B023

        threads = [
            threading.Thread(target=decide, args=[store, decision])
            for store, decision in zip(stores, [COMMIT, ABORT, COMMIT, ABORT], strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(won for _, won in answers) == [False, False, False, True]
        assert len({recorded for recorded, _ in answers}) == 1


def test_every_write_of_an_epoch_that_is_over_is_fenced(store: Database) -> None:
    create(store)
    assert in_write(store, lambda connection: fence(connection, "txn_1", 1, "operator@test", NOON))
    votes = {ALICE: BranchVote(Vote.YES, "hold placed")}
    writes: list[Callable[[Connection], object]] = [
        lambda connection: check_epoch(connection, "txn_1", 1),
        lambda connection: log_votes(connection, "txn_1", 1, votes, NOON),
        lambda connection: record_decision(connection, "txn_1", 1, COMMIT),
    ]
    for write in writes:
        with pytest.raises(Fenced):
            in_write(store, write)
    with store.snapshot() as connection:
        record = find_transaction(connection, "txn_1")
    assert record is not None
    assert (record.votes, record.decision, record.transaction.epoch) == ({}, None, 2)
    assert record.fence == Fence("operator@test", NOON)


def test_a_writer_of_the_new_epoch_is_not_fenced(store: Database) -> None:
    create(store)
    in_write(store, lambda connection: fence(connection, "txn_1", 1, "operator@test", NOON))
    in_write(store, lambda connection: check_epoch(connection, "txn_1", 2))
    assert in_write(store, lambda connection: record_decision(connection, "txn_1", 2, ABORT)) == (ABORT, True)


def test_a_transaction_is_fenced_from_an_epoch_once(store: Database) -> None:
    create(store)
    assert in_write(store, lambda connection: fence(connection, "txn_1", 1, "first", NOON))
    assert not in_write(store, lambda connection: fence(connection, "txn_1", 1, "second", NOON))
    with store.snapshot() as connection:
        record = find_transaction(connection, "txn_1")
    assert record is not None
    assert record.fence == Fence("first", NOON)


def test_fencing_one_transaction_leaves_the_coordinators_others_to_it(store: Database) -> None:
    create(store, "txn_1")
    create(store, "txn_2")
    in_write(store, lambda connection: fence(connection, "txn_1", 1, "operator@test", NOON))
    assert in_write(store, lambda connection: record_decision(connection, "txn_2", 1, COMMIT)) == (COMMIT, True)


def test_votes_are_logged_for_those_who_voted(store: Database) -> None:
    create(store)
    votes = {ALICE: BranchVote(Vote.YES, "hold placed")}
    in_write(store, lambda connection: log_votes(connection, "txn_1", 1, votes, NOON))
    with store.snapshot() as connection:
        record = find_transaction(connection, "txn_1")
    assert record is not None
    assert record.votes == votes


def test_a_transaction_is_finished_once_and_only_when_every_branch_is_confirmed(store: Database) -> None:
    create(store)
    later = NOON + timedelta(minutes=1)
    in_write(store, lambda connection: confirm_branches(connection, "txn_1", [ALICE], NOON))
    assert not in_write(store, lambda connection: finish_if_confirmed(connection, "txn_1", NOON))
    in_write(store, lambda connection: confirm_branches(connection, "txn_1", [ALICE, BOB], later))
    assert in_write(store, lambda connection: finish_if_confirmed(connection, "txn_1", later))
    assert not in_write(store, lambda connection: finish_if_confirmed(connection, "txn_1", later + timedelta(hours=1)))
    with store.snapshot() as connection:
        record = find_transaction(connection, "txn_1")
        assert list_pending(connection) == []
    assert record is not None
    assert record.confirmed == {ALICE, BOB}
    assert record.finished_at == later


def test_pending_transactions_are_listed_oldest_first_and_by_age(store: Database) -> None:
    with store.write() as connection:
        for txn_id, minutes in (("txn_b", 5), ("txn_a", 5), ("txn_c", 9)):
            transaction = a_transaction(*BRANCHES, txn_id=txn_id)
            create_transaction(connection, transaction, "digest")
            connection.exec_driver_sql(
                f"UPDATE transactions SET created_at = created_at - {minutes * 60_000_000} WHERE txn_id = '{txn_id}'"
            )
    with store.snapshot() as connection:
        pending = [record.transaction.txn_id for record in list_pending(connection)]
        old = list_pending(connection, created_before=NOON - timedelta(minutes=5))
    assert pending == ["txn_c", "txn_a", "txn_b"]
    assert [record.transaction.txn_id for record in old] == ["txn_c"]


def test_recorded_legs_are_the_branches_of_each_transaction_and_how_far_it_is(store: Database) -> None:
    create(store, "txn_1")
    create(store, "txn_2", branches=(Branch(ALICE, "shard-1", 500, "@external"),))
    create(store, "txn_3", branches=(Branch(CAROL, "shard-1", -500), Branch(BOB, "shard-2", 500)))
    in_write(store, lambda connection: record_decision(connection, "txn_1", 1, COMMIT))
    in_write(store, lambda connection: confirm_branches(connection, "txn_1", [ALICE, BOB], NOON))
    in_write(store, lambda connection: finish_if_confirmed(connection, "txn_1", NOON))
    with store.snapshot() as connection:
        everything, some = list(recorded_legs(connection)), list(recorded_legs(connection, ["txn_1", "txn_3"]))
    assert [
        (row.txn_id, row.participant, row.shard, row.amount, row.contra, row.moved, row.decision, row.finished)
        for row in everything
    ] == [
        ("txn_1", ALICE, "shard-1", -500, None, 500, Decision.COMMIT, True),
        ("txn_1", BOB, "shard-2", 500, None, 500, Decision.COMMIT, True),
        ("txn_2", ALICE, "shard-1", 500, "@external", 500, None, False),
        ("txn_3", CAROL, "shard-1", -500, None, 500, None, False),
        ("txn_3", BOB, "shard-2", 500, None, 500, None, False),
    ]
    assert some == [row for row in everything if row.txn_id != "txn_2"]


def test_transactions_of_an_agent_are_those_it_takes_part_in_since_an_instant(store: Database) -> None:
    create(store, "txn_1")
    create(store, "txn_2", branches=(Branch(ALICE, "shard-1", 500, "@external"),))
    with store.snapshot() as connection:
        assert sorted(transactions_of(connection, ALICE, NOON)) == ["txn_1", "txn_2"]
        assert transactions_of(connection, BOB, NOON) == ["txn_1"]
        assert transactions_of(connection, ALICE, NOON + timedelta(microseconds=1)) == []


def test_more_transactions_than_fit_one_query_are_all_found(store: Database) -> None:
    with store.write() as connection:
        for number in range(900):
            create_transaction(connection, a_transaction(*BRANCHES, txn_id=f"txn_{number}"), "digest")
    with store.snapshot() as connection:
        records = list_pending(connection)
        assert len(find_transactions(connection, [f"txn_{number}" for number in range(900)])) == 900
    assert len(records) == 900
    assert all(record.transaction.branches == BRANCHES for record in records)
