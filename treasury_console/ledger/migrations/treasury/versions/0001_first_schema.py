"""The first schema of the treasury database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from treasury_console.ledger import columns
from treasury_console.ledger.migrations.append_only import forbid_changes

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and make history append-only."""
    op.create_table(
        "agents",
        sa.Column("agent_id", sa.String(length=128), nullable=False),
        sa.Column("shard", sa.String(length=64), nullable=False),
        sa.Column("opened_at", columns.UtcInstant(), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", name=op.f("pk_agents")),
    )
    op.create_table(
        "audit_events",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("prev_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("at", columns.UtcInstant(), nullable=False),
        sa.Column("actor", sa.String(length=160), nullable=False),
        sa.Column("operation", sa.String(length=64), nullable=False),
        sa.Column("phase", sa.String(length=10), nullable=False),
        sa.Column("target", sa.String(length=256), nullable=False),
        sa.Column("approval", sa.String(length=64), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_events")),
        sa.UniqueConstraint("hash", name=op.f("uq_audit_events_hash")),
        sa.UniqueConstraint("prev_hash", name=op.f("uq_audit_events_prev_hash")),
    )
    op.create_index("ix_audit_events_target", "audit_events", ["target"], unique=False)
    op.create_table(
        "audit_head",
        sa.Column("only_row", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.CheckConstraint("only_row = 1", name=op.f("ck_audit_head_one_row")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "carbon_sync",
        sa.Column("region", sa.String(length=40), nullable=False),
        sa.Column("signal", sa.String(length=40), nullable=False),
        sa.Column("model", sa.String(length=20), nullable=False),
        sa.Column("covered_from", columns.UtcInstant(), nullable=True),
        sa.Column("covered_to", columns.UtcInstant(), nullable=True),
        sa.Column("updated_cursor", columns.UtcInstant(), nullable=True),
        sa.Column("last_ok", columns.UtcInstant(), nullable=True),
        sa.Column("last_error", sa.String(length=256), nullable=True),
        sa.Column("next_sync", columns.UtcInstant(), nullable=True),
        sa.PrimaryKeyConstraint("region", "signal", "model", name=op.f("pk_carbon_sync")),
    )
    op.create_table(
        "coordinators",
        sa.Column("coordinator_id", sa.String(length=160), nullable=False),
        sa.Column("started_at", columns.UtcInstant(), nullable=False),
        sa.Column("lease_until", columns.UtcInstant(), nullable=False),
        sa.PrimaryKeyConstraint("coordinator_id", name=op.f("pk_coordinators")),
    )
    op.create_table(
        "incidents",
        sa.Column("incident_id", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("category", sa.String(length=40), nullable=False),
        sa.Column("escalate_to", sa.String(length=80), nullable=False),
        sa.Column("opened_at", columns.UtcInstant(), nullable=False),
        sa.Column("due_at", columns.UtcInstant(), nullable=False),
        sa.Column("acknowledged_at", columns.UtcInstant(), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=160), nullable=True),
        sa.Column("resolved_at", columns.UtcInstant(), nullable=True),
        sa.Column("resolved_by", sa.String(length=160), nullable=True),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_incidents")),
    )
    op.create_index(
        "ix_incidents_open",
        "incidents",
        ["fingerprint"],
        unique=True,
        sqlite_where=sa.text("resolved_at IS NULL"),
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_table(
        "reconciliation_runs",
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("scope", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("as_of", columns.UtcInstant(), nullable=False),
        sa.Column("started_at", columns.UtcInstant(), nullable=False),
        sa.Column("finished_at", columns.UtcInstant(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("agents_checked", sa.BigInteger(), nullable=False),
        sa.Column("entries_checked", sa.BigInteger(), nullable=False),
        sa.Column("in_flight", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=160), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_reconciliation_runs")),
    )
    op.create_index("ix_reconciliation_runs_finished_at", "reconciliation_runs", ["finished_at"], unique=False)
    op.create_table(
        "treasury_identity",
        sa.Column("treasury_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", columns.UtcInstant(), nullable=False),
        sa.PrimaryKeyConstraint("treasury_id", name=op.f("pk_treasury_identity")),
    )
    op.create_table(
        "checkpoints",
        sa.Column("agent_id", sa.String(length=128), nullable=False),
        sa.Column("currency", sa.String(length=10), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["reconciliation_runs.run_id"], name=op.f("fk_checkpoints_run_id")),
        sa.PrimaryKeyConstraint("agent_id", "currency", name=op.f("pk_checkpoints")),
    )
    op.create_table(
        "findings",
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("finding_id", sa.String(length=40), nullable=False),
        sa.Column("check_id", sa.String(length=4), nullable=False),
        sa.Column("agent_id", sa.String(length=128), nullable=False),
        sa.Column("currency", sa.String(length=10), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("expected", columns.WideAmount(), nullable=False),
        sa.Column("actual", columns.WideAmount(), nullable=False),
        sa.Column("cause", sa.String(length=40), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["reconciliation_runs.run_id"], name=op.f("fk_findings_run_id")),
        sa.PrimaryKeyConstraint("run_id", "finding_id", name=op.f("pk_findings")),
    )
    op.create_table(
        "transactions",
        sa.Column("txn_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("currency", sa.String(length=10), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.String(length=256), nullable=False),
        sa.Column("idempotency_key", sa.String(length=128), nullable=True),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", columns.UtcInstant(), nullable=False),
        sa.Column("coordinator_id", sa.String(length=160), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("fenced_by", sa.String(length=160), nullable=True),
        sa.Column("fenced_at", columns.UtcInstant(), nullable=True),
        sa.Column("finished_at", columns.UtcInstant(), nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("ck_transactions_amount_positive")),
        sa.CheckConstraint("epoch > 0", name=op.f("ck_transactions_epoch_positive")),
        sa.ForeignKeyConstraint(
            ["coordinator_id"], ["coordinators.coordinator_id"], name=op.f("fk_transactions_coordinator_id")
        ),
        sa.PrimaryKeyConstraint("txn_id", name=op.f("pk_transactions")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_transactions_idempotency_key")),
    )
    op.create_index(
        "ix_transactions_pending",
        "transactions",
        ["created_at"],
        unique=False,
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "branches",
        sa.Column("txn_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("participant", sa.String(length=128), nullable=False),
        sa.Column("shard", sa.String(length=64), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("contra", sa.String(length=128), nullable=True),
        sa.Column("vote", sa.String(length=3), nullable=True),
        sa.Column("vote_detail", sa.String(length=256), nullable=True),
        sa.Column("voted_at", columns.UtcInstant(), nullable=True),
        sa.Column("confirmed_at", columns.UtcInstant(), nullable=True),
        sa.CheckConstraint("vote IN ('yes', 'no')", name=op.f("ck_branches_vote_known")),
        sa.ForeignKeyConstraint(["txn_id"], ["transactions.txn_id"], name=op.f("fk_branches_txn_id")),
        sa.PrimaryKeyConstraint("txn_id", "participant", name=op.f("pk_branches")),
    )
    op.create_table(
        "currency_scales",
        sa.Column("code", sa.String(length=10), nullable=False),
        sa.Column("scale", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_currency_scales")),
    )
    op.create_table(
        "decisions",
        sa.Column("txn_id", sa.String(length=40), nullable=False),
        sa.Column("decision", sa.String(length=6), nullable=False),
        sa.Column("decided_by", sa.String(length=160), nullable=False),
        sa.Column("decided_at", columns.UtcInstant(), nullable=False),
        sa.Column("approval", sa.String(length=64), nullable=True),
        sa.CheckConstraint("decision IN ('commit', 'abort')", name=op.f("ck_decisions_decision_known")),
        sa.ForeignKeyConstraint(["txn_id"], ["transactions.txn_id"], name=op.f("fk_decisions_txn_id")),
        sa.PrimaryKeyConstraint("txn_id", name=op.f("pk_decisions")),
    )
    forbid_changes("audit_events", ("seq",), ("prev_hash",), ("hash",))
    forbid_changes("decisions", ("txn_id",), inserted_if_absent=True)
