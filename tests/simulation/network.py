"""Shards that can be cut off: a request lost before its effect, or a reply lost after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from treasury_console.domain.errors import Unreachable
from treasury_console.domain.transactions import Branch, BranchState, BranchVote, Transaction
from treasury_console.ledger.database import Connection, Database
from treasury_console.twophase.resource_manager import BranchSighting, ResourceManager

_T = TypeVar("_T")


@dataclass
class Network:
    """Between the actors and the shards; `calls` counts the calls to resource managers since the schedule began.

    `on_answer` is called when a shard has answered and its answer is on the way.
    """

    down: set[str] = field(default_factory=set)
    lost_requests: frozenset[int] = frozenset()
    lost_replies: frozenset[int] = frozenset()
    calls: int = 0
    on_answer: Callable[[], None] = lambda: None

    @property
    def may_lose_more(self) -> bool:
        """True while a coming call is to be lost."""
        return max(self.lost_requests | self.lost_replies, default=0) > self.calls

    def heal(self) -> None:
        """Let every call through from now on."""
        self.down.clear()
        self.lost_requests = self.lost_replies = frozenset()

    def check(self, shard: str) -> None:
        """Raise Unreachable while the shard is cut off."""
        if shard in self.down:
            raise Unreachable(f"database {shard} did not answer: cut off")

    def call(self, shard: str, act: Callable[[], _T]) -> _T:
        """Make one call to the shard's resource manager, if it gets through; its reply may be lost on the way back."""
        self.calls += 1
        number = self.calls
        self.check(shard)
        if number in self.lost_requests:
            raise Unreachable(f"database {shard} did not answer: request lost")
        answer = act()
        self.on_answer()
        if number in self.lost_replies:
            raise Unreachable(f"database {shard} did not answer: reply lost")
        return answer


@dataclass(frozen=True)
class RemoteResourceManager:
    """A resource manager on the other side of the network."""

    shard: str
    network: Network
    inner: ResourceManager

    def prepare(self, transaction: Transaction, branch: Branch) -> BranchVote:
        """Ask for the vote."""
        return self.network.call(self.shard, lambda: self.inner.prepare(transaction, branch))

    def commit(self, transaction: Transaction, branch: Branch) -> BranchState:
        """Ask for the commit."""
        return self.network.call(self.shard, lambda: self.inner.commit(transaction, branch))

    def rollback(self, transaction: Transaction, branch: Branch) -> BranchState:
        """Ask for the rollback."""
        return self.network.call(self.shard, lambda: self.inner.rollback(transaction, branch))

    def sightings(self, txn_ids: Sequence[str]) -> Mapping[tuple[str, str], BranchSighting]:
        """Ask what the shard shows."""
        return self.network.call(self.shard, lambda: self.inner.sightings(txn_ids))


class RemoteDatabase(Database):
    """A shard's database on the other side of the network, for what is read without the resource manager."""

    def __init__(self, near: Database, network: Network) -> None:
        super().__init__(near.name, near.engine, near.file)
        self._network = network

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Write, unless the shard is cut off."""
        self._network.check(self.name)
        with super().write() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Read, unless the shard is cut off."""
        self._network.check(self.name)
        with super().snapshot() as connection:
            yield connection
