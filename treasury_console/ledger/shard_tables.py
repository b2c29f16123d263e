"""Tables of a shard: accounts, the journal, holds, and the witness of every branch's outcome."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)

from treasury_console.ledger.columns import MinorUnits, UtcInstant
from treasury_console.ledger.treasury_tables import treasury_metadata

shard_metadata = MetaData(naming_convention=treasury_metadata.naming_convention)

shard_identity = Table(
    "shard_identity",
    shard_metadata,
    Column("shard_id", String(40), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("treasury_id", String(40), nullable=False),
    Column("created_at", UtcInstant, nullable=False),
)

accounts = Table(
    "accounts",
    shard_metadata,
    Column("agent_id", String(128), nullable=False),
    Column("currency", String(10), nullable=False),
    Column("balance", MinorUnits, nullable=False),
    Column("held", MinorUnits, nullable=False),
    Column("version", MinorUnits, nullable=False),
    Column("opened_at", UtcInstant, nullable=False),
    PrimaryKeyConstraint("agent_id", "currency"),
    CheckConstraint("held >= 0", name="held_not_negative"),
    CheckConstraint("version >= 0", name="version_not_negative"),
)

entries = Table(
    "entries",
    shard_metadata,
    Column("txn_id", String(40), nullable=False),
    Column("agent_id", String(128), nullable=False),
    Column("currency", String(10), nullable=False),
    Column("version", MinorUnits),
    Column("amount", MinorUnits, nullable=False),
    Column("balance_after", MinorUnits),
    Column("kind", String(20), nullable=False),
    Column("reference", String(256), nullable=False),
    Column("posted_at", UtcInstant, nullable=False),
    Column("effective_at", UtcInstant, nullable=False),
    PrimaryKeyConstraint("txn_id", "agent_id", "currency"),
    UniqueConstraint("agent_id", "currency", "version"),
    CheckConstraint("(version IS NULL) = (balance_after IS NULL)", name="reserved_owners_have_no_balance"),
)
Index("ix_entries_amount", entries.c.agent_id, entries.c.currency, entries.c.amount)

holds = Table(
    "holds",
    shard_metadata,
    Column("txn_id", String(40), nullable=False),
    Column("participant", String(128), nullable=False),
    Column("currency", String(10), nullable=False),
    Column("amount", MinorUnits, nullable=False),
    Column("contra", String(128)),
    Column("kind", String(20), nullable=False),
    Column("reference", String(256), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("held_at", UtcInstant, nullable=False),
    PrimaryKeyConstraint("txn_id", "participant"),
)
Index("ix_holds_participant", holds.c.participant, holds.c.currency)

branch_log = Table(
    "branch_log",
    shard_metadata,
    Column("txn_id", String(40), nullable=False),
    Column("participant", String(128), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("outcome", String(12), nullable=False),
    Column("ended_at", UtcInstant, nullable=False),
    PrimaryKeyConstraint("txn_id", "participant"),
    CheckConstraint("outcome IN ('committed', 'rolled-back')", name="outcome_known"),
)
