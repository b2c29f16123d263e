"""Opening, listing and showing accounts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from treasury_console.domain.accounts import Account
from treasury_console.domain.audit import Phase
from treasury_console.domain.errors import InvalidRequest, UnknownId
from treasury_console.domain.text import safe_text
from treasury_console.domain.transactions import check_agent_id
from treasury_console.ledger.accounts import accounts_of, list_accounts, open_account
from treasury_console.ledger.audit_log import append_event
from treasury_console.ledger.currencies import note_scales
from treasury_console.ledger.directory import register_agent, shards_of
from treasury_console.operations.treasury import Treasury, require_all_shards
from treasury_console.twophase.resource_manager import Shard


@dataclass(frozen=True, slots=True)
class AccountAtShard:
    """An account and the shard it is on."""

    shard: str
    account: Account


def open_accounts(
    treasury: Treasury, agent_id: str, currencies: Sequence[str], *, shard: str | None = None
) -> list[AccountAtShard]:
    """Open the agent's accounts in `currencies`; those that exist stay as they are, so it is safe to repeat.

    A new agent is placed on `shard`, or on one chosen by a hash of its id. The directory is written first: if the
    process dies before the accounts are, repeating it completes them.
    """
    treasury.require_write("opening an account")
    check_agent_id(agent_id)
    codes = [treasury.settings.currencies[code].code for code in dict.fromkeys(currencies)]
    if not codes:
        raise InvalidRequest("name at least one currency")
    if shard is not None and shard not in treasury.shards:
        raise UnknownId(f"there is no shard {safe_text(shard, 40)!r}; there are {', '.join(treasury.shards)}")
    now = treasury.clock()
    with treasury.store.write() as connection:
        placed = register_agent(connection, agent_id, shard or _shard_by_hash(treasury, agent_id), now)
        if shard is not None and placed != shard:
            raise InvalidRequest(f"{safe_text(agent_id, 40)} is on shard {placed} already and cannot be moved")
        note_scales(connection, [treasury.settings.currencies[code] for code in codes])
        append_event(
            connection,
            treasury.audit_record(
                "open-account", Phase.OUTCOME, agent_id, details={"currencies": codes, "shard": placed}
            ),
        )
    database = shard_of_agent(treasury, agent_id, placed).database
    with database.write() as connection:
        for code in codes:
            open_account(connection, agent_id, code, now)
    return show_accounts(treasury, agent_id)


def show_accounts(treasury: Treasury, agent_id: str) -> list[AccountAtShard]:
    """Return the agent's accounts, by currency; raise UnknownId for an agent that does not exist."""
    shard = locate_agents(treasury, [agent_id])[agent_id]
    with shard_of_agent(treasury, agent_id, shard).database.snapshot() as connection:
        return [AccountAtShard(shard, account) for account in accounts_of(connection, [agent_id])]


def list_all_accounts(treasury: Treasury, currency: str | None = None) -> list[AccountAtShard]:
    """Return every account (of `currency`, if given), by agent and currency."""
    if currency is not None:
        currency = treasury.settings.currencies[currency].code
    require_all_shards(treasury)
    found = []
    for shard in treasury.shards.values():
        with shard.database.snapshot() as connection:
            found += [
                AccountAtShard(shard.name, account)
                for account in list_accounts(connection)
                if currency is None or account.currency == currency
            ]
    return sorted(found, key=lambda row: (row.account.agent_id, row.account.currency))


def locate_agents(treasury: Treasury, agent_ids: Sequence[str]) -> dict[str, str]:
    """Return the shard of each agent; raise UnknownId naming the first that does not exist."""
    with treasury.store.snapshot() as connection:
        found = shards_of(connection, agent_ids)
    for agent_id in agent_ids:
        if agent_id not in found:
            raise UnknownId(f"there is no agent {safe_text(agent_id, 60)!r}; see treasury-cli accounts list")
    return found


def shard_of_agent(treasury: Treasury, agent_id: str, shard: str) -> Shard:
    """Return the shard, which must be configured."""
    if shard not in treasury.shards:
        raise UnknownId(f"{safe_text(agent_id, 40)} is on shard {shard}, which is not in the configuration")
    return treasury.shards[shard]


def _shard_by_hash(treasury: Treasury, agent_id: str) -> str:
    names = sorted(treasury.shards)
    digest = hashlib.sha256(agent_id.encode()).digest()
    return names[int.from_bytes(digest[:8]) % len(names)]
