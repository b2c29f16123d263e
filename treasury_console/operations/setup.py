"""`init`: bring every configured database to the newest schema and give it its identity. Safe to repeat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

from treasury_console.configuration import Settings
from treasury_console.domain.audit import Phase
from treasury_console.domain.errors import ConfigurationError, Refused, Unreachable
from treasury_console.domain.text import safe_text
from treasury_console.ledger.database import Database
from treasury_console.ledger.directory import count_agents_on
from treasury_console.ledger.schema import (
    NEWEST_VERSION,
    SchemaKind,
    ShardIdentity,
    ensure_shard_identity,
    ensure_treasury_identity,
    find_shard_identity,
    find_treasury_identity,
    is_missing,
    left_behind,
    migrate,
    schema_version,
)
from treasury_console.operations.treasury import Clock, Treasury, open_treasury, utc_now


@dataclass(frozen=True, slots=True)
class InitialisedDatabase:
    """A database after `init`: the version it was at (None if new) and the one it is at."""

    name: str
    version_before: str | None
    version: str


def initialise(
    settings: Settings, *, clock: Clock = utc_now, randomness: Random | None = None
) -> list[InitialisedDatabase]:
    """Create or migrate every database; raise Unreachable or ConfigurationError for the first that cannot be."""
    _refuse_lost_databases(settings)
    with open_treasury(settings, clock=clock, randomness=randomness, create=True, check_schema=False) as treasury:
        treasury.require_write("init")
        for database in (treasury.store, *(shard.database for shard in treasury.shards.values())):
            _make_folder(database)
        done = [_migrated(treasury.store, SchemaKind.TREASURY)]
        with treasury.store.write() as connection:
            treasury_id = ensure_treasury_identity(
                connection, treasury.ids.new("treasury", treasury.clock()), treasury.clock()
            )
        _refuse_lost_shards(treasury)
        for shard in treasury.shards.values():
            done.append(_migrated(shard.database, SchemaKind.SHARD))
            identity = ShardIdentity(treasury.ids.new("shard", treasury.clock()), shard.name, treasury_id)
            with shard.database.write() as connection:
                ensure_shard_identity(connection, identity, treasury.clock())
        if any(database.version_before != database.version for database in done):
            _audit_initialisation(treasury, treasury_id, done)
        return done


def needs_initialising(settings: Settings) -> list[str]:
    """Return the names of the databases that `init` has work on: missing, empty, at an older schema, half made."""
    with open_treasury(settings, check_schema=False) as treasury:
        databases = [(treasury.store, SchemaKind.TREASURY)]
        databases += [(shard.database, SchemaKind.SHARD) for shard in treasury.shards.values()]
        return [database.name for database, kind in databases if not _is_initialised(database, kind)]


def _is_initialised(database: Database, kind: SchemaKind) -> bool:
    if (schema_version(database) or "") < NEWEST_VERSION[kind]:
        return False
    find_identity = find_treasury_identity if kind is SchemaKind.TREASURY else find_shard_identity
    with database.snapshot() as connection:
        return find_identity(connection) is not None


def _refuse_lost_databases(settings: Settings) -> None:
    """Raise Refused, before anything is touched, if a database that is missing was there before.

    A new file in its place would hide the loss, and SQLite would delete the log that lies beside it.
    """
    with open_treasury(settings, check_schema=False) as treasury:
        for database in (treasury.store, *(shard.database for shard in treasury.shards.values())):
            log = left_behind(database)
            if log is not None:
                raise Refused(
                    f"the file of database {database.name} is missing, yet its log {safe_text(str(log), 99)} is not; "
                    "restore the file before anything else"
                )
        if not is_missing(treasury.store):
            return
        for shard in treasury.shards.values():
            if _belongs_to_a_treasury(shard.database):
                raise Refused(
                    f"the file of database treasury is missing, yet shard {shard.name} belongs to a treasury; "
                    "restore it from a backup or correct its URL"
                )


def _belongs_to_a_treasury(shard: Database) -> bool:
    if schema_version(shard) is None:
        return False
    with shard.snapshot() as connection:
        return find_shard_identity(connection) is not None


def _refuse_lost_shards(treasury: Treasury) -> None:
    """Raise Refused if a shard that holds agents is empty or missing: a new one in its place would hide the loss."""
    for shard in treasury.shards.values():
        file = shard.database.file
        if (file is None or file.exists()) and schema_version(shard.database) is not None:
            continue
        with treasury.store.snapshot() as connection:
            agents = count_agents_on(connection, shard.name)
        if agents:
            raise Refused(
                f"the database of shard {shard.name} is missing or empty, yet {agents} agents live on it; "
                "restore it from a backup or correct its URL"
            )


def _migrated(database: Database, kind: SchemaKind) -> InitialisedDatabase:
    before = schema_version(database)
    if before is not None and before > NEWEST_VERSION[kind]:
        raise ConfigurationError(
            f"database {database.name} is at schema {before}, newer than this program knows; upgrade the program"
        )
    if before != NEWEST_VERSION[kind]:
        migrate(database, kind)
    return InitialisedDatabase(database.name, before, NEWEST_VERSION[kind])


def _audit_initialisation(treasury: Treasury, treasury_id: str, done: list[InitialisedDatabase]) -> None:
    versions = [f"{database.name} {database.version_before or 'new'} -> {database.version}" for database in done]
    treasury.audit("init", Phase.OUTCOME, treasury_id, details={"databases": versions})


def _make_folder(database: Database) -> None:
    if database.file is None:
        return
    folder: Path = database.file.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unreachable(
            f"the folder {safe_text(str(folder), 120)} of database {database.name} cannot be made: {error.strerror}"
        ) from None
