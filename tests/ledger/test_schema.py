"""Migrations make exactly what the tables say, once; a database that is not ours, or newer, is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, inspect

from tests.treasuries import ScratchTreasury, scratch_folder, settings_in
from treasury_console import ledger
from treasury_console.domain.errors import ConfigurationError
from treasury_console.ledger.database import Database, open_database
from treasury_console.ledger.schema import NEWEST_VERSION, SchemaKind, migrate, schema_version
from treasury_console.ledger.shard_tables import shard_metadata
from treasury_console.ledger.treasury_tables import treasury_metadata
from treasury_console.operations.setup import initialise, needs_initialising
from treasury_console.operations.treasury import open_treasury

METADATA = {SchemaKind.TREASURY: treasury_metadata, SchemaKind.SHARD: shard_metadata}

kinds = pytest.mark.parametrize("kind", list(SchemaKind))


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch_folder() as folder:
        yield folder


def new_database(folder: Path, name: str) -> Database:
    return open_database(name, f"sqlite:///{folder / name}.sqlite", create=True)


def described(database: Database, table: str) -> dict[str, Any]:
    """Return everything the database says of a table: alembic's comparison leaves CHECKs and partial indexes out."""
    look = inspect(database.engine)
    return {
        "columns": [
            (column["name"], str(column["type"]), column["nullable"], column["default"])
            for column in sorted(look.get_columns(table), key=lambda column: column["name"])
        ],
        "key": look.get_pk_constraint(table),
        "unique": sorted(look.get_unique_constraints(table), key=str),
        "foreign": sorted(look.get_foreign_keys(table), key=str),
        "checks": sorted(look.get_check_constraints(table), key=str),
        "indexes": sorted(
            (
                index["name"],
                index["column_names"],
                bool(index["unique"]),
                {option: str(value) for option, value in index.get("dialect_options", {}).items()},
            )
            for index in look.get_indexes(table)
        ),
    }


@kinds
def test_migrations_produce_exactly_the_metadata(folder: Path, kind: SchemaKind) -> None:
    database = new_database(folder, "migrated")
    migrate(database, kind)
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA[kind]) == []
    database.close()


@kinds
def test_migrations_produce_the_same_constraints_and_indexes_as_the_metadata(folder: Path, kind: SchemaKind) -> None:
    migrated, created = new_database(folder, "migrated"), new_database(folder, "created")
    migrate(migrated, kind)
    metadata: MetaData = METADATA[kind]
    metadata.create_all(created.engine)
    assert set(inspect(migrated.engine).get_table_names()) == set(metadata.tables) | {"alembic_version"}
    for table in metadata.tables:
        assert described(migrated, table) == described(created, table)
    migrated.close()
    created.close()


@kinds
def test_the_newest_version_is_the_head_of_the_migrations(kind: SchemaKind) -> None:
    migrations = Path(ledger.__file__).parent / "migrations" / kind.value
    assert ScriptDirectory(str(migrations)).get_heads() == [NEWEST_VERSION[kind]]


@kinds
def test_a_database_is_without_version_before_the_migration_and_at_the_newest_after(
    folder: Path, kind: SchemaKind
) -> None:
    database = new_database(folder, "new")
    assert schema_version(database) is None
    migrate(database, kind)
    assert schema_version(database) == NEWEST_VERSION[kind]
    database.close()


def test_initialising_twice_changes_nothing(scratch: ScratchTreasury) -> None:
    before = scratch.contents()
    schema = {name: scratch.query(name, "SELECT * FROM sqlite_master") for name in scratch.names}
    done = initialise(scratch.settings)
    assert scratch.contents() == before
    assert {name: scratch.query(name, "SELECT * FROM sqlite_master") for name in scratch.names} == schema
    assert [database.name for database in done] == ["treasury", "shard-1", "shard-2"]
    assert all(database.version_before == database.version for database in done)


def test_the_first_initialisation_says_what_it_made_and_is_audited(empty: ScratchTreasury) -> None:
    with scratch_folder() as folder:
        settings = settings_in(folder / "not" / "there" / "yet")
        assert needs_initialising(settings) == ["treasury", "shard-1", "shard-2"]
        done = initialise(settings)
        assert [(database.name, database.version_before) for database in done] == [
            ("treasury", None),
            ("shard-1", None),
            ("shard-2", None),
        ]
        assert needs_initialising(settings) == []
    assert [phase for phase, _, _ in empty.audit_trail("init")] == ["outcome"]


@pytest.mark.parametrize("name", ["treasury", "shard-1"])
def test_a_newer_schema_is_refused_and_left_alone(scratch: ScratchTreasury, name: str) -> None:
    scratch.execute(name, "UPDATE alembic_version SET version_num = '9999'")
    before = scratch.contents()
    with pytest.raises(ConfigurationError, match=f"database {name} is at schema 9999, newer"):
        open_treasury(scratch.settings)
    with pytest.raises(ConfigurationError, match=f"database {name} is at schema 9999, newer"):
        initialise(scratch.settings)
    assert scratch.contents() == before


def test_an_older_schema_is_refused_until_it_is_initialised(scratch: ScratchTreasury) -> None:
    scratch.execute("treasury", "UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(ConfigurationError, match="older than 0001; run treasury-cli init"):
        open_treasury(scratch.settings)
    assert needs_initialising(scratch.settings) == ["treasury"]


def test_a_treasury_that_is_not_initialised_is_refused(empty: ScratchTreasury) -> None:
    empty.take_away("treasury")
    with pytest.raises(ConfigurationError, match="database treasury has no file; run treasury-cli init"):
        open_treasury(empty.settings)
    assert not empty.file("treasury").exists()


def test_a_migration_that_fails_leaves_nothing_behind(folder: Path) -> None:
    database = new_database(folder, "half")
    with database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE transactions (in_the_way INTEGER)")
    with pytest.raises(Exception, match="transactions"):
        migrate(database, SchemaKind.TREASURY)
    assert inspect(database.engine).get_table_names() == ["transactions"]
    database.close()


def test_the_shard_of_another_treasury_is_refused(scratch: ScratchTreasury, empty: ScratchTreasury) -> None:
    with scratch_folder() as folder:
        other = settings_in(folder)
        initialise(other)
        (folder / "shard-1.sqlite").replace(scratch.file("shard-1"))
        with pytest.raises(ConfigurationError, match="shard shard-1 belongs to another treasury"):
            open_treasury(scratch.settings)
        with pytest.raises(ConfigurationError, match="shard shard-1 belongs to another treasury"):
            initialise(scratch.settings)


def test_shards_that_changed_places_are_refused(scratch: ScratchTreasury) -> None:
    first, second, aside = scratch.file("shard-1"), scratch.file("shard-2"), scratch.folder / "aside"
    first.replace(aside)
    second.replace(first)
    aside.replace(second)
    with pytest.raises(ConfigurationError, match="database of shard shard-1 is shard shard-2"):
        open_treasury(scratch.settings)


def test_a_folder_that_cannot_be_made_is_one_sentence(folder: Path) -> None:
    (folder / "file").write_text("in the way")
    with pytest.raises(Exception, match=r"^the folder .* of database treasury cannot be made: [A-Z][a-z ]+$"):
        initialise(settings_in(folder / "file" / "below"))
