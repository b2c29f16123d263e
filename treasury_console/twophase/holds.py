"""The `holds` resource manager: a prepared branch is a durable hold row, so no lock is kept while in doubt.

PREPARE commits a hold; COMMIT turns it into a journal entry; ROLLBACK releases it and leaves a tombstone in
`branch_log`. Each is one transaction on the shard. It works on every database the ledger knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from treasury_console.domain.accounts import Account, release, reserve, settle
from treasury_console.domain.errors import InsufficientFunds, StoreCorrupt
from treasury_console.domain.money import AmountOutOfRange
from treasury_console.domain.text import safe_text
from treasury_console.domain.transactions import Branch, BranchState, BranchVote, Transaction, Vote
from treasury_console.ledger.accounts import find_account, store_account
from treasury_console.ledger.branches import (
    Hold,
    StoredBranch,
    append_entries,
    incoming_credits,
    log_outcome,
    place_hold,
    read_branch,
    read_branches,
    remove_hold,
)
from treasury_console.ledger.database import Connection, Database
from treasury_console.twophase.resource_manager import BranchSighting


@dataclass(frozen=True)
class HoldsResourceManager:
    """Two-phase commit by hold rows on one shard."""

    database: Database
    clock: Callable[[], datetime]

    def prepare(self, transaction: Transaction, branch: Branch) -> BranchVote:
        """Vote yes by placing a hold, or no with the reason."""
        with self.database.write() as connection:
            stored = read_branch(connection, transaction.txn_id, branch.participant)
            if stored.state is BranchState.ROLLED_BACK:
                return BranchVote(Vote.NO, "the branch was rolled back before it prepared")
            if stored.state is not BranchState.ACTIVE:
                return BranchVote(Vote.YES, "prepared before")
            account = find_account(connection, branch.participant, transaction.currency, lock=True)
            if account is None:
                return BranchVote(Vote.NO, f"no {transaction.currency} account")
            incoming = (
                incoming_credits(connection, branch.participant, transaction.currency) if branch.amount > 0 else 0
            )
            try:
                after = reserve(account, branch.amount, incoming)
            except (InsufficientFunds, AmountOutOfRange) as refusal:
                return BranchVote(Vote.NO, str(refusal))
            if after != account:
                store_account(connection, account, after)
            place_hold(
                connection,
                Hold(
                    transaction.txn_id,
                    branch.participant,
                    transaction.currency,
                    branch.amount,
                    branch.contra,
                    transaction.kind.value,
                    transaction.reference,
                    transaction.epoch,
                    self.clock(),
                ),
            )
        return BranchVote(Vote.YES, "hold placed")

    def commit(self, transaction: Transaction, branch: Branch) -> BranchState:
        """Turn the hold into an entry. A branch that never prepared is left as it is."""
        with self.database.write() as connection:
            stored = read_branch(connection, transaction.txn_id, branch.participant)
            if stored.hold is None or stored.state is not BranchState.PREPARED:
                return stored.state
            account = _locked_account(connection, stored.hold)
            after = settle(account, stored.hold.amount)
            at = self.clock()
            store_account(connection, account, after)
            append_entries(connection, stored.hold, after, at)
            _end_branch(connection, transaction, branch, BranchState.COMMITTED, at)
        return BranchState.COMMITTED

    def rollback(self, transaction: Transaction, branch: Branch) -> BranchState:
        """Release the hold if there is one, and bar the branch for ever."""
        with self.database.write() as connection:
            stored = read_branch(connection, transaction.txn_id, branch.participant)
            if stored.state in (BranchState.COMMITTED, BranchState.ROLLED_BACK):
                return stored.state
            if stored.hold is not None:
                account = _locked_account(connection, stored.hold)
                after = release(account, stored.hold.amount)
                if after != account:
                    store_account(connection, account, after)
            _end_branch(connection, transaction, branch, BranchState.ROLLED_BACK, self.clock())
        return BranchState.ROLLED_BACK

    def sightings(self, txn_ids: Sequence[str]) -> Mapping[tuple[str, str], BranchSighting]:
        """Return what the shard shows of the branches of `txn_ids`, all at one instant."""
        with self.database.snapshot() as connection:
            stored = read_branches(connection, txn_ids)
        return {key: _sighting(branch) for key, branch in stored.items()}


def _locked_account(connection: Connection, hold: Hold) -> Account:
    account = find_account(connection, hold.participant, hold.currency, lock=True)
    if account is None:
        raise StoreCorrupt(f"the {hold.currency} account of {safe_text(hold.participant, 40)} vanished under a hold")
    return account


def _end_branch(
    connection: Connection, transaction: Transaction, branch: Branch, state: BranchState, at: datetime
) -> None:
    remove_hold(connection, transaction.txn_id, branch.participant)
    if not log_outcome(connection, transaction.txn_id, branch.participant, transaction.epoch, state, at):
        raise StoreCorrupt(f"branch {safe_text(branch.participant, 40)} of {transaction.txn_id} ended twice")


def _sighting(stored: StoredBranch) -> BranchSighting:
    hold = stored.hold
    if stored.state is BranchState.PREPARED and hold is not None:
        return BranchSighting(
            stored.state, hold.amount, hold.currency, hold.epoch, f"hold since {hold.held_at:%Y-%m-%d %H:%M:%S}Z"
        )
    if stored.ended_at is not None:
        return BranchSighting(stored.state, detail=f"{stored.state.value} at {stored.ended_at:%Y-%m-%d %H:%M:%S}Z")
    return BranchSighting(stored.state)
