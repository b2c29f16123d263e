"""Reading the audit trail, and proving that it is whole."""

from __future__ import annotations

from treasury_console.domain.audit import AuditEvent, ChainCheck
from treasury_console.ledger.audit_log import latest_events, verify_chain
from treasury_console.operations.treasury import Treasury


def newest_events(treasury: Treasury, limit: int, *, target: str | None = None) -> list[AuditEvent]:
    """Return the newest `limit` events, the newest last, of one `target` if given."""
    with treasury.store.snapshot() as connection:
        return latest_events(connection, limit, target=target)[::-1]


def verify_trail(treasury: Treasury) -> ChainCheck:
    """Recompute the whole hash chain against its head."""
    with treasury.store.snapshot() as connection:
        return verify_chain(connection)
