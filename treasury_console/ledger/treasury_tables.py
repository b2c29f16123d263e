"""Tables of the treasury database: the coordinator's log, the directory, the audit trail, runs, incidents, carbon."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

from treasury_console.ledger.columns import MinorUnits, UtcInstant, WideAmount

treasury_metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

treasury_identity = Table(
    "treasury_identity",
    treasury_metadata,
    Column("treasury_id", String(40), primary_key=True),
    Column("created_at", UtcInstant, nullable=False),
)

agents = Table(
    "agents",
    treasury_metadata,
    Column("agent_id", String(128), primary_key=True),
    Column("shard", String(64), nullable=False),
    Column("opened_at", UtcInstant, nullable=False),
)

currency_scales = Table(
    "currency_scales",
    treasury_metadata,
    Column("code", String(10), primary_key=True),
    Column("scale", Integer, nullable=False),
)

coordinators = Table(
    "coordinators",
    treasury_metadata,
    Column("coordinator_id", String(160), primary_key=True),
    Column("started_at", UtcInstant, nullable=False),
    Column("lease_until", UtcInstant, nullable=False),
)

transactions = Table(
    "transactions",
    treasury_metadata,
    Column("txn_id", String(40), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("currency", String(10), nullable=False),
    Column("amount", MinorUnits, nullable=False),
    Column("reference", String(256), nullable=False),
    Column("idempotency_key", String(128), unique=True),
    Column("request_digest", String(64), nullable=False),
    Column("created_at", UtcInstant, nullable=False),
    Column("coordinator_id", String(160), ForeignKey("coordinators.coordinator_id"), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("fenced_by", String(160)),
    Column("fenced_at", UtcInstant),
    Column("finished_at", UtcInstant),
    CheckConstraint("amount > 0", name="amount_positive"),
    CheckConstraint("epoch > 0", name="epoch_positive"),
)
Index(
    "ix_transactions_pending",
    transactions.c.created_at,
    sqlite_where=text("finished_at IS NULL"),
    postgresql_where=text("finished_at IS NULL"),
)

branches = Table(
    "branches",
    treasury_metadata,
    Column("txn_id", String(40), ForeignKey("transactions.txn_id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("participant", String(128), nullable=False),
    Column("shard", String(64), nullable=False),
    Column("amount", MinorUnits, nullable=False),
    Column("contra", String(128)),
    Column("vote", String(3)),
    Column("vote_detail", String(256)),
    Column("voted_at", UtcInstant),
    Column("confirmed_at", UtcInstant),
    PrimaryKeyConstraint("txn_id", "participant"),
    CheckConstraint("vote IN ('yes', 'no')", name="vote_known"),
)

decisions = Table(
    "decisions",
    treasury_metadata,
    Column("txn_id", String(40), ForeignKey("transactions.txn_id"), primary_key=True),
    Column("decision", String(6), nullable=False),
    Column("decided_by", String(160), nullable=False),
    Column("decided_at", UtcInstant, nullable=False),
    Column("approval", String(64)),
    CheckConstraint("decision IN ('commit', 'abort')", name="decision_known"),
)

audit_events = Table(
    "audit_events",
    treasury_metadata,
    Column("seq", MinorUnits, primary_key=True, autoincrement=False),
    Column("prev_hash", String(64), nullable=False, unique=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("at", UtcInstant, nullable=False),
    Column("actor", String(160), nullable=False),
    Column("operation", String(64), nullable=False),
    Column("phase", String(10), nullable=False),
    Column("target", String(256), nullable=False),
    Column("approval", String(64)),
    Column("details", Text, nullable=False),
)
Index("ix_audit_events_target", audit_events.c.target)

audit_head = Table(
    "audit_head",
    treasury_metadata,
    Column("only_row", Integer, primary_key=True, autoincrement=False),
    Column("seq", MinorUnits, nullable=False),
    Column("hash", String(64), nullable=False),
    CheckConstraint("only_row = 1", name="one_row"),
)

reconciliation_runs = Table(
    "reconciliation_runs",
    treasury_metadata,
    Column("run_id", String(40), primary_key=True),
    Column("scope", String(20), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("as_of", UtcInstant, nullable=False),
    Column("started_at", UtcInstant, nullable=False),
    Column("finished_at", UtcInstant, nullable=False),
    Column("status", String(10), nullable=False),
    Column("agents_checked", MinorUnits, nullable=False),
    Column("entries_checked", MinorUnits, nullable=False),
    Column("in_flight", MinorUnits, nullable=False),
    Column("actor", String(160), nullable=False),
)
Index("ix_reconciliation_runs_finished_at", reconciliation_runs.c.finished_at)

findings = Table(
    "findings",
    treasury_metadata,
    Column("run_id", String(40), ForeignKey("reconciliation_runs.run_id"), nullable=False),
    Column("finding_id", String(40), nullable=False),
    Column("check_id", String(4), nullable=False),
    Column("agent_id", String(128), nullable=False),
    Column("currency", String(10), nullable=False),
    Column("subject", String(160), nullable=False),
    Column("expected", WideAmount, nullable=False),
    Column("actual", WideAmount, nullable=False),
    Column("cause", String(40), nullable=False),
    Column("score", Integer, nullable=False),
    Column("evidence", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "finding_id"),
)

checkpoints = Table(
    "checkpoints",
    treasury_metadata,
    Column("agent_id", String(128), nullable=False),
    Column("currency", String(10), nullable=False),
    Column("version", MinorUnits, nullable=False),
    Column("balance", MinorUnits, nullable=False),
    Column("held", MinorUnits, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("run_id", String(40), ForeignKey("reconciliation_runs.run_id"), nullable=False),
    PrimaryKeyConstraint("agent_id", "currency"),
)

incidents = Table(
    "incidents",
    treasury_metadata,
    Column("incident_id", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("category", String(40), nullable=False),
    Column("escalate_to", String(80), nullable=False),
    Column("opened_at", UtcInstant, nullable=False),
    Column("due_at", UtcInstant, nullable=False),
    Column("acknowledged_at", UtcInstant),
    Column("acknowledged_by", String(160)),
    Column("resolved_at", UtcInstant),
    Column("resolved_by", String(160)),
)
Index(
    "ix_incidents_open",
    incidents.c.fingerprint,
    unique=True,
    sqlite_where=text("resolved_at IS NULL"),
    postgresql_where=text("resolved_at IS NULL"),
)

carbon_sync = Table(
    "carbon_sync",
    treasury_metadata,
    Column("region", String(40), nullable=False),
    Column("signal", String(40), nullable=False),
    Column("model", String(20), nullable=False),
    Column("covered_from", UtcInstant),
    Column("covered_to", UtcInstant),
    Column("updated_cursor", UtcInstant),
    Column("last_ok", UtcInstant),
    Column("last_error", String(256)),
    Column("next_sync", UtcInstant),
    PrimaryKeyConstraint("region", "signal", "model"),
)
