"""The audit chain: appending never forks it, and every kind of tampering is found at the event it was done to."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.treasuries import NOON, ScratchTreasury
from treasury_console.domain.audit import GENESIS_HASH, AuditRecord, ChainCheck, Details, Phase, check_chain, event_hash
from treasury_console.ledger.audit_log import append_event, latest_events, read_events, verify_chain
from treasury_console.ledger.database import Database, open_database

ROOT = Path(__file__).parents[2]
MORE = 7
LAST = MORE + 1
"""An initialised treasury has one event; the tests add MORE."""

storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
details = st.dictionaries(
    storable, st.none() | st.booleans() | st.integers() | storable | st.lists(storable, max_size=3), max_size=4
)
records = st.builds(
    AuditRecord,
    at=st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.timezones()),  # noqa: DTZ001
    actor=storable,
    operation=storable,
    phase=st.sampled_from(Phase),
    target=storable,
    approval=st.none() | storable,
    details=details,
)


def a_record(number: int, **changes: Any) -> AuditRecord:
    facts: Details = {"amount": number, "words": ["a", "b"], "note": f"event {number}"}
    return AuditRecord(NOON, "op@host", "force-commit", Phase.STEP, f"txn_{number}", f"INC-{number}", facts)


def append(database: Database, record: AuditRecord) -> int:
    with database.write() as connection:
        return append_event(connection, record)


def checked(scratch: ScratchTreasury) -> ChainCheck:
    with scratch.open().store.snapshot() as connection:
        return verify_chain(connection)


def fail_after(_done: object) -> None:
    raise ValueError("never mind")


@pytest.fixture
def chain(empty: ScratchTreasury) -> ScratchTreasury:
    """A treasury whose audit log has LAST events."""
    handle = empty.open()
    for number in range(MORE):
        append(handle.store, a_record(number))
    handle.close()
    return empty


def test_an_untouched_chain_is_intact_from_the_first_event_to_the_last(chain: ScratchTreasury) -> None:
    assert checked(chain) == ChainCheck(ok=True, first=1, last=LAST, events=LAST)


def test_events_are_numbered_from_1_without_gaps_and_each_names_the_one_before(chain: ScratchTreasury) -> None:
    with chain.open().store.snapshot() as connection:
        events = list(read_events(connection))
    assert [event.seq for event in events] == list(range(1, LAST + 1))
    assert [event.prev_hash for event in events] == [GENESIS_HASH, *(event.hash for event in events[:-1])]
    assert [event.record for event in events[1:]] == [a_record(number) for number in range(MORE)]


def test_the_newest_events_come_first_and_only_of_the_target_asked_for(chain: ScratchTreasury) -> None:
    with chain.open().store.snapshot() as connection:
        assert [event.seq for event in latest_events(connection, 3)] == [LAST, LAST - 1, LAST - 2]
        assert [event.seq for event in latest_events(connection, 3, target="txn_2")] == [4]
        assert [event.seq for event in read_events(connection, target="txn_2")] == [4]


def test_an_event_of_a_transaction_that_failed_is_not_in_the_chain(chain: ScratchTreasury) -> None:
    store = chain.open().store
    with pytest.raises(ValueError, match="never mind"), store.write() as connection:
        fail_after(append_event(connection, a_record(99)))
    assert append(store, a_record(100)) == LAST + 1
    assert checked(chain).ok


@given(records)
def test_whatever_can_be_appended_is_read_back_the_same_and_verifies(
    empty: ScratchTreasury, record: AuditRecord
) -> None:
    database = open_database("treasury", f"sqlite:///{empty.file('treasury')}")
    append(database, record)
    with database.snapshot() as connection:
        [event] = latest_events(connection, 1)
        assert event.record == record
        assert verify_chain(connection).ok
    database.close()


@given(records, records)
def test_two_different_records_never_have_the_same_hash(first: AuditRecord, second: AuditRecord) -> None:
    same = event_hash(5, GENESIS_HASH, first) == event_hash(5, GENESIS_HASH, second)
    assert same == (first == second)
    assert len({event_hash(5, GENESIS_HASH, first), event_hash(6, GENESIS_HASH, first), event_hash(5, "a", first)}) == 3


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("prev_hash", "substr(prev_hash, 2) || '0'"),
        ("hash", "substr(hash, 2) || '0'"),
        ("at", "at + 1"),
        ("actor", "'somebody@else'"),
        ("operation", "'force-rollback'"),
        ("phase", "'outcome'"),
        ("target", "'txn_other'"),
        ("approval", "'INC-666'"),
        ("approval", "NULL"),
        ("details", "'{}'"),
        ("details", "replace(details, '\"amount\":2', '\"amount\":3')"),
        ("details", "details || ' '"),
        ("details", "replace(details, '{', '{\"amount\":1000000,')"),
    ],
)
def test_an_edit_of_any_column_is_found_at_the_event(chain: ScratchTreasury, column: str, value: str) -> None:
    chain.tamper("treasury", f"UPDATE audit_events SET {column} = {value} WHERE seq = 4")
    check = checked(chain)
    assert (check.ok, check.bad_seq) == (False, 4)
    assert check.reason


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("details", "'not json'"),
        ("details", "'[1]'"),
        ("details", "'{\"amount\":NaN}'"),
        ("phase", "'finale'"),
        ("at", "'at noon'"),
        ("at", "9223372036854775807"),
        ("actor", "x'ff00'"),
    ],
)
def test_an_edit_that_makes_an_event_unreadable_is_found_at_the_event(
    chain: ScratchTreasury, column: str, value: str
) -> None:
    chain.tamper("treasury", f"UPDATE audit_events SET {column} = {value} WHERE seq = 4")
    check = checked(chain)
    assert (check.ok, check.bad_seq) == (False, 4)
    assert check.reason


def rehashed(chain: ScratchTreasury, seq: int, record: AuditRecord, *, prev_hash: str | None = None) -> str:
    """Return the hash that an event would have had with this content."""
    [[before]] = chain.query("treasury", f"SELECT prev_hash FROM audit_events WHERE seq = {seq}")
    return event_hash(seq, prev_hash or before, record)


def edit_and_rehash_in_the_middle(chain: ScratchTreasury) -> None:
    forged = a_record(99)
    chain.tamper(
        "treasury",
        "UPDATE audit_events SET target = 'txn_99', approval = 'INC-99', hash = ?,"
        ' details = \'{"amount":99,"note":"event 99","words":["a","b"]}\' WHERE seq = 4',
        parameters=[rehashed(chain, 4, forged)],
    )


def edit_and_rehash_in_the_middle_and_mend_the_next_link(chain: ScratchTreasury) -> None:
    edit_and_rehash_in_the_middle(chain)
    chain.tamper(
        "treasury",
        "UPDATE audit_events SET prev_hash = (SELECT hash FROM audit_events WHERE seq = 4) WHERE seq = 5",
    )


def edit_and_rehash_the_last(chain: ScratchTreasury) -> None:
    forged = a_record(99)
    chain.tamper(
        "treasury",
        "UPDATE audit_events SET target = 'txn_99', approval = 'INC-99', hash = ?,"
        f' details = \'{{"amount":99,"note":"event 99","words":["a","b"]}}\' WHERE seq = {LAST}',
        parameters=[rehashed(chain, LAST, forged)],
    )


def delete_the_first(chain: ScratchTreasury) -> None:
    chain.tamper("treasury", "DELETE FROM audit_events WHERE seq = 1")


def delete_one_in_the_middle(chain: ScratchTreasury) -> None:
    chain.tamper("treasury", "DELETE FROM audit_events WHERE seq = 4")


def delete_one_in_the_middle_and_close_the_gap(chain: ScratchTreasury) -> None:
    chain.tamper(
        "treasury",
        "DELETE FROM audit_events WHERE seq = 4",
        "UPDATE audit_events SET seq = -(seq - 1) WHERE seq > 4",
        "UPDATE audit_events SET seq = -seq WHERE seq < 0",
        "UPDATE audit_head SET seq = seq - 1",
    )


def delete_the_tail(chain: ScratchTreasury) -> None:
    chain.tamper("treasury", f"DELETE FROM audit_events WHERE seq > {LAST - 2}")


def delete_everything(chain: ScratchTreasury) -> None:
    chain.tamper("treasury", "DELETE FROM audit_events")


def swap_two(chain: ScratchTreasury) -> None:
    chain.tamper(
        "treasury",
        "UPDATE audit_events SET seq = -4 WHERE seq = 4",
        "UPDATE audit_events SET seq = 4 WHERE seq = 5",
        "UPDATE audit_events SET seq = 5 WHERE seq = -4",
    )


def renumber_one(chain: ScratchTreasury) -> None:
    chain.tamper("treasury", "UPDATE audit_events SET seq = 99 WHERE seq = 4")


def insert_one_in_the_middle(chain: ScratchTreasury) -> None:
    chain.tamper(
        "treasury",
        "UPDATE audit_events SET seq = -(seq + 1) WHERE seq > 4",
        "UPDATE audit_events SET seq = -seq WHERE seq < 0",
        "INSERT INTO audit_events SELECT 5, 'p', 'h', at, actor, operation, phase, target, approval, details"
        " FROM audit_events WHERE seq = 4",
    )


def insert_one_before_the_first(chain: ScratchTreasury) -> None:
    chain.tamper(
        "treasury",
        "INSERT INTO audit_events SELECT 0, 'p', 'h', at, actor, operation, phase, target, approval, details"
        " FROM audit_events WHERE seq = 4",
    )


def append_one_behind_the_heads_back(chain: ScratchTreasury) -> None:
    forged = a_record(MORE)
    [[last_hash]] = chain.query("treasury", "SELECT hash FROM audit_head")
    chain.tamper(
        "treasury",
        f"INSERT INTO audit_events SELECT {LAST + 1}, hash, ?, at, actor, operation, phase, 'txn_{MORE}',"
        f" 'INC-{MORE}', replace(replace(details, '\"amount\":{MORE - 1}', '\"amount\":{MORE}'), 'event {MORE - 1}',"
        f" 'event {MORE}') FROM audit_events WHERE seq = {LAST}",
        parameters=[event_hash(LAST + 1, last_hash, forged)],
    )


def move_the_head_on(chain: ScratchTreasury) -> None:
    chain.tamper("treasury", "UPDATE audit_head SET seq = seq + 1")


@pytest.mark.parametrize(
    ("tampering", "bad_seq"),
    [
        (edit_and_rehash_in_the_middle, 5),
        (edit_and_rehash_in_the_middle_and_mend_the_next_link, 5),
        (edit_and_rehash_the_last, LAST),
        (delete_the_first, 1),
        (delete_one_in_the_middle, 4),
        (delete_one_in_the_middle_and_close_the_gap, 4),
        (delete_the_tail, LAST - 1),
        (delete_everything, 1),
        (swap_two, 4),
        (renumber_one, 4),
        (insert_one_in_the_middle, 5),
        (insert_one_before_the_first, 0),
        (append_one_behind_the_heads_back, LAST + 1),
        (move_the_head_on, LAST + 1),
    ],
)
def test_tampering_with_the_order_is_found_at_the_first_event_it_shows_at(
    chain: ScratchTreasury, tampering: Callable[[ScratchTreasury], None], bad_seq: int
) -> None:
    tampering(chain)
    check = checked(chain)
    assert (check.ok, check.bad_seq) == (False, bad_seq)


def test_an_event_behind_the_heads_back_is_not_called_missing(chain: ScratchTreasury) -> None:
    append_one_behind_the_heads_back(chain)
    assert "missing" not in (checked(chain).reason or "")


def test_a_lost_head_is_reported_and_not_a_failure_of_the_database(chain: ScratchTreasury) -> None:
    chain.tamper("treasury", "DELETE FROM audit_head")
    assert not checked(chain).ok


def test_the_reason_names_what_was_done(chain: ScratchTreasury) -> None:
    delete_the_tail(chain)
    assert checked(chain).reason == "events are missing at the end"
    delete_one_in_the_middle(chain)
    assert checked(chain).reason == "event 4 is missing"


def test_a_chain_without_its_head_at_hand_is_checked_as_far_as_it_goes(chain: ScratchTreasury) -> None:
    """An export has the events but not the head."""
    with chain.open().store.snapshot() as connection:
        events = list(read_events(connection))
    assert check_chain(events) == ChainCheck(ok=True, first=1, last=LAST, events=LAST)
    assert check_chain([*events[:3], *events[4:]]).bad_seq == 4
    assert check_chain([]) == ChainCheck(ok=True, first=None, last=None, events=0)


def test_one_hash_cannot_be_followed_twice(chain: ScratchTreasury) -> None:
    with pytest.raises(Exception, match=r"UNIQUE constraint failed: audit_events\.prev_hash|append-only"):
        chain.execute(
            "treasury",
            "INSERT INTO audit_events SELECT 99, prev_hash, 'h', at, actor, operation, phase, target, approval, details"
            " FROM audit_events WHERE seq = 4",
        )


def test_threads_that_append_at_once_never_fork_the_chain(empty: ScratchTreasury) -> None:
    handles = [empty.open(), empty.open()]
    start = threading.Barrier(4)
    seqs: list[int] = []

    def append_many(number: int) -> None:
        start.wait()
        store = handles[number % 2].store
        seqs.extend(append(store, AuditRecord(NOON, f"t{number}", "test", Phase.STEP, str(n))) for n in range(20))

    threads = [threading.Thread(target=append_many, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seqs) == list(range(2, 82))
    assert checked(empty) == ChainCheck(ok=True, first=1, last=81, events=81)


def test_processes_that_append_at_once_never_fork_the_chain(empty: ScratchTreasury) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.ledger.appending", str(empty.file("treasury")), f"p{number}", "50"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.communicate("go\n")
    assert [process.returncode for process in processes] == [0, 0]
    assert checked(empty) == ChainCheck(ok=True, first=1, last=101, events=101)
    with empty.open().store.snapshot() as connection:
        found = [(event.record.actor, event.record.target) for event in read_events(connection)][1:]
    assert sorted(found) == sorted((f"p{process}", str(number)) for process in range(2) for number in range(50))


def test_time_that_goes_backwards_does_not_disturb_the_chain(empty: ScratchTreasury) -> None:
    store = empty.open().store
    for year in (2030, 1970, 2025):
        append(store, AuditRecord(datetime(year, 1, 1, tzinfo=UTC), "a", "test", Phase.STEP, "t"))
    assert checked(empty) == ChainCheck(ok=True, first=1, last=4, events=4)
