"""`doctor`: what could keep the treasury from working, found before it does, each with how to mend it.

It writes nothing but a temporary file in each database's folder, and looks on after a failure as far as it can.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from treasury_console.configuration import Settings
from treasury_console.domain.audit import AuditEvent, Phase
from treasury_console.domain.durations import format_duration, iso_utc
from treasury_console.domain.errors import ConfigurationError, TreasuryError, Unreachable
from treasury_console.domain.resolution import Action
from treasury_console.domain.text import safe_text
from treasury_console.ledger.audit_log import latest_events, read_events
from treasury_console.ledger.database import Database
from treasury_console.ledger.schema import (
    SchemaKind,
    check_shard_identity,
    find_shard_identity,
    find_treasury_identity,
    schema_version,
)
from treasury_console.ledger.transactions import list_pending
from treasury_console.operations.audit import verify_trail
from treasury_console.operations.treasury import (
    Clock,
    Treasury,
    check_version,
    open_treasury,
    require_all_shards,
    utc_now,
)

OLDEST_SQLITE = (3, 35, 0)
ENOUGH_SPACE = 1 << 30
TOO_LITTLE_SPACE = 64 << 20
INTENT_GRACE = timedelta(minutes=1)
_ACTIONS = frozenset(action.value for action in Action)
_WAL_HEADER = b"\x02\x02"


class Health(StrEnum):
    """How one thing is."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was examined, how it is, and how to mend it. `unreachable`: a database did not answer."""

    subject: str
    health: Health
    message: str
    remedy: str = ""
    unreachable: bool = False


def diagnose(settings: Settings, *, clock: Clock = utc_now) -> list[Diagnosis]:
    """Examine the machine and every database; raise nothing that a diagnosis can say."""
    found = [_sqlite(), _durability(settings)]
    with open_treasury(settings, clock=clock, check_schema=False) as treasury:
        store = _store(treasury)
        found.append(store)
        found += _file(treasury.store, writable=not settings.read_only)
        initialised = store.health is Health.OK
        for shard in treasury.shards.values():
            found.append(_shard(treasury, shard.name, shard.database, initialised=initialised))
            found += _file(shard.database, writable=not settings.read_only)
        if initialised:
            found += _state(treasury)
    return found


def unfinished_intents(events: Iterable[AuditEvent]) -> list[AuditEvent]:
    """Return the intents to force or resume that no refusal or outcome follows: whoever meant it died midway.

    An outcome on the transaction, of whatever operation, closes every intent on it; a refusal closes its own.
    """
    still_open: dict[tuple[str, str], AuditEvent] = {}
    for event in events:
        record = event.record
        if record.phase is Phase.INTENT and record.operation in _ACTIONS:
            still_open[record.target, record.operation] = event
        elif record.phase is Phase.REFUSED:
            still_open.pop((record.target, record.operation), None)
        elif record.phase is Phase.OUTCOME:
            for operation in _ACTIONS:
                still_open.pop((record.target, operation), None)
    return sorted(still_open.values(), key=lambda event: event.seq)


def _sqlite() -> Diagnosis:
    version, oldest = sqlite3.sqlite_version, ".".join(map(str, OLDEST_SQLITE))
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        return Diagnosis(
            "sqlite", Health.FAIL, f"SQLite {version} is too old", f"use a Python built with SQLite {oldest} or newer"
        )
    return Diagnosis("sqlite", Health.OK, f"version {version}")


def _durability(settings: Settings) -> Diagnosis:
    if settings.synchronous == "FULL":
        return Diagnosis("durability", Health.OK, "synchronous FULL: a commit survives a power cut")
    return Diagnosis(
        "durability",
        Health.WARN,
        f"synchronous {settings.synchronous}: a power cut can take committed transactions back",
        'set synchronous = "FULL" in the profile, unless this is a demo',
    )


def _database(database: Database, kind: SchemaKind) -> Diagnosis:
    try:
        check_version(database, kind)
    except Unreachable as error:
        return _unreachable(database, str(error))
    except ConfigurationError as error:
        return Diagnosis(database.name, Health.FAIL, str(error), "run treasury-cli init, with this version or a newer")
    return Diagnosis(database.name, Health.OK, f"reachable, schema {schema_version(database)}")


def _store(treasury: Treasury) -> Diagnosis:
    diagnosis = _database(treasury.store, SchemaKind.TREASURY)
    if diagnosis.health is not Health.OK:
        return diagnosis
    try:
        with treasury.store.snapshot() as connection:
            if find_treasury_identity(connection) is not None:
                return diagnosis
    except Unreachable as error:
        return _unreachable(treasury.store, str(error))
    return Diagnosis(
        treasury.store.name, Health.FAIL, "database treasury is not initialised to the end", "run treasury-cli init"
    )


def _shard(treasury: Treasury, name: str, database: Database, *, initialised: bool) -> Diagnosis:
    """Examine a shard; once the treasury is initialised, a shard's missing file is a loss and not a beginning."""
    if initialised and database.file is not None and not database.file.exists():
        return _unreachable(database, f"its file {safe_text(str(database.file), 120)} is missing")
    diagnosis = _database(database, SchemaKind.SHARD)
    if diagnosis.health is not Health.OK or not initialised:
        return diagnosis
    try:
        with database.snapshot() as connection:
            identity = find_shard_identity(connection)
        with treasury.store.snapshot() as connection:
            treasury_id = find_treasury_identity(connection)
        if identity is None or treasury_id is None:
            return Diagnosis(name, Health.FAIL, "the shard has no identity yet", "run treasury-cli init")
        check_shard_identity(identity, name, treasury_id)
    except Unreachable as error:
        return _unreachable(database, str(error))
    except ConfigurationError as error:
        return Diagnosis(name, Health.FAIL, str(error), "correct the shard's url in the profile")
    return diagnosis


def _unreachable(database: Database, message: str) -> Diagnosis:
    return Diagnosis(
        database.name,
        Health.FAIL,
        message,
        "check its URL, file and permissions; restore it from its backup if it is lost",
        unreachable=True,
    )


def _file(database: Database, *, writable: bool) -> Iterator[Diagnosis]:
    """Examine where a database's file is: journal mode, folder, free space."""
    if database.file is None or not database.file.parent.is_dir():
        return
    folder, subject = database.file.parent, f"{database.name} file"
    if _is_rollback_journalled(database.file):
        yield Diagnosis(
            subject,
            Health.WARN,
            "the file is not in WAL mode, so readers and writers wait for each other",
            "stop every program that uses it and run treasury-cli init",
        )
    shown = safe_text(str(folder), 120)
    if writable:
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            yield Diagnosis(
                subject,
                Health.FAIL,
                f"the folder {shown} cannot be written: {error.strerror}",
                "give this user write permission to the folder, or use --read-only",
            )
            return
    free = shutil.disk_usage(folder).free
    mebibytes = f"{free >> 20} MiB free in {shown}"
    if free < TOO_LITTLE_SPACE:
        yield Diagnosis(subject, Health.FAIL, mebibytes, "free some space before anything else")
    elif free < ENOUGH_SPACE:
        yield Diagnosis(subject, Health.WARN, mebibytes, "free some space")
    else:
        yield Diagnosis(subject, Health.OK, mebibytes)


def _is_rollback_journalled(file: Path) -> bool:
    """Read the journal mode from the SQLite header (bytes 18 and 19: 1 is rollback, 2 is WAL)."""
    try:
        with file.open("rb") as content:
            header = content.read(20)
    except OSError:
        return False
    return len(header) == 20 and header[18:20] != _WAL_HEADER


def _state(treasury: Treasury) -> Iterator[Diagnosis]:
    """Examine what the treasury database says."""
    try:
        yield _clock(treasury)
        yield _shards_in_use(treasury)
        trail = verify_trail(treasury)
        if trail.ok:
            yield Diagnosis("audit trail", Health.OK, f"{trail.events} events, the chain is intact")
            yield _intents(treasury)
        else:
            yield Diagnosis(
                "audit trail",
                Health.FAIL,
                f"the chain is broken from event {trail.bad_seq} on: {trail.reason}",
                "treat as tampering: keep the file, compare it with a backup, escalate",
            )
        yield _pending(treasury)
    except TreasuryError as error:
        yield _unreachable(treasury.store, str(error))


def _shards_in_use(treasury: Treasury) -> Diagnosis:
    try:
        require_all_shards(treasury)
    except Unreachable as error:
        return Diagnosis("shards", Health.FAIL, str(error), "add the shard to the profile", unreachable=True)
    return Diagnosis("shards", Health.OK, "every shard that agents live on is in the configuration")


def _clock(treasury: Treasury) -> Diagnosis:
    now, newest = treasury.clock(), _newest_instant(treasury)
    if newest is None or newest <= now:
        return Diagnosis("clock", Health.OK, f"{iso_utc(now)}, not before anything recorded")
    return Diagnosis(
        "clock",
        Health.FAIL,
        f"the clock says {iso_utc(now)}, {format_duration(newest - now)} before what was recorded last",
        "set the machine's clock (NTP); until then ages and leases are wrong",
    )


def _newest_instant(treasury: Treasury) -> datetime | None:
    with treasury.store.snapshot() as connection:
        instants = [event.record.at for event in latest_events(connection, 1)]
        instants += [record.transaction.created_at for record in list_pending(connection)]
    return max(instants, default=None)


def _intents(treasury: Treasury) -> Diagnosis:
    with treasury.store.snapshot() as connection:
        found = unfinished_intents(read_events(connection))
    old = [event.record for event in found if treasury.clock() - event.record.at > INTENT_GRACE]
    if not old and found:
        message = f"{len(found)} begun less than a minute ago and not ended yet; look again"
        return Diagnosis("forced resolutions", Health.OK, message)
    if not old:
        return Diagnosis("forced resolutions", Health.OK, "none was broken off")
    named = ", ".join(f"{record.operation} of {safe_text(record.target, 60)}" for record in old[:3])
    more = f" and {len(old) - 3} more" if len(old) > 3 else ""
    return Diagnosis(
        "forced resolutions",
        Health.WARN,
        f"begun and not ended: {named}{more}",
        "run the same command again, or treasury-cli transactions resume",
    )


def _pending(treasury: Treasury) -> Diagnosis:
    threshold = treasury.settings.pending_after
    with treasury.store.snapshot() as connection:
        old = list_pending(connection, created_before=treasury.clock() - threshold)
    shown = format_duration(threshold)
    if not old:
        return Diagnosis("pending", Health.OK, f"no transaction is pending longer than {shown}")
    return Diagnosis(
        "pending",
        Health.WARN,
        f"{len(old)} pending longer than {shown}",
        f'treasury-cli transactions list --state pending --age ">{shown}"',
    )
