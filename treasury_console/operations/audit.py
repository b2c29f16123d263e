"""Reading the audit trail, and proving that it is whole."""

from __future__ import annotations

from treasury_console.domain.audit import AuditEvent, ChainCheck
from treasury_console.ledger.audit_log import latest_events, read_events, verify_chain
from treasury_console.ledger.database import Connection
from treasury_console.operations.treasury import Treasury

_UNREADABLE = (ValueError, TypeError, AttributeError)


def newest_events(treasury: Treasury, limit: int, *, target: str | None = None) -> list[AuditEvent]:
    """Return the newest `limit` events, the newest last, of one `target` if given."""
    with treasury.store.snapshot() as connection:
        return latest_events(connection, limit, target=target)[::-1]


def verify_trail(treasury: Treasury) -> ChainCheck:
    """Recompute the whole hash chain against its head.

    A stored event that cannot even be read as one breaks the chain, as any other change does.
    """
    with treasury.store.snapshot() as connection:
        try:
            return verify_chain(connection)
        except _UNREADABLE:
            return _unreadable(connection)


def _unreadable(connection: Connection) -> ChainCheck:
    first, last = None, 0
    try:
        for event in read_events(connection):
            first, last = first or event.seq, event.seq
    except _UNREADABLE:
        return ChainCheck(False, first, last or None, last, last + 1, "an event from here on cannot be read")
    raise AssertionError("an event was unreadable and then readable in one snapshot")
