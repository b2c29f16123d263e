"""The sums that the checks compare are exact, whatever the order the database adds in, and beyond 64 bits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, insert

from tests.treasuries import NOON
from treasury_console.domain.money import MAX_MINOR_UNITS, MIN_MINOR_UNITS
from treasury_console.ledger.journal import (
    account_sums,
    currency_totals,
    entries_of,
    entries_with_amount,
    entries_without_account,
    posted_legs,
    running_balance_breaks,
)
from treasury_console.ledger.shard_tables import accounts, entries, shard_metadata

int64 = st.integers(MIN_MINOR_UNITS, MAX_MINOR_UNITS)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """A shard's tables without what makes them append-only, in memory."""
    engine = create_engine("sqlite://")
    shard_metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def shard(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        yield connection
        connection.rollback()


def post(
    connection: Connection,
    amounts: list[int],
    *,
    agent_id: str = "agent_1",
    currency: str = "USD",
    days: int = 0,
    txn: str = "txn",
) -> None:
    """Append entries to an account, versions from 1, with true running balances; one a minute."""
    balance = 0
    rows = []
    for version, amount in enumerate(amounts, 1):
        balance += amount
        at = NOON + timedelta(days=days, minutes=version)
        rows.append(
            {
                "txn_id": f"{txn}_{version}",
                "agent_id": agent_id,
                "currency": currency,
                "version": version,
                "amount": amount,
                "balance_after": balance,
                "kind": "transfer",
                "reference": "",
                "posted_at": at,
                "effective_at": at,
            }
        )
    if rows:
        connection.execute(insert(entries), rows)


def post_reserved(connection: Connection, amounts: list[int], currency: str = "USD") -> None:
    """Append entries of the outside, which have neither version nor balance."""
    rows = [
        {
            "txn_id": f"out_{currency}_{number}",
            "agent_id": "@external",
            "currency": currency,
            "version": None,
            "amount": amount,
            "balance_after": None,
            "kind": "deposit",
            "reference": "",
            "posted_at": NOON,
            "effective_at": NOON,
        }
        for number, amount in enumerate(amounts)
    ]
    if rows:
        connection.execute(insert(entries), rows)


def store(connection: Connection, balance: int, version: int, agent_id: str = "agent_1", currency: str = "USD") -> None:
    connection.execute(
        insert(accounts).values(
            agent_id=agent_id, currency=currency, balance=balance, held=0, version=version, opened_at=NOON
        )
    )


@given(st.dictionaries(st.sampled_from(["USD", "ETH", "BTC"]), st.lists(int64, max_size=12), max_size=3))
def test_currency_totals_are_exact_beyond_64_bits(engine: Engine, amounts: dict[str, list[int]]) -> None:
    with engine.connect() as connection:
        for currency, rows in amounts.items():
            post_reserved(connection, rows, currency)
        assert currency_totals(connection) == {currency: sum(rows) for currency, rows in amounts.items() if rows}
        connection.rollback()


def test_a_total_of_nothing_but_the_largest_amounts_is_exact(shard: Connection) -> None:
    post_reserved(shard, [MAX_MINOR_UNITS] * 500 + [MIN_MINOR_UNITS] * 3)
    assert currency_totals(shard) == {"USD": 500 * MAX_MINOR_UNITS + 3 * MIN_MINOR_UNITS}


@st.composite
def histories(draw: st.DrawFn) -> list[int]:
    """The entries of an account that never was below zero or above 64 bits."""
    balance, amounts = 0, []
    for target in draw(st.lists(st.integers(0, MAX_MINOR_UNITS) | st.just(MAX_MINOR_UNITS) | st.just(0), max_size=10)):
        if target != balance:
            amounts.append(target - balance)
            balance = target
    return amounts


@pytest.mark.parametrize("agent_ids", [None, ["agent_1"]], ids=["every account", "one account"])
@given(histories())
@example([MAX_MINOR_UNITS, -MAX_MINOR_UNITS] * 3)
@settings(max_examples=200)
def test_every_history_an_account_can_have_adds_up_to_its_balance(
    engine: Engine, agent_ids: list[str] | None, amounts: list[int]
) -> None:
    with engine.connect() as connection:
        post(connection, amounts)
        store(connection, sum(amounts), len(amounts))
        [sums] = account_sums(connection, agent_ids=agent_ids)
        assert (sums.entries_sum, sums.entries_count, sums.balance_matches, sums.complete) == (
            sum(amounts),
            len(amounts),
            True,
            True,
        )
        assert list(account_sums(connection, agent_ids=agent_ids, only_mismatches=True)) == []
        assert list(running_balance_breaks(connection, agent_ids=agent_ids)) == []
        connection.rollback()


@given(histories(), st.integers(0, 11))
def test_entries_after_the_cut_are_summed_apart(engine: Engine, amounts: list[int], minutes: int) -> None:
    with engine.connect() as connection:
        post(connection, amounts)
        store(connection, sum(amounts), len(amounts))
        [sums] = account_sums(connection, cut=NOON + timedelta(minutes=minutes))
        assert sums.entries_after_cut == sum(amounts[max(minutes - 1, 0) :])
        connection.rollback()


def test_an_entry_exactly_at_the_cut_is_after_it(shard: Connection) -> None:
    post(shard, [5])
    store(shard, 5, 1)
    at = NOON + timedelta(minutes=1)
    assert next(iter(account_sums(shard, cut=at))).entries_after_cut == 5
    assert next(iter(account_sums(shard, cut=at + timedelta(microseconds=1)))).entries_after_cut == 0


@pytest.mark.parametrize(
    ("versions", "version"),
    [([1, 2, 4], 3), ([1, 2, 4], 4), ([2, 3, 4], 3), ([2, 3, 4], 4), ([0, 1, 2], 3), ([0, 2, 3], 3), ([-1, 1, 3], 3)],
)
def test_versions_that_are_not_1_to_n_are_incomplete(shard: Connection, versions: list[int], version: int) -> None:
    post(shard, [10, 10, 10])
    for old, new in sorted(zip([1, 2, 3], versions, strict=True), reverse=True):
        if new > old:
            shard.exec_driver_sql(f"UPDATE entries SET version = {new} WHERE version = {old}")
    for old, new in zip([1, 2, 3], versions, strict=True):
        if new < old:
            shard.exec_driver_sql(f"UPDATE entries SET version = {new} WHERE version = {old}")
    store(shard, 30, version)
    [sums] = account_sums(shard)
    assert not sums.complete
    assert [row.agent_id for row in account_sums(shard, only_mismatches=True)] == ["agent_1"]


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["USD", "ETH"])),
        st.tuples(st.lists(st.integers(-3, 3), max_size=4), st.integers(-2, 2), st.integers(0, 4)),
        max_size=4,
    )
)
def test_only_mismatches_are_exactly_those_that_do_not_match(
    engine: Engine, books: dict[tuple[str, str], tuple[list[int], int, int]]
) -> None:
    with engine.connect() as connection:
        for (agent_id, currency), (amounts, balance, version) in books.items():
            post(connection, amounts, agent_id=agent_id, currency=currency)
            store(connection, balance, version, agent_id, currency)
        everything = list(account_sums(connection))
        assert {(row.agent_id, row.currency): (row.entries_sum, row.entries_count) for row in everything} == {
            book: (sum(amounts), len(amounts)) for book, (amounts, _, _) in books.items()
        }
        mismatches = [row for row in everything if not (row.balance_matches and row.complete and row.holds_match)]
        assert list(account_sums(connection, only_mismatches=True)) == mismatches
        connection.rollback()


def test_entries_without_an_account_are_found_and_reserved_owners_are_not_missed(shard: Connection) -> None:
    post(shard, [7, -2], agent_id="ghost")
    post(shard, [1], agent_id="agent_1", txn="other")
    store(shard, 1, 1)
    post_reserved(shard, [-6])
    [ghost] = entries_without_account(shard)
    assert (ghost.agent_id, ghost.currency, ghost.balance, ghost.entries_sum, ghost.entries_count) == (
        "ghost",
        "USD",
        0,
        5,
        2,
    )


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["USD", "ETH"]), st.integers(-5, 5)), max_size=12))
def test_the_posted_legs_of_each_transaction_come_together(engine: Engine, legs: list[tuple[str, str, int]]) -> None:
    with engine.connect() as connection:
        expected = []
        for number, (txn_id, currency, amount) in enumerate(legs):
            owner = f"@{number:02}"
            expected.append((txn_id, owner, currency, amount))
            connection.execute(
                insert(entries).values(
                    txn_id=txn_id,
                    agent_id=owner,
                    currency=currency,
                    amount=amount,
                    kind="transfer",
                    reference="",
                    posted_at=NOON,
                    effective_at=NOON,
                )
            )
        found = [(leg.txn_id, leg.owner, leg.currency, leg.amount) for leg in posted_legs(connection)]
        assert found == sorted(expected)
        some = [(leg.txn_id, leg.owner, leg.currency, leg.amount) for leg in posted_legs(connection, ["a", "c"])]
        assert some == [leg for leg in sorted(expected) if leg[0] != "b"]
        connection.rollback()


def test_entries_of_an_agent_are_those_of_a_half_open_window(shard: Connection) -> None:
    post(shard, [1, 2, 3])
    window = entries_of(shard, "agent_1", since=NOON + timedelta(minutes=1), until=NOON + timedelta(minutes=3))
    assert [entry.amount for entry in window] == [1, 2]


def test_the_newest_entries_of_an_amount_come_first_and_only_of_that_account(shard: Connection) -> None:
    post(shard, [5, 4, 5, -5, 5])
    post(shard, [5], agent_id="agent_2", txn="elsewhere")
    assert [entry.txn_id for entry in entries_with_amount(shard, "agent_1", "USD", [5])] == ["txn_5", "txn_3", "txn_1"]
    assert [entry.amount for entry in entries_with_amount(shard, "agent_1", "USD", [5, -5], limit=2)] == [5, -5]
