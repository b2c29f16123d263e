"""Runs the shard migrations on the connection that the caller put into the configuration."""

from __future__ import annotations

from alembic import context

from treasury_console.ledger.shard_tables import shard_metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=shard_metadata,
    transactional_ddl=True,
    user_module_prefix="columns.",
)
context.run_migrations()
