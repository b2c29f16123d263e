"""A database of the treasury: how it is opened, written and read, and what its failures mean.

`write()` takes the write lock at once, so that what was read is still true at commit. `snapshot()` shows one instant of
the database however long it is read. A database that does not answer raises Unreachable: what it holds is unknown.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Engine, Executable, Select, Table, create_engine, event
from sqlalchemy import Connection as Connection
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool

from treasury_console.configuration import SQLITE_SCHEME
from treasury_console.domain.errors import ConfigurationError, Unreachable
from treasury_console.domain.text import safe_text

FileIdentity = tuple[int, int]

CHUNK = 400
"""How many values one query asks for at the most: SQLite used to allow 999 parameters."""


@dataclass(frozen=True, slots=True)
class SqliteOptions:
    """How a SQLite file is used.

    `synchronous` FULL makes a commit survive a power cut; OFF only a killed process (demo and simulation).
    `busy_timeout` is in seconds. `query_only` makes the engine refuse every write.
    """

    synchronous: str = "FULL"
    busy_timeout: float = 5.0
    query_only: bool = False


class Database:
    """One database, under the name the configuration gives it."""

    def __init__(self, name: str, engine: Engine, file: Path | None = None) -> None:
        self.name = name
        self.engine = engine
        self.file = file
        self._identity: tuple[str, str] | None = None
        self._watch: PoolProxiedConnection | None = None
        self._watched_file: FileIdentity | None = None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection in a transaction that holds the write lock; commit at the end, roll back on error."""
        with self._failures_translated(), self.engine.connect() as connection:
            connection.execution_options(treasury_begin="BEGIN IMMEDIATE")
            with connection.begin():
                yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Yield a connection whose reads all see the database as it is now, however long they take."""
        with self._failures_translated(), self.engine.connect() as connection:
            connection.execution_options(treasury_begin="BEGIN")
            with connection.begin():
                # SQLite fixes the snapshot at the first read, not at BEGIN.
                connection.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1")
                yield connection

    def change_token(self) -> int:
        """Return a number that differs from the last one if anyone committed a change since; costs microseconds.

        SQLite: `PRAGMA data_version` on a connection that never writes, and which file it is.
        """
        with self._failures_translated():
            file = None if self.file is None else _file_identity(self.file)
            if self._watch is None or file != self._watched_file:
                self._stop_watching()
                self._watch, self._watched_file = self.engine.raw_connection(), file
            # Outside any transaction: within one the number stands still, and the log behind it could not be reset.
            cursor = self._watch.cursor()
            try:
                cursor.execute("PRAGMA data_version")
                (version,) = cursor.fetchone() or (0,)
                return int(version) + ((file[1] if file else 0) << 32)
            finally:
                cursor.close()

    def expect_identity(self, query: str, identity: str) -> None:
        """From now on refuse every new connection on which `query` does not answer `identity`.

        A file can be replaced while it is in use, and a URL can come to lead elsewhere.
        """
        if self._identity is None:
            event.listen(self.engine, "connect", self._check_identity)
        self._identity = (query, identity)

    def _check_identity(self, connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        if self._identity is None:
            return
        query, identity = self._identity
        cursor = connection.cursor()
        try:
            cursor.execute(query)
            row = cursor.fetchone()
        finally:
            cursor.close()
        if row is None or row[0] != identity:
            raise Unreachable(f"database {self.name} is another database now; check its file and its URL")

    def close(self) -> None:
        """Close every connection."""
        self._stop_watching()
        self.engine.dispose()

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    @contextmanager
    def _failures_translated(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except (DBAPIError, PoolTimeout, sqlite3.Error) as error:
            raise Unreachable(f"database {self.name} did not answer: {_reason(error)}") from error


def sqlite_path(url: str) -> Path:
    """Return the file a `sqlite:///` URL names; raise ConfigurationError for any other URL."""
    if not url.startswith(SQLITE_SCHEME) or len(url) == len(SQLITE_SCHEME):
        raise ConfigurationError("a database URL must be like sqlite:////path/to/file.sqlite")
    return Path(url.removeprefix(SQLITE_SCHEME))


def open_database(name: str, url: str, options: SqliteOptions | None = None, *, create: bool = False) -> Database:
    """Return the database at `url`. Nothing is connected yet; a missing file is an error unless `create`."""
    path = sqlite_path(url)
    return Database(name, _sqlite_engine(path, options or SqliteOptions(), create=create), path)


def insert_if_absent(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert the row unless one with the same key is there; say whether it was inserted."""
    return connection.execute(_insert_or_nothing(table, connection.dialect.name), dict(values)).rowcount == 1


def restricted(
    query: Select[*tuple[Any, ...]], column: ColumnElement[str], values: Sequence[str] | None
) -> Iterator[Select[*tuple[Any, ...]]]:
    """Yield `query` as it is, or in parts that together ask for `values` only, in their order."""
    if values is None:
        yield query
        return
    for start in range(0, len(values), CHUNK):
        yield query.where(column.in_(list(values[start : start + CHUNK])))


@cache
def _insert_or_nothing(table: Table, dialect: str) -> Executable:
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def _sqlite_engine(path: Path, options: SqliteOptions, *, create: bool) -> Engine:
    uri = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            uri, uri=True, timeout=options.busy_timeout, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA synchronous = {options.synchronous}")
            if create:
                connection.execute("PRAGMA journal_mode = WAL")
            if options.query_only:
                connection.execute("PRAGMA query_only = ON")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, pool_size=4, max_overflow=16)

    @event.listens_for(engine, "connect")
    def note_file(_connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info["file"] = _file_identity(path)

    @event.listens_for(engine, "checkout")
    def refuse_replaced_file(
        _connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
    ) -> None:
        # An open handle outlives its file: without this, a console would go on with a database that was moved away.
        if record.info["file"] != _file_identity(path):
            raise DisconnectionError

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("treasury_begin", "BEGIN"))

    return engine


def _file_identity(path: Path) -> FileIdentity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _reason(error: BaseException) -> str:
    """Return the driver's own first line: SQLAlchemy's message would add the statement and its parameters."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    text = str(cause).strip().splitlines()
    return safe_text(text[0] if text else type(cause).__name__, 160)
