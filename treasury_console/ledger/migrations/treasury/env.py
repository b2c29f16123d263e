"""Runs the treasury migrations on the connection that the caller put into the configuration."""

from __future__ import annotations

from alembic import context

from treasury_console.ledger.treasury_tables import treasury_metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=treasury_metadata,
    transactional_ddl=True,
    user_module_prefix="columns.",
)
context.run_migrations()
