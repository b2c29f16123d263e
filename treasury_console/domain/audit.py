"""The audit trail's canonical form and hash chain.

An event's hash covers every field of it and the previous event's hash, in canonical JSON (sorted keys, no floats,
integers beyond 2^53 as they are) after a domain prefix, so no two different events share a preimage and no edit,
removal or reordering before the head goes unnoticed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from treasury_console.domain.durations import iso_utc

GENESIS_HASH = "0" * 64
_DOMAIN_PREFIX = b"treasury-console/audit/v1\x00"

DetailValue = str | int | bool | None | list[str]
Details = Mapping[str, DetailValue]


class Phase(StrEnum):
    """Where in an operation an event stands."""

    INTENT = "intent"
    REFUSED = "refused"
    STEP = "step"
    OUTCOME = "outcome"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What an operation reports: who did what to which target, and why it was permitted."""

    at: datetime
    actor: str
    operation: str
    phase: Phase
    target: str
    approval: str | None = None
    details: Details = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """A record in its place in the chain; `seq` starts at 1."""

    seq: int
    prev_hash: str
    hash: str
    record: AuditRecord


def details_json(details: Details) -> str:
    """Return `details` in the canonical form that is both stored and hashed."""
    return json.dumps(details, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def event_hash(seq: int, prev_hash: str, record: AuditRecord) -> str:
    """Return the SHA-256 (hex) of the event in canonical form."""
    body = {
        "seq": seq,
        "prev_hash": prev_hash,
        "at": iso_utc(record.at),
        "actor": record.actor,
        "operation": record.operation,
        "phase": record.phase.value,
        "target": record.target,
        "approval": record.approval,
        "details": details_json(record.details),
    }
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    return hashlib.sha256(_DOMAIN_PREFIX + canonical).hexdigest()


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """The result of walking the chain: intact through `last`, or bad from `bad_seq` on for `reason`."""

    ok: bool
    first: int | None
    last: int | None
    events: int
    bad_seq: int | None = None
    reason: str | None = None


def check_chain(events: Iterable[AuditEvent], head: tuple[int, str] | None = None) -> ChainCheck:
    """Walk `events` in seq order and recompute every hash; `head` is the (seq, hash) the log claims to end with."""
    expected_seq, prev_hash, first = 1, GENESIS_HASH, None
    for event in events:
        first = first or event.seq
        reason = None
        if event.seq != expected_seq:
            reason = f"event {expected_seq} is missing"
        elif event.prev_hash != prev_hash:
            reason = "it does not follow the event before it"
        elif event.hash != event_hash(event.seq, event.prev_hash, event.record):
            reason = "its content was changed"
        if reason is not None:
            return ChainCheck(False, first, event.seq, expected_seq - 1, expected_seq, reason)
        expected_seq, prev_hash = expected_seq + 1, event.hash
    last = expected_seq - 1
    if head is not None and head != (last, prev_hash):
        return ChainCheck(False, first, last or None, last, last + 1, "events are missing at the end")
    return ChainCheck(True, first, last or None, last)
