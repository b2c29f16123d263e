"""`verify` proves that balance, journal and holds of agents agree, and finds exactly what does not."""

from __future__ import annotations

import pytest

from tests.operations.damage import DAMAGES, Damage, assert_found, with_history
from tests.treasuries import ALICE, BOB, CAROL, OPENING_BALANCE, ScratchTreasury
from treasury_console.domain.drift import Check
from treasury_console.domain.errors import InvalidRequest, UnknownId, Unreachable
from treasury_console.operations.accounts import open_accounts
from treasury_console.operations.treasury import Treasury
from treasury_console.operations.verification import verify_agents
from treasury_console.twophase.steps import Step

EVERYBODY = [ALICE, BOB, CAROL]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_what_does_not_agree_is_found_exactly_and_nothing_else(scratch: ScratchTreasury, damage: Damage) -> None:
    with_history(scratch)
    damage.do(scratch)
    verification = verify_agents(scratch.observer, EVERYBODY)
    findings = tuple(finding for account in verification.accounts for finding in account.findings)
    assert_found(findings, damage.found_by_verifying)
    assert verification.ok == (not damage.found_by_verifying)


def test_somebody_elses_damage_is_not_this_agents(scratch: ScratchTreasury) -> None:
    with_history(scratch)
    scratch.execute(
        "shard-1", f"UPDATE accounts SET balance = balance + 7, held = 3, version = 9 WHERE agent_id = '{ALICE}'"
    )
    assert verify_agents(scratch.observer, [BOB, CAROL]).ok
    [alice] = verify_agents(scratch.observer, [ALICE]).accounts
    assert {finding.check for finding in alice.findings} == {Check.BALANCE, Check.COMPLETENESS, Check.HOLDS}


def test_every_account_of_an_agent_is_verified_with_its_figures(scratch: ScratchTreasury, treasury: Treasury) -> None:
    open_accounts(treasury, ALICE, ["ETH"])
    scratch.crash_a_transfer((Step.PREPARED, ALICE))
    accounts = verify_agents(treasury, [ALICE, BOB, ALICE]).accounts
    figures = {
        (row.sums.agent_id, row.sums.currency): (
            row.shard,
            row.sums.balance,
            row.sums.entries_sum,
            row.sums.held,
            row.sums.holds_sum,
            row.sums.entries_count,
        )
        for row in accounts
    }
    assert figures == {
        (ALICE, "ETH"): ("shard-1", 0, 0, 0, 0, 0),
        (ALICE, "USD"): ("shard-1", OPENING_BALANCE, OPENING_BALANCE, 1000, 1000, 1),
        (BOB, "USD"): ("shard-2", OPENING_BALANCE, OPENING_BALANCE, 0, 0, 1),
    }
    assert [account.ok for account in accounts] == [True] * 3


def test_verifying_writes_nothing_and_works_read_only(scratch: ScratchTreasury) -> None:
    before = scratch.contents()
    assert verify_agents(scratch.open(read_only=True), EVERYBODY).ok
    assert scratch.contents() == before


def test_who_is_unknown_or_unreachable_is_not_called_verified(scratch: ScratchTreasury, treasury: Treasury) -> None:
    with pytest.raises(UnknownId, match="there is no agent 'nobody'"):
        verify_agents(treasury, [ALICE, "nobody"])
    with pytest.raises(InvalidRequest, match="name at least one agent"):
        verify_agents(treasury, [])
    with scratch.without("shard-2"):
        assert verify_agents(treasury, [ALICE]).ok
        with pytest.raises(Unreachable, match="shard-2"):
            verify_agents(treasury, [ALICE, BOB])
