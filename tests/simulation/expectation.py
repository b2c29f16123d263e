"""What an operator's command must answer, derived from the rows alone and the independent statement of the rules."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.domain.resolution_oracle import expected
from treasury_console.domain.resolution import (
    Action,
    BranchEvidence,
    CoordinatorStatus,
    Evidence,
    LogStatus,
    Requirement,
    Ruling,
)
from treasury_console.domain.transactions import BranchState, Decision, RecordedDecision, Vote

from .acts import Operate
from .state import Row, State


def permitted(state: State, txn_id: str, act: Operate, *, now: int, down: frozenset[str]) -> bool:
    """Return whether the rules permit `act`, given what is stored, which shards are cut off, and the time.

    `now` is in microseconds since 1970, as leases are stored.
    """
    evidence = _evidence(
        state, txn_id, now, down, fence_approval=act.fence_approval and act.action is not Action.RESUME
    )
    answers = expected(evidence)
    answer = {
        Action.FORCE_COMMIT: answers.force_commit,
        Action.FORCE_ROLLBACK: answers.force_rollback,
        Action.RESUME: answers.resume,
    }[act.action]
    if answer.ruling is Ruling.REFUSE:
        return False
    return act.acknowledge_log_lost or Requirement.ACKNOWLEDGE_LOG_LOST not in answer.requires


def loss_is_proven(state: State, txn_id: str) -> bool:
    """Return whether the record itself shows that a decision was made, and none is there."""
    finished = state.transactions[txn_id]["finished_at"] is not None
    confirmed = any(leg["confirmed_at"] is not None for leg in state.branches[txn_id])
    return txn_id not in state.decisions and (finished or confirmed)


def _evidence(state: State, txn_id: str, now: int, down: frozenset[str], *, fence_approval: bool) -> Evidence:
    record = state.transactions[txn_id]
    decision = None
    if txn_id in state.decisions:
        row = state.decisions[txn_id][0]
        decided_at = datetime.fromtimestamp(0, UTC)
        decision = RecordedDecision(Decision(row["decision"]), row["decided_by"], decided_at, row["approval"])
    return Evidence(
        txn_id=txn_id,
        decision=decision,
        coordinator=_coordinator(record, state.leases[record["coordinator_id"]], now, fence_approval=fence_approval),
        log=LogStatus.LOST if loss_is_proven(state, txn_id) else LogStatus.INTACT,
        branches=tuple(_branch(state, txn_id, leg, down) for leg in state.branches[txn_id]),
    )


def _coordinator(record: Row, lease_until: int, now: int, *, fence_approval: bool) -> CoordinatorStatus:
    if record["epoch"] > 1:
        return CoordinatorStatus.FENCED
    return CoordinatorStatus.ALIVE if now < lease_until and not fence_approval else CoordinatorStatus.LAPSED


def _branch(state: State, txn_id: str, leg: Row, down: frozenset[str]) -> BranchEvidence:
    vote = None if leg["vote"] is None else Vote(leg["vote"])
    if leg["shard"] in down:
        return BranchEvidence(leg["participant"], leg["shard"], BranchState.UNKNOWN, vote)
    seen = BranchState(state.branch_state(txn_id, leg["participant"]))
    believable = not (seen is BranchState.ACTIVE and vote is Vote.YES)
    return BranchEvidence(leg["participant"], leg["shard"], seen, vote, consistent=believable)
