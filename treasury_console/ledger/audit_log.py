"""The audit log: appending to the hash chain, and reading it back.

The chain has one head row, updated first, so that two writers cannot fork it on any database; `prev_hash` is unique as
a second guard. Order is by `seq`, never by time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select, bindparam, insert, select, update

from treasury_console.domain.audit import (
    AuditEvent,
    AuditRecord,
    ChainCheck,
    Phase,
    check_chain,
    details_json,
    event_hash,
)
from treasury_console.domain.errors import StoreCorrupt
from treasury_console.ledger.columns import AnyRow
from treasury_console.ledger.treasury_tables import audit_events, audit_head

# Built once: building a statement costs more than running it.
_ADVANCE_HEAD = update(audit_head).values(seq=audit_head.c.seq + 1).returning(audit_head.c.seq, audit_head.c.hash)
_INSERT_EVENT = insert(audit_events)
_SET_HEAD_HASH = update(audit_head).values(hash=bindparam("new_hash"))


_UNREADABLE = (ValueError, TypeError, AttributeError, OverflowError)


class UnreadableEvent(StoreCorrupt):
    """A stored event is not one that this program can have written."""

    def __init__(self, seq: int) -> None:
        super().__init__(f"audit event {seq} cannot be read: someone changed it; run treasury-cli audit verify")
        self.seq = seq


def append_event(connection: Connection, record: AuditRecord) -> int:
    """Append `record` in the caller's transaction and return its seq. Call it last: the head is locked until commit."""
    advanced = connection.execute(_ADVANCE_HEAD).one_or_none()
    if advanced is None:
        raise StoreCorrupt("the audit log has lost its head; nothing can be done before it is restored from a backup")
    seq, prev_hash = advanced
    this_hash = event_hash(seq, prev_hash, record)
    connection.execute(
        _INSERT_EVENT,
        {
            "seq": seq,
            "prev_hash": prev_hash,
            "hash": this_hash,
            "at": record.at,
            "actor": record.actor,
            "operation": record.operation,
            "phase": record.phase.value,
            "target": record.target,
            "approval": record.approval,
            "details": details_json(record.details),
        },
    )
    connection.execute(_SET_HEAD_HASH, {"new_hash": this_hash})
    return int(seq)


def read_events(connection: Connection, *, target: str | None = None) -> Iterator[AuditEvent]:
    """Yield events in seq order, of one `target` if given."""
    query = select(audit_events).order_by(audit_events.c.seq)
    if target is not None:
        query = query.where(audit_events.c.target == target)
    last = 0
    try:
        for row in connection.execute(query.execution_options(yield_per=1000)):
            event = _event(row)
            yield event
            last = event.seq
    except _UNREADABLE as error:
        raise UnreadableEvent(_first_unreadable(connection, query, last)) from error


def latest_events(connection: Connection, limit: int, *, target: str | None = None) -> list[AuditEvent]:
    """Return the newest `limit` events, newest first, of one `target` if given."""
    query = select(audit_events).order_by(audit_events.c.seq.desc()).limit(limit)
    if target is not None:
        query = query.where(audit_events.c.target == target)
    return [_event(row) for row in connection.execute(query)]


def verify_chain(connection: Connection) -> ChainCheck:
    """Recompute the whole chain against its head; an event that cannot even be read breaks it like any other change."""
    head = connection.execute(select(audit_head.c.seq, audit_head.c.hash)).one_or_none()
    if head is None:
        return ChainCheck(False, None, None, 0, None, "the log has lost its head")
    try:
        return check_chain(read_events(connection), (head.seq, head.hash))
    except UnreadableEvent as unreadable:
        seq = unreadable.seq
        return ChainCheck(False, 1, seq, seq - 1, seq, "it cannot be read")


def _event(row: AnyRow) -> AuditEvent:
    try:
        details = json.loads(row.details)
        if details_json(details) != row.details or not _is_text(
            row.actor, row.operation, row.target, row.approval or ""
        ):
            raise UnreadableEvent(row.seq)
        record = AuditRecord(row.at, row.actor, row.operation, Phase(row.phase), row.target, row.approval, details)
    except _UNREADABLE as error:
        raise UnreadableEvent(row.seq) from error
    return AuditEvent(row.seq, row.prev_hash, row.hash, record)


def _is_text(*values: object) -> bool:
    return all(isinstance(value, str) for value in values)


def _first_unreadable(connection: Connection, query: Select[*tuple[Any, ...]], last: int) -> int:
    """Return the first event after `last` that cannot be read, by reading them one by one."""
    numbers = select(audit_events.c.seq).where(audit_events.c.seq > last).order_by(audit_events.c.seq)
    for seq in connection.execute(numbers).scalars().all():
        try:
            connection.execute(query.where(audit_events.c.seq == seq)).all()
        except _UNREADABLE:
            return int(seq)
    return last + 1
