"""Evidence is what the shards say now: what cannot be read is unknown, what contradicts the record is quarantined."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.treasuries import ALICE, BOB, CAROL, TRANSFER_STEPS, ScratchTreasury
from treasury_console.domain.resolution import BranchEvidence, CoordinatorStatus, Evidence, LogStatus
from treasury_console.domain.transactions import BranchState, Decision, Vote
from treasury_console.ledger.transactions import fence
from treasury_console.operations.treasury import Treasury
from treasury_console.twophase.evidence import gather_evidence
from treasury_console.twophase.steps import Step

P, C, A, U, X = (
    BranchState.PREPARED,
    BranchState.COMMITTED,
    BranchState.ACTIVE,
    BranchState.UNKNOWN,
    BranchState.ROLLED_BACK,
)
ALL_PREPARED = (Step.PREPARED, BOB)
VOTED = (Step.VOTES_LOGGED, "")


def evidence(treasury: Treasury, txn_id: str) -> Evidence:
    record = treasury.transaction_record(txn_id)
    return gather_evidence([record], treasury.shards, treasury.clock())[txn_id]


def branch(treasury: Treasury, txn_id: str, agent_id: str) -> BranchEvidence:
    [found] = [branch for branch in evidence(treasury, txn_id).branches if branch.participant == agent_id]
    return found


@pytest.mark.parametrize(
    ("step", "alice", "bob", "vote", "decision"),
    [
        ((Step.CREATED, ""), A, A, None, None),
        ((Step.BEFORE_PREPARE, ALICE), A, A, None, None),
        ((Step.PREPARED, ALICE), P, A, None, None),
        ((Step.BEFORE_PREPARE, BOB), P, A, None, None),
        ((Step.PREPARED, BOB), P, P, None, None),
        ((Step.VOTES_LOGGED, ""), P, P, Vote.YES, None),
        ((Step.BEFORE_DECISION, ""), P, P, Vote.YES, None),
        ((Step.DECIDED, ""), P, P, Vote.YES, Decision.COMMIT),
        ((Step.BEFORE_APPLY, ALICE), P, P, Vote.YES, Decision.COMMIT),
        ((Step.APPLIED, ALICE), C, P, Vote.YES, Decision.COMMIT),
        ((Step.BEFORE_APPLY, BOB), C, P, Vote.YES, Decision.COMMIT),
        ((Step.APPLIED, BOB), C, C, Vote.YES, Decision.COMMIT),
        ((Step.BEFORE_CONFIRM, ""), C, C, Vote.YES, Decision.COMMIT),
        ((Step.CONFIRMED, ""), C, C, Vote.YES, Decision.COMMIT),
    ],
)
def test_wherever_the_coordinator_died_the_evidence_is_what_is_there(
    scratch: ScratchTreasury,
    step: tuple[Step, str],
    alice: BranchState,
    bob: BranchState,
    vote: Vote | None,
    decision: Decision | None,
) -> None:
    found = evidence(scratch.open(), scratch.crash_a_transfer(step))
    assert found.states == (alice, bob)
    assert [branch.vote for branch in found.branches] == [vote, vote]
    assert all(branch.consistent for branch in found.branches)
    assert (found.decision.decision if found.decision else None) is decision
    assert found.log is LogStatus.INTACT


def test_every_step_is_covered_by_the_test_above() -> None:
    steps = test_wherever_the_coordinator_died_the_evidence_is_what_is_there.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert tuple(case[0] for case in steps) == TRANSFER_STEPS


def test_a_coordinator_is_alive_until_its_lease_runs_out_and_not_a_moment_longer(scratch: ScratchTreasury) -> None:
    txn_id = scratch.crash_a_transfer(ALL_PREPARED)
    treasury = scratch.open()
    lease = treasury.settings.lease
    assert evidence(treasury, txn_id).coordinator is CoordinatorStatus.ALIVE
    scratch.clock.advance(lease - timedelta(microseconds=1))
    assert evidence(treasury, txn_id).coordinator is CoordinatorStatus.ALIVE
    scratch.clock.advance(timedelta(microseconds=1))
    assert evidence(treasury, txn_id).coordinator is CoordinatorStatus.LAPSED


def test_a_fenced_transaction_is_fenced_even_while_its_coordinator_is_alive(scratch: ScratchTreasury) -> None:
    txn_id, other = scratch.crash_a_transfer(ALL_PREPARED), scratch.crash_a_transfer(ALL_PREPARED)
    treasury = scratch.open()
    with treasury.store.write() as connection:
        assert fence(connection, txn_id, 1, "operator@test", scratch.clock())
    assert evidence(treasury, txn_id).coordinator is CoordinatorStatus.FENCED
    assert evidence(treasury, other).coordinator is CoordinatorStatus.ALIVE


def test_a_shard_that_does_not_answer_is_unknown_with_the_reason_and_the_others_are_known(
    scratch: ScratchTreasury,
) -> None:
    txn_id = scratch.crash_a_transfer(VOTED)
    treasury = scratch.open()
    with scratch.without("shard-2"):
        found = evidence(treasury, txn_id)
    assert found.states == (P, U)
    assert [branch.vote for branch in found.branches] == [Vote.YES, Vote.YES]
    assert found.branches[1].detail == "database shard-2 did not answer: unable to open database file"
    assert found.branches[1].consistent


def test_a_shard_that_is_not_configured_is_unknown_with_the_reason(scratch: ScratchTreasury) -> None:
    txn_id = scratch.crash_a_transfer(VOTED)
    treasury = scratch.open(shards=scratch.settings.shards[:1])
    found = branch(treasury, txn_id, BOB)
    assert (found.state, found.detail) == (U, "the shard is not in the configuration")


def test_a_vote_is_told_with_its_reason(scratch: ScratchTreasury) -> None:
    txn_id = scratch.crash_a_transfer(VOTED)
    assert branch(scratch.open(), txn_id, ALICE).detail == "hold since 2025-12-30 12:00:00Z"


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ("amount = amount + 1", "the amount at the shard differs from the record"),
        ("amount = -amount", "the amount at the shard differs from the record"),
        ("currency = 'ETH'", "the currency at the shard differs from the record"),
    ],
)
def test_a_branch_that_is_not_what_was_recorded_is_inconsistent(
    scratch: ScratchTreasury, change: str, detail: str
) -> None:
    txn_id = scratch.crash_a_transfer(VOTED)
    scratch.execute("shard-2", f"UPDATE holds SET {change}")
    treasury = scratch.open()
    assert (branch(treasury, txn_id, BOB).consistent, branch(treasury, txn_id, BOB).detail) == (False, detail)
    assert branch(treasury, txn_id, ALICE).consistent


def test_a_logged_yes_without_a_trace_at_the_shard_is_inconsistent(scratch: ScratchTreasury) -> None:
    """A shard restored from a backup has forgotten its vote: whether it committed is not known any more."""
    txn_id = scratch.crash_a_transfer(VOTED)
    scratch.execute("shard-2", "DELETE FROM holds")
    found = branch(scratch.open(), txn_id, BOB)
    assert (found.state, found.consistent) == (A, False)
    assert "restored from a backup" in found.detail


def test_no_trace_without_a_logged_vote_is_only_a_branch_that_has_not_prepared(scratch: ScratchTreasury) -> None:
    txn_id = scratch.crash_a_transfer((Step.PREPARED, ALICE))
    found = branch(scratch.open(), txn_id, BOB)
    assert (found.state, found.consistent, found.detail) == (A, True, "no trace at the shard")


def test_a_tombstone_is_a_branch_that_rolled_back(scratch: ScratchTreasury) -> None:
    txn_id = scratch.crash_a_transfer((Step.PREPARED, ALICE))
    treasury = scratch.open()
    record = treasury.transaction_record(txn_id)
    treasury.shards["shard-2"].manager.rollback(record.transaction, record.transaction.branches[1])
    assert evidence(treasury, txn_id).states == (P, X)


def test_evidence_about_many_transactions_is_that_about_each(scratch: ScratchTreasury) -> None:
    txn_ids = [scratch.crash_a_transfer(step) for step in TRANSFER_STEPS]
    txn_ids.append(scratch.crash_a_transfer((Step.PREPARED, CAROL), sender=BOB, receiver=CAROL))
    treasury = scratch.open()
    records = [treasury.transaction_record(txn_id) for txn_id in txn_ids]
    together = gather_evidence(records, treasury.shards, treasury.clock())
    assert list(together) == txn_ids
    assert together == {txn_id: evidence(treasury, txn_id) for txn_id in txn_ids}


def test_gathering_evidence_writes_nothing(scratch: ScratchTreasury) -> None:
    txn_ids = [scratch.crash_a_transfer(step) for step in TRANSFER_STEPS]
    treasury = scratch.open()
    before = scratch.contents()
    for txn_id in txn_ids:
        evidence(treasury, txn_id)
    assert scratch.contents() == before
