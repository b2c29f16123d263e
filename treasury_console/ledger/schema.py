"""The schema of the two kinds of database: its version, and bringing a database to the newest.

Alembic is imported only when a migration runs; asking for a version is one query.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection, insert, inspect, select

from treasury_console.domain.audit import GENESIS_HASH
from treasury_console.domain.errors import ConfigurationError, Unreachable
from treasury_console.domain.text import safe_text
from treasury_console.ledger.database import Database, insert_if_absent
from treasury_console.ledger.shard_tables import shard_identity
from treasury_console.ledger.treasury_tables import audit_head, treasury_identity

_MIGRATIONS = Path(__file__).parent / "migrations"


class SchemaKind(StrEnum):
    """What a database is for."""

    TREASURY = "treasury"
    SHARD = "shard"


NEWEST_VERSION = {SchemaKind.TREASURY: "0001", SchemaKind.SHARD: "0001"}


@dataclass(frozen=True, slots=True)
class ShardIdentity:
    """Which shard a database is, and of which treasury."""

    shard_id: str
    name: str
    treasury_id: str


def schema_version(database: Database) -> str | None:
    """Return the version the database is at; None for an empty or missing one."""
    try:
        with database.snapshot() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            version: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
            return version
    except Unreachable:
        if is_missing(database):
            return None
        raise


def migrate(database: Database, kind: SchemaKind) -> None:
    """Bring the database to the newest version in one transaction; a database that is there already is not touched."""
    from alembic import command
    from alembic.config import Config

    with database.write() as connection:
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS / kind.value).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def ensure_treasury_identity(connection: Connection, treasury_id: str, at: datetime) -> str:
    """Give a new treasury its identity and its audit chain's head; return the identity it has."""
    present = connection.execute(select(treasury_identity.c.treasury_id)).scalar_one_or_none()
    if present is not None:
        return str(present)
    connection.execute(insert(treasury_identity).values(treasury_id=treasury_id, created_at=at))
    insert_if_absent(connection, audit_head, {"only_row": 1, "seq": 0, "hash": GENESIS_HASH})
    return treasury_id


def ensure_shard_identity(connection: Connection, identity: ShardIdentity, at: datetime) -> ShardIdentity:
    """Give a new shard its identity; raise ConfigurationError if the database is another's."""
    present = find_shard_identity(connection)
    if present is None:
        connection.execute(
            insert(shard_identity).values(
                shard_id=identity.shard_id, name=identity.name, treasury_id=identity.treasury_id, created_at=at
            )
        )
        return identity
    check_shard_identity(present, identity.name, identity.treasury_id)
    return present


def check_shard_identity(present: ShardIdentity, name: str, treasury_id: str) -> None:
    """Raise ConfigurationError unless the database is the shard `name` of this treasury."""
    if present.treasury_id != treasury_id:
        raise ConfigurationError(
            f"the database of shard {safe_text(name, 40)} belongs to another treasury; check its URL"
        )
    if present.name != name:
        raise ConfigurationError(
            f"the database of shard {safe_text(name, 40)} is shard {safe_text(present.name, 40)}; check its URL"
        )


def find_shard_identity(connection: Connection) -> ShardIdentity | None:
    """Return the identity of the shard, or None before it has one."""
    row = connection.execute(select(shard_identity)).one_or_none()
    return None if row is None else ShardIdentity(row.shard_id, row.name, row.treasury_id)


def find_treasury_identity(connection: Connection) -> str | None:
    """Return the treasury's identity, or None before it has one."""
    return connection.execute(select(treasury_identity.c.treasury_id)).scalar_one_or_none()


def expect_treasury(database: Database, treasury_id: str) -> None:
    """Refuse every new connection to `database` that leads to another treasury."""
    database.expect_identity("SELECT treasury_id FROM treasury_identity", treasury_id)


def expect_shard(database: Database, name: str, treasury_id: str) -> None:
    """Refuse every new connection to `database` that leads to another shard or treasury."""
    database.expect_identity("SELECT name || ' of ' || treasury_id FROM shard_identity", f"{name} of {treasury_id}")


def is_missing(database: Database) -> bool:
    """Say whether the database is a file that is not there, or is there and empty."""
    path = database.file
    if path is None:
        return False
    try:
        return path.stat().st_size == 0
    except OSError:
        return True


def left_behind(database: Database) -> Path | None:
    """Return a write-ahead log or journal that lies beside a file that is not there: part of a database that was."""
    if database.file is None or not is_missing(database):
        return None
    for suffix in ("-wal", "-journal"):
        beside = database.file.with_name(database.file.name + suffix)
        if beside.exists() and beside.stat().st_size > 0:
            return beside
    return None
