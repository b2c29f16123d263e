"""Alembic migrations of the two kinds of database; `treasury_console.ledger.schema` runs them."""
