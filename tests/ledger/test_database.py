"""A database: writing takes the lock at once, a snapshot is one instant, and not answering is one sentence."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from tests.treasuries import NOON, ScratchTreasury, read
from treasury_console.domain.errors import ConfigurationError, ExitStatus, Unreachable
from treasury_console.ledger.accounts import open_account
from treasury_console.ledger.database import Database, SqliteOptions, insert_if_absent, open_database
from treasury_console.ledger.directory import register_agent
from treasury_console.ledger.shard_tables import accounts
from treasury_console.ledger.treasury_tables import agents

IMPATIENT = SqliteOptions(synchronous="OFF", busy_timeout=0.05)
SECRET = "hunter2"
AGENT = {"agent_id": SECRET, "shard": "shard-1", "opened_at": NOON}


@pytest.fixture
def opened(empty: ScratchTreasury) -> Iterator[Callable[..., Database]]:
    """Open a database of the treasury, impatient, as often as wanted."""
    handles: list[Database] = []

    def open_once(name: str = "treasury", **options: object) -> Database:
        url = f"sqlite:///{empty.file(name)}"
        handles.append(open_database(name, url, replace(IMPATIENT, **options)))  # type: ignore[arg-type]
        return handles[-1]

    yield open_once
    for handle in handles:
        handle.close()


def raise_after(_done: object, failure: type[BaseException]) -> None:
    raise failure


def agent_ids(database: Database) -> list[str]:
    return [row[0] for row in read(database, "SELECT agent_id FROM agents ORDER BY agent_id")]


def assert_one_plain_sentence(error: BaseException) -> None:
    """The failure is one line in plain words: no SQL, no parameters, no library's advertisement."""
    text = str(error)
    assert re.fullmatch(r"database treasury did not answer: [^\n]+", text), text
    assert SECRET not in text
    assert not re.search(r"(?i)insert|select|values|\[sql|parameters|sqlalche|sqlite3\.|traceback|\bbegin\b", text), (
        text
    )


def test_a_write_takes_the_lock_before_it_reads_anything(opened: Callable[..., Database]) -> None:
    first, second = opened(), opened()
    entered = False
    with first.write(), pytest.raises(Unreachable), second.write():
        entered = True
    assert not entered


def test_what_a_write_has_read_is_still_true_when_it_commits(opened: Callable[..., Database]) -> None:
    first, second = opened(), opened()
    with first.write() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM agents").scalar_one() == 0
        with pytest.raises(Unreachable), second.write() as other:
            register_agent(other, "intruder", "shard-1", NOON)
        register_agent(connection, "first", "shard-1", NOON)
    assert agent_ids(second) == ["first"]


def test_a_write_is_there_for_everybody_once_it_ended(opened: Callable[..., Database]) -> None:
    first, second = opened(), opened()
    with first.write() as connection:
        register_agent(connection, "agent_1", "shard-1", NOON)
        assert agent_ids(second) == []
    assert agent_ids(second) == ["agent_1"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_write_that_fails_leaves_nothing_and_gives_the_lock_back(
    opened: Callable[..., Database], failure: type[BaseException]
) -> None:
    first, second = opened(), opened()
    with pytest.raises(failure), first.write() as connection:
        raise_after(register_agent(connection, "agent_1", "shard-1", NOON), failure)
    assert agent_ids(second) == []
    with second.write() as connection:
        register_agent(connection, "agent_2", "shard-1", NOON)
    assert agent_ids(first) == ["agent_2"]


def test_a_broken_constraint_is_the_callers_business_and_rolls_back(opened: Callable[..., Database]) -> None:
    database = opened()
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(insert(agents), [AGENT | {"agent_id": name} for name in ("agent_1", "agent_2", "agent_1")])
    assert agent_ids(database) == []


def test_a_mistake_in_the_program_is_not_called_an_unreachable_database(opened: Callable[..., Database]) -> None:
    database = opened()
    with pytest.raises(Exception, match="naive datetime") as raised, database.write() as connection:
        register_agent(connection, "agent_1", "shard-1", NOON.replace(tzinfo=None))
    assert not isinstance(raised.value, Unreachable)
    assert agent_ids(database) == []


def test_a_snapshot_shows_the_instant_it_was_opened_however_long_it_is_read(opened: Callable[..., Database]) -> None:
    reader, writer = opened(), opened()
    with reader.snapshot() as connection:
        for agent_id in ("agent_1", "agent_2"):
            with writer.write() as other:
                register_agent(other, agent_id, "shard-1", NOON)
            assert connection.exec_driver_sql("SELECT count(*) FROM agents").scalar_one() == 0
    assert agent_ids(reader) == ["agent_1", "agent_2"]


def test_a_snapshot_does_not_keep_writers_out_and_writers_do_not_keep_it_out(opened: Callable[..., Database]) -> None:
    first, second = opened(), opened()
    with first.write() as connection:
        register_agent(connection, "agent_1", "shard-1", NOON)
        with second.snapshot():
            pass
    with first.snapshot(), second.write() as connection:
        register_agent(connection, "agent_2", "shard-1", NOON)
    assert agent_ids(first) == ["agent_1", "agent_2"]


def test_a_busy_database_is_unreachable_in_one_sentence(opened: Callable[..., Database]) -> None:
    first, second = opened(), opened()
    with first.write(), pytest.raises(Unreachable) as raised, second.write() as connection:
        connection.execute(insert(agents).values(AGENT))
    assert_one_plain_sentence(raised.value)
    assert raised.value.exit_status is ExitStatus.UNREACHABLE


def add_an_agent(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(agents).values(AGENT))


WAYS: dict[str, Callable[[Database], object]] = {
    "read": lambda database: read(database, f"SELECT * FROM agents WHERE agent_id = '{SECRET}'"),
    "write": add_an_agent,
}


def remove(scratch: ScratchTreasury) -> None:
    scratch.file("treasury").unlink()


def overwrite_with_text(scratch: ScratchTreasury) -> None:
    scratch.file("treasury").write_text("this is not a database\n" * 1000)


def overwrite_the_middle(scratch: ScratchTreasury) -> None:
    content = scratch.file("treasury").read_bytes()
    scratch.file("treasury").write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))


def put_a_folder_in_its_place(scratch: ScratchTreasury) -> None:
    scratch.file("treasury").unlink()
    scratch.file("treasury").mkdir()


@pytest.mark.parametrize("damage", [remove, overwrite_with_text, overwrite_the_middle, put_a_folder_in_its_place])
@pytest.mark.parametrize("way", ["read", "write"])
def test_a_database_that_cannot_be_read_is_unreachable_in_one_sentence(
    empty: ScratchTreasury, opened: Callable[..., Database], damage: Callable[[ScratchTreasury], None], way: str
) -> None:
    damage(empty)
    database = opened()
    with pytest.raises(Unreachable) as raised:
        WAYS[way](database)
    assert_one_plain_sentence(raised.value)
    assert raised.value.exit_status is ExitStatus.UNREACHABLE


def test_a_missing_database_is_not_made_by_looking_for_it(
    empty: ScratchTreasury, opened: Callable[..., Database]
) -> None:
    empty.file("treasury").unlink()
    with pytest.raises(Unreachable):
        agent_ids(opened())
    assert not empty.file("treasury").exists()


def test_a_file_that_may_only_be_read_refuses_writes_in_one_sentence(
    empty: ScratchTreasury, opened: Callable[..., Database]
) -> None:
    """Done in a process of its own, which gives up the right to write anything."""
    empty.folder.chmod(0o555)
    for file in empty.folder.iterdir():
        file.chmod(0o444)
    answer, end = os.pipe()
    child = os.fork()
    if child == 0:
        message = "nothing was refused"
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            with opened().write() as connection:
                connection.execute(insert(agents).values(AGENT))
        except Unreachable as refusal:
            message = str(refusal)
        except BaseException as failure:
            message = repr(failure)
        os.write(end, message.encode())
        os._exit(0)
    os.close(end)
    with os.fdopen(answer, "rb") as told:
        message = told.read().decode()
    os.waitpid(child, 0)
    empty.folder.chmod(0o755)
    assert_one_plain_sentence(Unreachable(message))


def test_query_only_refuses_every_write_and_still_reads(opened: Callable[..., Database]) -> None:
    writer, reader = opened(), opened(query_only=True)
    with writer.write() as connection:
        register_agent(connection, "agent_1", "shard-1", NOON)
    assert agent_ids(reader) == ["agent_1"]
    for _ in range(2):
        with pytest.raises(Unreachable) as raised, reader.write() as connection:
            connection.execute(insert(agents).values(AGENT))
        assert_one_plain_sentence(raised.value)
    with pytest.raises(Unreachable), reader.snapshot() as connection:
        connection.exec_driver_sql("DELETE FROM agents")
    assert agent_ids(writer) == ["agent_1"]


def test_the_change_token_changes_exactly_when_somebody_commits(opened: Callable[..., Database]) -> None:
    watcher, writer = opened(), opened()
    tokens = [watcher.change_token(), watcher.change_token()]
    assert tokens[0] == tokens[1]
    agent_ids(writer)
    agent_ids(watcher)
    assert watcher.change_token() == tokens[-1]
    with pytest.raises(ValueError), writer.write() as connection:
        raise_after(register_agent(connection, "agent_1", "shard-1", NOON), ValueError)
    assert watcher.change_token() == tokens[-1]
    for number in range(3):
        with writer.write() as connection:
            register_agent(connection, f"agent_{number}", "shard-1", NOON)
            assert watcher.change_token() == tokens[-1]
        tokens.append(watcher.change_token())
        assert tokens[-1] != tokens[-2]
        assert watcher.change_token() == tokens[-1]


def test_the_change_token_sees_what_the_same_handle_commits(opened: Callable[..., Database]) -> None:
    database = opened()
    before = database.change_token()
    with database.write() as connection:
        register_agent(connection, "agent_1", "shard-1", NOON)
    assert database.change_token() != before


def test_watching_for_changes_does_not_hold_an_old_snapshot(
    empty: ScratchTreasury, opened: Callable[..., Database]
) -> None:
    """A reader that never ends keeps the write-ahead log growing for ever."""
    watcher, writer = opened(), opened()
    watcher.change_token()
    with writer.write() as connection:
        register_agent(connection, "agent_1", "shard-1", NOON)
    watcher.change_token()
    with closing(sqlite3.connect(empty.file("treasury"), timeout=0.1)) as plain:
        busy, in_log, moved = plain.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    assert (busy, in_log) == (0, moved)


def test_a_database_that_went_away_while_it_was_watched_is_noticed_when_it_is_back(
    empty: ScratchTreasury, opened: Callable[..., Database]
) -> None:
    watcher = opened()
    watcher.change_token()
    watcher.close()
    empty.take_away("treasury")
    with pytest.raises(Unreachable):
        watcher.change_token()
    empty.bring_back("treasury")
    assert isinstance(watcher.change_token(), int)


def test_a_row_is_inserted_only_if_its_key_is_absent(opened: Callable[..., Database]) -> None:
    database = opened()
    with database.write() as connection:
        assert insert_if_absent(connection, agents, AGENT)
        assert not insert_if_absent(connection, agents, AGENT | {"shard": "shard-2"})
    assert read(database, "SELECT agent_id, shard FROM agents") == [(SECRET, "shard-1")]


def test_inserting_if_absent_does_not_swallow_a_row_that_breaks_a_rule(opened: Callable[..., Database]) -> None:
    database = opened("shard-1")
    row = {"agent_id": "a", "currency": "USD", "balance": 0, "held": -1, "version": 0, "opened_at": NOON}
    with pytest.raises(IntegrityError), database.write() as connection:
        insert_if_absent(connection, accounts, row)
    assert read(database, "SELECT * FROM accounts") == []


def test_of_many_threads_that_insert_one_key_exactly_one_does(empty: ScratchTreasury) -> None:
    shard = empty.open().shards["shard-1"].database
    start, won = threading.Barrier(4), []

    def insert_it() -> None:
        start.wait()
        with shard.write() as connection:
            won.append(open_account(connection, "agent_1", "USD", NOON))

    threads = [threading.Thread(target=insert_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False, False, False, True]


@pytest.mark.parametrize("url", ["sqlite:///", "sqlite://", "postgresql://user:hunter2@host/db", "", "treasury.sqlite"])
def test_what_is_no_sqlite_file_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        open_database("treasury", url)
    assert SECRET not in str(raised.value)


def test_foreign_keys_are_enforced(opened: Callable[..., Database]) -> None:
    with pytest.raises(IntegrityError), opened().write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO decisions (txn_id, decision, decided_by, decided_at) VALUES ('txn_none', 'commit', 'x', 0)"
        )


@pytest.mark.parametrize(("synchronous", "stored"), [("OFF", 0), ("NORMAL", 1), ("FULL", 2)])
def test_a_commit_is_as_durable_as_configured_in_a_write_ahead_log(
    opened: Callable[..., Database], synchronous: str, stored: int
) -> None:
    with opened(synchronous=synchronous).write() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == stored
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
