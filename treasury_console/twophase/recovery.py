"""Applying a recorded decision: the second phase, the same code for the coordinator, a force and a resume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from treasury_console.domain.errors import StoreCorrupt, Unreachable
from treasury_console.domain.transactions import BranchState, Decision, Transaction
from treasury_console.ledger.database import Connection
from treasury_console.ledger.transactions import confirm_branches, finish_if_confirmed
from treasury_console.twophase.resource_manager import Shard
from treasury_console.twophase.steps import Step, StepHook

ENDED_AS = {Decision.COMMIT: BranchState.COMMITTED, Decision.ABORT: BranchState.ROLLED_BACK}


@dataclass(frozen=True, slots=True)
class BranchOutcome:
    """How a branch stands after the decision was applied to it.

    UNKNOWN when its shard did not answer, still PREPARED when the account contradicts its hold; `detail` says how.
    """

    participant: str
    shard: str
    state: BranchState
    detail: str = ""


def apply_decision(
    transaction: Transaction, decision: Decision, shards: Mapping[str, Shard], on_step: StepHook
) -> tuple[BranchOutcome, ...]:
    """Commit or roll back every branch. Call it only after `decision` is durably recorded (rule R1)."""
    outcomes = []
    for branch in transaction.branches:
        on_step(Step.BEFORE_APPLY, branch.participant)
        shard = shards.get(branch.shard)
        state, detail = BranchState.UNKNOWN, "the shard is not in the configuration"
        if shard is not None:
            act = shard.manager.commit if decision is Decision.COMMIT else shard.manager.rollback
            try:
                state, detail = act(transaction, branch), ""
            except Unreachable as error:
                detail = str(error)
            except StoreCorrupt as error:
                state, detail = BranchState.PREPARED, str(error)
        outcomes.append(BranchOutcome(branch.participant, branch.shard, state, detail))
        on_step(Step.APPLIED, branch.participant)
    return tuple(outcomes)


def confirm(
    connection: Connection,
    transaction: Transaction,
    decision: Decision,
    outcomes: Sequence[BranchOutcome],
    at: datetime,
) -> bool:
    """Record which branches ended as decided; say whether that finished the transaction just now."""
    ended = [outcome.participant for outcome in outcomes if outcome.state is ENDED_AS[decision]]
    if ended:
        confirm_branches(connection, transaction.txn_id, ended, at)
    return finish_if_confirmed(connection, transaction.txn_id, at)
