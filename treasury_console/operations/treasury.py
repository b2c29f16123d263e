"""A treasury at hand: its databases, its clock, who is acting, and whether acting is allowed."""

from __future__ import annotations

import getpass
import os
import random
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType

from treasury_console.configuration import Settings
from treasury_console.domain.audit import AuditRecord, Details, Phase
from treasury_console.domain.errors import ConfigurationError, Refused, UnknownId, Unreachable
from treasury_console.domain.ids import IdSource
from treasury_console.domain.text import safe_text
from treasury_console.ledger.audit_log import append_event
from treasury_console.ledger.currencies import stored_scales
from treasury_console.ledger.database import Database, SqliteOptions, open_database
from treasury_console.ledger.directory import shards_in_use
from treasury_console.ledger.schema import (
    NEWEST_VERSION,
    SchemaKind,
    check_shard_identity,
    expect_shard,
    expect_treasury,
    find_shard_identity,
    find_treasury_identity,
    is_missing,
    schema_version,
)
from treasury_console.ledger.transactions import TransactionRecord, find_transaction
from treasury_console.twophase.coordinator import Coordinator
from treasury_console.twophase.holds import HoldsResourceManager
from treasury_console.twophase.resource_manager import Shard
from treasury_console.twophase.steps import StepHook, no_hook

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the machine's time, aware, in UTC."""
    return datetime.now(UTC)


def default_actor() -> str:
    """Return `user@host` of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid-{os.getuid()}"
    return safe_text(f"{user}@{socket.gethostname()}", 160)


@dataclass
class Treasury:
    """What every operation takes. Close it, or use it in a `with` statement."""

    settings: Settings
    store: Database
    shards: Mapping[str, Shard]
    actor: str
    clock: Clock = utc_now
    ids: IdSource = field(default_factory=lambda: IdSource(random.SystemRandom()))
    on_step: StepHook = no_hook
    _coordinator: Coordinator | None = field(default=None, init=False, repr=False)
    _coordinator_lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __enter__(self) -> Treasury:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every database connection."""
        for database in (self.store, *(shard.database for shard in self.shards.values())):
            database.close()

    def coordinator(self) -> Coordinator:
        """Return this process's coordinator, registered with a lease at first use."""
        with self._coordinator_lock:
            if self._coordinator is None:
                coordinator = Coordinator(
                    coordinator_id=self.ids.new("coord", self.clock()),
                    actor=self.actor,
                    store=self.store,
                    shards=self.shards,
                    clock=self.clock,
                    lease=self.settings.lease,
                    on_step=self.on_step,
                )
                coordinator.start()
                self._coordinator = coordinator
            return self._coordinator

    def require_write(self, what: str) -> None:
        """Raise Refused in read-only mode; every acting operation calls it before anything else."""
        if self.settings.read_only:
            raise Refused(
                f"this treasury is open read-only, so {what} is refused; open it without read-only mode to act"
            )

    def transaction_record(self, txn_id: str) -> TransactionRecord:
        """Return the record of `txn_id`; raise UnknownId if there is none."""
        with self.store.snapshot() as connection:
            record = find_transaction(connection, txn_id)
        if record is None:
            raise UnknownId(f"there is no transaction {safe_text(txn_id, 60)!r}; see treasury-cli transactions list")
        return record

    def audit(
        self, operation: str, phase: Phase, target: str, approval: str | None = None, details: Details | None = None
    ) -> None:
        """Append an event in a transaction of its own."""
        record = self.audit_record(operation, phase, target, approval, details)
        with self.store.write() as connection:
            append_event(connection, record)

    def audit_record(
        self, operation: str, phase: Phase, target: str, approval: str | None = None, details: Details | None = None
    ) -> AuditRecord:
        """Return an event of this actor now, to be appended in the transaction of the act."""
        return AuditRecord(self.clock(), self.actor, operation, phase, target, approval, details or {})


def open_treasury(
    settings: Settings,
    *,
    actor: str | None = None,
    clock: Clock = utc_now,
    randomness: random.Random | None = None,
    on_step: StepHook = no_hook,
    create: bool = False,
    check_schema: bool = True,
) -> Treasury:
    """Return the treasury the settings describe.

    Raise ConfigurationError if a database is not initialised or is another treasury's, Unreachable if the treasury
    database does not answer. A shard that does not answer is no error here: its branches will be unknown.
    """
    options = SqliteOptions(settings.synchronous, settings.busy_timeout.total_seconds(), settings.read_only)
    shards = {}
    for shard in settings.shards:
        database = open_database(shard.name, shard.url, options, create=create)
        shards[shard.name] = Shard(shard.name, database, HoldsResourceManager(database, clock))
    treasury = Treasury(
        settings=settings,
        store=open_database("treasury", settings.treasury_url, options, create=create),
        shards=shards,
        actor=actor or default_actor(),
        clock=clock,
        ids=IdSource(randomness or random.SystemRandom()),
        on_step=on_step,
    )
    if check_schema:
        try:
            _check_schema(treasury)
        except BaseException:
            treasury.close()
            raise
    return treasury


def _check_schema(treasury: Treasury) -> None:
    check_version(treasury.store, SchemaKind.TREASURY)
    with treasury.store.snapshot() as connection:
        treasury_id = find_treasury_identity(connection)
        scales = stored_scales(connection)
    if treasury_id is None:
        raise ConfigurationError("database treasury is not initialised to the end; run treasury-cli init")
    expect_treasury(treasury.store, treasury_id)
    _check_scales(treasury, scales)
    for shard in treasury.shards.values():
        try:
            if schema_version(shard.database) is None:
                continue
            check_version(shard.database, SchemaKind.SHARD)
            with shard.database.snapshot() as connection:
                identity = find_shard_identity(connection)
        except Unreachable:
            continue
        if identity is None:
            raise ConfigurationError(f"database {shard.name} is not initialised to the end; run treasury-cli init")
        check_shard_identity(identity, shard.name, treasury_id)
    for shard in treasury.shards.values():
        expect_shard(shard.database, shard.name, treasury_id)


def _check_scales(treasury: Treasury, scales: Mapping[str, int]) -> None:
    """Raise ConfigurationError if a currency has another scale than its stored amounts: every amount would be wrong."""
    for code, scale in scales.items():
        configured = treasury.settings.currencies.by_code.get(code)
        if configured is not None and configured.scale != scale:
            raise ConfigurationError(
                f"currency {code} is stored with scale {scale}, but the configuration says {configured.scale}; "
                "change it back"
            )


def require_all_shards(treasury: Treasury) -> None:
    """Raise Unreachable if agents live on a shard that is not in the configuration: what is on it would be left out."""
    with treasury.store.snapshot() as connection:
        unknown = sorted(shards_in_use(connection) - set(treasury.shards))
    if unknown:
        raise Unreachable(
            f"agents live on shard {safe_text(unknown[0], 40)}, which is not in the configuration; add it there"
        )


def check_version(database: Database, kind: SchemaKind) -> None:
    """Raise ConfigurationError unless the database is at the schema version this program knows."""
    version, newest = schema_version(database), NEWEST_VERSION[kind]
    if version is None:
        if is_missing(database):
            raise ConfigurationError(
                f"database {database.name} has no file; run treasury-cli init if it is new, else restore it"
            )
        raise ConfigurationError(f"database {database.name} is not initialised; run treasury-cli init")
    if version < newest:
        raise ConfigurationError(
            f"database {database.name} is at schema {version}, older than {newest}; run treasury-cli init"
        )
    if version > newest:
        raise ConfigurationError(
            f"database {database.name} is at schema {version}, newer than the {newest} this program knows; upgrade it"
        )
