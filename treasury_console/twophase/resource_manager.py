"""What a resource manager promises the coordinator, whichever way its shard stores a prepared branch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from treasury_console.domain.transactions import Branch, BranchState, BranchVote, Transaction
from treasury_console.ledger.database import Database


@dataclass(frozen=True, slots=True)
class BranchSighting:
    """A branch as its shard shows it; `amount` and `currency` are None when the shard no longer says them."""

    state: BranchState
    amount: int | None = None
    currency: str | None = None
    epoch: int | None = None
    detail: str = ""


class ResourceManager(Protocol):
    """The participant side of two-phase commit on one shard.

    A yes vote promises that `commit` will succeed whenever it comes. `commit` and `rollback` may be repeated; each
    returns the state the branch is in afterwards, which differs from what was asked only if the branch had ended the
    other way before. Every method raises Unreachable when the shard does not answer: the effect is then unknown.
    """

    def prepare(self, transaction: Transaction, branch: Branch) -> BranchVote:
        """Vote on the branch; a yes is durable before it is returned. A rolled-back branch can never prepare."""
        ...

    def commit(self, transaction: Transaction, branch: Branch) -> BranchState:
        """Commit the prepared branch."""
        ...

    def rollback(self, transaction: Transaction, branch: Branch) -> BranchState:
        """Roll the branch back and leave a tombstone, also if it never prepared (rule R6)."""
        ...

    def sightings(self, txn_ids: Sequence[str]) -> Mapping[tuple[str, str], BranchSighting]:
        """Return the branches of `txn_ids` that left a trace, by (txn_id, participant)."""
        ...


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard: its database, and the resource manager that acts on it."""

    name: str
    database: Database
    manager: ResourceManager
