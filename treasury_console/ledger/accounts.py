"""Accounts on a shard: opening, reading under lock, and writing back what a domain function made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from treasury_console.domain.accounts import Account
from treasury_console.domain.errors import StoreCorrupt
from treasury_console.domain.text import safe_text
from treasury_console.ledger.columns import AnyRow
from treasury_console.ledger.database import insert_if_absent
from treasury_console.ledger.shard_tables import accounts

_ACCOUNT_COLUMNS = (
    accounts.c.agent_id,
    accounts.c.currency,
    accounts.c.balance,
    accounts.c.held,
    accounts.c.version,
)
# Built once: building a statement costs more than running it.
_FIND_ACCOUNT = select(*_ACCOUNT_COLUMNS).where(
    accounts.c.agent_id == bindparam("of_agent"), accounts.c.currency == bindparam("in_currency")
)
_LOCK_ACCOUNT = _FIND_ACCOUNT.with_for_update()
_ACCOUNTS_OF = (
    select(*_ACCOUNT_COLUMNS)
    .where(accounts.c.agent_id.in_(bindparam("of_agents", expanding=True)))
    .order_by(accounts.c.agent_id, accounts.c.currency)
)
_STORE_ACCOUNT = (
    update(accounts)
    .where(
        accounts.c.agent_id == bindparam("of_agent"),
        accounts.c.currency == bindparam("in_currency"),
        accounts.c.version == bindparam("from_version"),
        accounts.c.held == bindparam("from_held"),
        accounts.c.balance == bindparam("from_balance"),
    )
    .values(balance=bindparam("to_balance"), held=bindparam("to_held"), version=bindparam("to_version"))
)


def open_account(connection: Connection, agent_id: str, currency: str, at: datetime) -> bool:
    """Open an empty account; say whether it is new."""
    return insert_if_absent(
        connection,
        accounts,
        {"agent_id": agent_id, "currency": currency, "balance": 0, "held": 0, "version": 0, "opened_at": at},
    )


def find_account(connection: Connection, agent_id: str, currency: str, *, lock: bool = False) -> Account | None:
    """Return the account, or None. `lock` keeps other writers off it until the transaction ends."""
    query = _LOCK_ACCOUNT if lock else _FIND_ACCOUNT
    row = connection.execute(query, {"of_agent": agent_id, "in_currency": currency}).one_or_none()
    return None if row is None else _account(row)


def accounts_of(connection: Connection, agent_ids: Sequence[str]) -> list[Account]:
    """Return every account of `agent_ids` (at most some 500), by agent and currency."""
    return [_account(row) for row in connection.execute(_ACCOUNTS_OF, {"of_agents": list(agent_ids)})]


def list_accounts(connection: Connection) -> Iterable[Account]:
    """Yield every account of the shard, by agent and currency."""
    query = select(*_ACCOUNT_COLUMNS).order_by(accounts.c.agent_id, accounts.c.currency)
    for row in connection.execute(query):
        yield _account(row)


def store_account(connection: Connection, before: Account, after: Account) -> None:
    """Write `after` over `before`; raise StoreCorrupt if the row is no longer `before`."""
    written = connection.execute(
        _STORE_ACCOUNT,
        {
            "of_agent": before.agent_id,
            "in_currency": before.currency,
            "from_version": before.version,
            "from_held": before.held,
            "from_balance": before.balance,
            "to_balance": after.balance,
            "to_held": after.held,
            "to_version": after.version,
        },
    )
    if written.rowcount != 1:
        raise StoreCorrupt(f"the account of {safe_text(before.agent_id, 40)} changed under its lock")


def _account(row: AnyRow) -> Account:
    return Account(row.agent_id, row.currency, row.balance, row.held, row.version)
