"""A transaction and its branches, what each branch may be, and the one decision (X/Open DTP terms).

The coordinator decides; a branch lives on the shard of its participant; a branch that voted yes and waits for the
decision is prepared, in doubt. Amounts are minor units; times are aware UTC datetimes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from treasury_console.domain.errors import InvalidRequest
from treasury_console.domain.money import checked
from treasury_console.domain.text import safe_text

RESERVED_PREFIX = "@"
EXTERNAL = "@external"
MAX_NAME_LENGTH = 128
MAX_REFERENCE_LENGTH = 256


class Kind(StrEnum):
    """What a transaction is for."""

    TRANSFER = "transfer"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"


class Vote(StrEnum):
    """A participant's answer to PREPARE."""

    YES = "yes"
    NO = "no"


class Decision(StrEnum):
    """The outcome of a transaction, recorded once (rule R1)."""

    COMMIT = "commit"
    ABORT = "abort"


class BranchState(StrEnum):
    """What a branch really is at its shard; the letters are those of the decision table."""

    PREPARED = "prepared"  # P: voted yes, in doubt
    COMMITTED = "committed"  # C
    ROLLED_BACK = "rolled-back"  # X: rolled back, or barred by a tombstone from ever preparing
    ACTIVE = "active"  # A: neither prepared nor ended; may still prepare
    UNKNOWN = "unknown"  # U: the shard did not answer


class TransactionState(StrEnum):
    """The state of a whole transaction, derived from its decision and its branches."""

    PREPARING = "PREPARING"
    PREPARED = "PREPARED"
    COMMITTING = "COMMITTING"
    ABORTING = "ABORTING"
    COMMITTED = "COMMITTED"
    ABORTED = "ABORTED"
    HEURISTIC = "HEURISTIC"


@dataclass(frozen=True, slots=True)
class Leg:
    """One participant's share of a transaction: `amount` is added to the agent's balance."""

    agent_id: str
    amount: int


@dataclass(frozen=True, slots=True)
class Branch:
    """A leg at the shard that holds the agent.

    `contra` names the reserved owner that takes the opposite posting on the same shard (a deposit's `@external`), or
    is None when another branch does.
    """

    participant: str
    shard: str
    amount: int
    contra: str | None = None


@dataclass(frozen=True, slots=True)
class BranchVote:
    """The vote of a branch as the coordinator logged it."""

    vote: Vote
    detail: str


@dataclass(frozen=True, slots=True)
class Transaction:
    """The coordinator's record of a transaction. `amount` is the sum that changes hands, always positive."""

    txn_id: str
    kind: Kind
    currency: str
    amount: int
    reference: str
    created_at: datetime
    coordinator_id: str
    epoch: int
    branches: tuple[Branch, ...]
    idempotency_key: str | None = None

    @property
    def participants(self) -> tuple[str, ...]:
        """The agents of the transaction, in branch order."""
        return tuple(branch.participant for branch in self.branches)


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """The decision row: insert-if-absent, so the first writer is the only one."""

    decision: Decision
    decided_by: str
    decided_at: datetime
    approval: str | None


def derive_state(decision: Decision | None, branches: Sequence[BranchState]) -> TransactionState:
    """Return the state that `decision` and the branch states amount to.

    A contradiction (committed beside rolled back, or a branch ended against the decision) is HEURISTIC; a branch that
    is unknown keeps its transaction unfinished.
    """
    found = set(branches)
    committed, rolled_back = BranchState.COMMITTED in found, BranchState.ROLLED_BACK in found
    if committed and (rolled_back or BranchState.ACTIVE in found or decision is Decision.ABORT):
        return TransactionState.HEURISTIC
    if decision is Decision.COMMIT:
        if found & {BranchState.ROLLED_BACK, BranchState.ACTIVE}:
            return TransactionState.HEURISTIC
        return TransactionState.COMMITTED if found == {BranchState.COMMITTED} else TransactionState.COMMITTING
    if decision is Decision.ABORT:
        return TransactionState.ABORTED if found == {BranchState.ROLLED_BACK} else TransactionState.ABORTING
    if committed:
        return TransactionState.COMMITTING
    if found == {BranchState.PREPARED}:
        return TransactionState.PREPARED
    return TransactionState.PREPARING


def check_agent_id(agent_id: str) -> str:
    """Return `agent_id` if it can name an agent: 1 to 128 characters, no surrogates, not a reserved owner.

    Any printable or unprintable character may occur in it: it is data, shown through `safe_text`.
    """
    if not agent_id or len(agent_id) > MAX_NAME_LENGTH:
        raise InvalidRequest(f"an agent id has 1 to {MAX_NAME_LENGTH} characters, not {len(agent_id)}")
    if agent_id.startswith(RESERVED_PREFIX):
        raise InvalidRequest(f"{safe_text(agent_id, 40)!r} is reserved; agent ids do not begin with @")
    _check_storable(agent_id, "an agent id")
    return agent_id


def check_reference(reference: str) -> str:
    """Return `reference` if it is at most 256 storable characters."""
    if len(reference) > MAX_REFERENCE_LENGTH:
        raise InvalidRequest(f"a reference has at most {MAX_REFERENCE_LENGTH} characters, not {len(reference)}")
    _check_storable(reference, "a reference")
    return reference


_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,128}")


def check_idempotency_key(key: str) -> str:
    """Return `key` if it is 1 to 128 printable ASCII characters without spaces."""
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidRequest("an idempotency key has 1 to 128 printable ASCII characters and no spaces")
    return key


def check_legs(legs: Iterable[Leg]) -> tuple[Leg, ...]:
    """Return transfer legs if they are a transfer: two or more different agents, no zero leg, summing to zero."""
    legs = tuple(legs)
    repeated = [agent for agent, count in Counter(leg.agent_id for leg in legs).items() if count > 1]
    if repeated:
        raise InvalidRequest(f"{safe_text(repeated[0], 40)!r} cannot transfer to itself")
    if len(legs) < 2:
        raise InvalidRequest("a transfer needs at least two agents")
    for leg in legs:
        check_agent_id(leg.agent_id)
        if checked(leg.amount) == 0:
            raise InvalidRequest("an amount of zero moves nothing; the amount must be more than zero")
    if sum(leg.amount for leg in legs) != 0:
        raise InvalidRequest("the legs of a transfer must sum to zero")
    checked(sum(leg.amount for leg in legs if leg.amount > 0))
    return legs


def _check_storable(text: str, what: str) -> None:
    if "\x00" in text or any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise InvalidRequest(f"{what} cannot contain NUL or unpaired surrogates")
