"""Which shard holds an agent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select

from treasury_console.ledger.database import insert_if_absent
from treasury_console.ledger.treasury_tables import agents

_SHARDS_OF = select(agents.c.agent_id, agents.c.shard).where(
    agents.c.agent_id.in_(bindparam("of_agents", expanding=True))
)


def register_agent(connection: Connection, agent_id: str, shard: str, at: datetime) -> str:
    """Place the agent on `shard` unless it has a shard already; return the shard it is on."""
    insert_if_absent(connection, agents, {"agent_id": agent_id, "shard": shard, "opened_at": at})
    return str(connection.execute(select(agents.c.shard).where(agents.c.agent_id == agent_id)).scalar_one())


def shards_of(connection: Connection, agent_ids: Sequence[str]) -> dict[str, str]:
    """Return the shard of each of `agent_ids` that exists."""
    rows = connection.execute(_SHARDS_OF, {"of_agents": list(agent_ids)})
    return {row.agent_id: row.shard for row in rows}


def shards_in_use(connection: Connection) -> set[str]:
    """Return the shards on which agents are placed."""
    return set(connection.execute(select(agents.c.shard).distinct()).scalars())


def count_agents_on(connection: Connection, shard: str) -> int:
    """Return how many agents are placed on `shard`."""
    query = select(func.count()).select_from(agents).where(agents.c.shard == shard)
    return int(connection.execute(query).scalar_one())


def count_agents(connection: Connection) -> int:
    """Return how many agents there are."""
    return int(connection.execute(select(func.count()).select_from(agents)).scalar_one())
