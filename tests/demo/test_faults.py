"""Faults: each leads reconciliation to the cause the runbook names, and to nothing it did not do."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.treasuries import ALICE, BOB, HOMES, NOON, ScratchTreasury
from treasury_console.demo.faults import InjectedDrift, lose_balance_update, raise_balance_twice, write_entry_twice
from treasury_console.domain.ids import IdSource
from treasury_console.operations.payments import transfer
from treasury_console.operations.reconciliation import reconcile_full

Fault = Callable[[Path, str, str], InjectedDrift]


def entry_written_twice(shard_file: Path, agent_id: str, currency: str) -> InjectedDrift:
    return write_entry_twice(shard_file, agent_id, currency, IdSource(random.Random(3)), lambda: NOON)


FAULTS: dict[Fault, set[tuple[str, str, str, int]]] = {
    raise_balance_twice: {("B1", "duplicate credit", "Reverse transaction", 2500)},
    entry_written_twice: {
        ("T1", "duplicate credit", "Reverse transaction", 2500),
        ("G1", "duplicate credit", "Reverse transaction", 2500),
    },
    lose_balance_update: {("B1", "orphaned debit", "Apply missing credit", -2500)},
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_reconciliation_finds_the_fault_with_the_runbooks_cause_and_nothing_else(
    scratch: ScratchTreasury, fault: Fault
) -> None:
    transfer(scratch.open(), ALICE, BOB, "25.00", "USD")
    assert reconcile_full(scratch.open()).findings == ()
    injected = fault(scratch.file(HOMES[BOB]), BOB, "USD")
    found = reconcile_full(scratch.open()).findings
    assert {(finding.check, finding.cause, finding.resolution, finding.drift) for finding in found} == FAULTS[fault]
    assert {finding.finding_id for finding in found} == {finding.finding_id for finding in injected.findings}
    assert {(finding.check, finding.cause, finding.drift) for finding in found} == {
        (finding.check, finding.cause, finding.drift) for finding in injected.findings
    }
    assert {finding.agent_id for finding in found if finding.agent_id} == {BOB}


def test_the_entry_written_twice_continues_version_and_running_balance(scratch: ScratchTreasury) -> None:
    transfer(scratch.open(), ALICE, BOB, "25.00", "USD")
    before = scratch.account(BOB)
    entry_written_twice(scratch.file(HOMES[BOB]), BOB, "USD")
    assert scratch.account(BOB) == (before[0] + 2500, before[1], before[2] + 1)
    entries = scratch.query(
        HOMES[BOB], "SELECT amount, balance_after, posted_at FROM entries WHERE agent_id = ? ORDER BY version", BOB
    )
    assert entries[-1] == (2500, before[0] + 2500, entries[-2][2] + timedelta(seconds=2) // timedelta(microseconds=1))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_an_account_whose_newest_entry_is_no_credit_is_left_as_it_is(scratch: ScratchTreasury, fault: Fault) -> None:
    transfer(scratch.open(), ALICE, BOB, "25.00", "USD")
    before = scratch.contents()
    for agent_id, currency in ((ALICE, "USD"), (ALICE, "ETH")):
        with pytest.raises(LookupError, match="is no credit"):
            fault(scratch.file(HOMES[ALICE]), agent_id, currency)
    assert scratch.contents() == before


def test_a_shard_that_is_not_there_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        raise_balance_twice(tmp_path / "shard.sqlite", BOB, "USD")
    assert list(tmp_path.iterdir()) == []
