"""The first schema of a shard."""

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
        "accounts",
        sa.Column("agent_id", sa.String(length=128), nullable=False),
        sa.Column("currency", sa.String(length=10), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", columns.UtcInstant(), nullable=False),
        sa.CheckConstraint("held >= 0", name=op.f("ck_accounts_held_not_negative")),
        sa.CheckConstraint("version >= 0", name=op.f("ck_accounts_version_not_negative")),
        sa.PrimaryKeyConstraint("agent_id", "currency", name=op.f("pk_accounts")),
    )
    op.create_table(
        "branch_log",
        sa.Column("txn_id", sa.String(length=40), nullable=False),
        sa.Column("participant", sa.String(length=128), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("ended_at", columns.UtcInstant(), nullable=False),
        sa.CheckConstraint("outcome IN ('committed', 'rolled-back')", name=op.f("ck_branch_log_outcome_known")),
        sa.PrimaryKeyConstraint("txn_id", "participant", name=op.f("pk_branch_log")),
    )
    op.create_table(
        "entries",
        sa.Column("txn_id", sa.String(length=40), nullable=False),
        sa.Column("agent_id", sa.String(length=128), nullable=False),
        sa.Column("currency", sa.String(length=10), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("balance_after", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("reference", sa.String(length=256), nullable=False),
        sa.Column("posted_at", columns.UtcInstant(), nullable=False),
        sa.Column("effective_at", columns.UtcInstant(), nullable=False),
        sa.CheckConstraint(
            "(version IS NULL) = (balance_after IS NULL)", name=op.f("ck_entries_reserved_owners_have_no_balance")
        ),
        sa.PrimaryKeyConstraint("txn_id", "agent_id", "currency", name=op.f("pk_entries")),
        sa.UniqueConstraint("agent_id", "currency", "version", name=op.f("uq_entries_agent_id_currency_version")),
    )
    op.create_index("ix_entries_amount", "entries", ["agent_id", "currency", "amount"], unique=False)
    op.create_table(
        "holds",
        sa.Column("txn_id", sa.String(length=40), nullable=False),
        sa.Column("participant", sa.String(length=128), nullable=False),
        sa.Column("currency", sa.String(length=10), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("contra", sa.String(length=128), nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("reference", sa.String(length=256), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("held_at", columns.UtcInstant(), nullable=False),
        sa.PrimaryKeyConstraint("txn_id", "participant", name=op.f("pk_holds")),
    )
    op.create_index("ix_holds_participant", "holds", ["participant", "currency"], unique=False)
    op.create_table(
        "shard_identity",
        sa.Column("shard_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("treasury_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", columns.UtcInstant(), nullable=False),
        sa.PrimaryKeyConstraint("shard_id", name=op.f("pk_shard_identity")),
    )
    forbid_changes("entries", ("txn_id", "agent_id", "currency"), ("agent_id", "currency", "version"))
    forbid_changes("branch_log", ("txn_id", "participant"), inserted_if_absent=True)
