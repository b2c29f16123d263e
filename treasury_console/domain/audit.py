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
    last, prev_hash, first = 0, GENESIS_HASH, None
    for event in events:
        first = event.seq if first is None else first
        problem = _problem(event, last, prev_hash)
        if problem is not None:
            bad_seq, reason = problem
            return ChainCheck(False, first, event.seq, last, bad_seq, reason)
        last, prev_hash = event.seq, event.hash
    if head is None or head == (last, prev_hash):
        return ChainCheck(True, first, last or None, last)
    bad_seq, reason = _problem_at_the_end(last, head)
    return ChainCheck(False, first, last or None, last, bad_seq, reason)


def _problem(event: AuditEvent, last: int, prev_hash: str) -> tuple[int, str] | None:
    """Return the first bad seq and the reason if `event` does not continue the chain that ends with `last`."""
    if event.seq <= last:
        return event.seq, "it is out of its place"
    if event.seq != last + 1:
        return last + 1, f"event {last + 1} is missing"
    if event.prev_hash != prev_hash:
        return event.seq, "it does not follow the event before it"
    if event.hash != event_hash(event.seq, event.prev_hash, event.record):
        return event.seq, "its content was changed"
    return None


def _problem_at_the_end(last: int, head: tuple[int, str]) -> tuple[int, str]:
    head_seq = head[0]
    if head_seq > last:
        return last + 1, "events are missing at the end"
    if head_seq < last:
        return head_seq + 1, "it was added behind the end of the log"
    return last, "it is not the event that the log ended with"
