"""An instant is stored to the microsecond in UTC, whatever zone it was said in; a time without a zone is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Dialect, insert
from sqlalchemy.dialects import postgresql, sqlite

from tests.treasuries import ScratchTreasury, read
from treasury_console.ledger.columns import UtcInstant
from treasury_console.ledger.database import open_database
from treasury_console.ledger.directory import register_agent, shards_of
from treasury_console.ledger.treasury_tables import agents

DIALECTS: dict[str, Dialect] = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect()}  # type: ignore[no-untyped-call]

offsets = st.timedeltas(timedelta(hours=-14), timedelta(hours=14)).map(
    lambda offset: timezone(timedelta(minutes=offset // timedelta(minutes=1)))
)
instants = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.one_of(st.timezones(), offsets))  # noqa: DTZ001

dialects = pytest.mark.parametrize("dialect", DIALECTS)


@dialects
@given(instants)
def test_an_instant_comes_back_as_the_same_instant_in_utc(dialect: str, instant: datetime) -> None:
    column = UtcInstant()
    stored = column.process_bind_param(instant, DIALECTS[dialect])
    back = column.process_result_value(stored, DIALECTS[dialect])
    assert back == instant.astimezone(UTC)
    assert back is not None
    assert back.utcoffset() == timedelta(0)


@given(instants, instants)
def test_what_sqlite_stores_sorts_as_the_instants_do(first: datetime, second: datetime) -> None:
    column, dialect = UtcInstant(), DIALECTS["sqlite"]
    stored = [column.process_bind_param(instant, dialect) for instant in (first, second)]
    assert all(type(value) is int for value in stored)
    assert (stored[0] < stored[1]) == (first.astimezone(UTC) < second.astimezone(UTC))


@dialects
@given(st.datetimes())
def test_a_time_without_a_zone_is_refused(dialect: str, naive: datetime) -> None:
    with pytest.raises(ValueError, match="naive"):
        UtcInstant().process_bind_param(naive, DIALECTS[dialect])


@dialects
def test_nothing_stays_nothing(dialect: str) -> None:
    assert UtcInstant().process_bind_param(None, DIALECTS[dialect]) is None
    assert UtcInstant().process_result_value(None, DIALECTS[dialect]) is None


def test_a_database_keeps_microseconds_before_and_after_1970(empty: ScratchTreasury) -> None:
    store = empty.open().store
    instants = {
        "before": datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        "epoch": datetime(1970, 1, 1, tzinfo=UTC),
        "elsewhere": datetime(2025, 3, 30, 2, 30, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    }
    with store.write() as connection:
        for name, instant in instants.items():
            connection.execute(insert(agents).values(agent_id=name, shard="shard-1", opened_at=instant))
    with store.snapshot() as connection:
        found = {row.agent_id: row.opened_at for row in connection.execute(agents.select())}
    assert found == instants


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=128))
def test_any_agent_id_comes_back_as_it_was(empty: ScratchTreasury, agent_id: str) -> None:
    database = open_database("treasury", f"sqlite:///{empty.file('treasury')}")
    with database.write() as connection:
        register_agent(connection, agent_id, "shard-1", datetime(2025, 1, 1, tzinfo=UTC))
    with database.snapshot() as connection:
        assert shards_of(connection, [agent_id]) == {agent_id: "shard-1"}
    assert (agent_id,) in read(database, "SELECT agent_id FROM agents")
    database.close()
