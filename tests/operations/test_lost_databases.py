"""A database that is missing, replaced or left out of the configuration is named, and never quietly done without."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.operations.forcing import ALL_PREPARED, APPROVED
from tests.treasuries import ALICE, BOB, ScratchTreasury, stuck
from treasury_console.domain.errors import Refused, StoreCorrupt, Unreachable
from treasury_console.domain.resolution import Action
from treasury_console.domain.transactions import Decision
from treasury_console.operations.accounts import list_all_accounts
from treasury_console.operations.doctor import Health, diagnose
from treasury_console.operations.force import force
from treasury_console.operations.payments import transfer
from treasury_console.operations.reconciliation import reconcile_full
from treasury_console.operations.setup import initialise
from treasury_console.operations.transactions import list_transactions
from treasury_console.operations.treasury import Treasury, open_treasury


def test_init_does_not_replace_a_treasury_whose_shards_are_still_there(scratch: ScratchTreasury) -> None:
    scratch.take_away("treasury")
    with pytest.raises(Refused, match="shard-1 belongs to a treasury"):
        initialise(scratch.settings)
    assert not scratch.file("treasury").exists()


@pytest.mark.parametrize("name", ["treasury", "shard-1"])
def test_init_touches_nothing_beside_a_log_whose_database_is_missing(scratch: ScratchTreasury, name: str) -> None:
    file = scratch.file(name)
    log = Path(f"{file}-wal")
    scratch.take_away(name)
    log.write_bytes(b"what was committed last")
    with pytest.raises(Refused, match="restore the file before anything else"):
        initialise(scratch.settings)
    assert log.read_bytes() == b"what was committed last"
    assert not file.exists()
    log.unlink()


def test_init_does_not_put_an_empty_shard_in_the_place_of_a_lost_one(scratch: ScratchTreasury) -> None:
    scratch.take_away("shard-1")
    with pytest.raises(Refused, match=r"shard-1 is missing or empty, yet [0-9]+ agents live on it"):
        initialise(scratch.settings)
    assert not scratch.file("shard-1").exists()


def test_a_shard_that_is_replaced_while_it_is_used_is_not_written(
    scratch: ScratchTreasury, treasury: Treasury, tmp_path: Path
) -> None:
    """Another treasury's shard of the same name, put in its place under an open treasury."""
    other = replace(
        scratch.settings,
        treasury_url=f"sqlite:///{tmp_path}/treasury.sqlite",
        shards=tuple(
            replace(shard, url=f"sqlite:///{tmp_path}/{shard.name}.sqlite") for shard in scratch.settings.shards
        ),
    )
    initialise(other)
    transfer(treasury, ALICE, BOB, "1.00", "USD")
    before = (tmp_path / "shard-1.sqlite").read_bytes()
    scratch.take_away("shard-1")
    shutil.copy(tmp_path / "shard-1.sqlite", scratch.file("shard-1"))
    with pytest.raises(Unreachable, match="database shard-1 is another database now"):
        transfer(treasury, ALICE, BOB, "1.00", "USD")
    assert scratch.file("shard-1").read_bytes() == before
    scratch.file("shard-1").unlink()
    scratch.bring_back("shard-1")
    transfer(treasury, ALICE, BOB, "1.00", "USD")


def test_a_shard_that_is_left_out_of_the_configuration_is_missed(scratch: ScratchTreasury) -> None:
    without = replace(scratch.settings, shards=scratch.settings.shards[:1])
    with open_treasury(without, clock=scratch.clock) as treasury:
        for operation in (reconcile_full, list_all_accounts):
            with pytest.raises(Unreachable, match="shard-2, which is not in the configuration"):
                operation(treasury)


def test_a_force_on_a_shard_that_is_left_out_is_recorded_and_pending(scratch: ScratchTreasury) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    without = replace(scratch.settings, shards=scratch.settings.shards[:1])
    with open_treasury(without, clock=scratch.clock) as treasury:
        resolution = force(treasury, txn_id, Action.FORCE_ROLLBACK, APPROVED)
    assert (resolution.decision.decision, resolution.finished, resolution.verified) == (Decision.ABORT, False, None)
    assert scratch.audit_trail(Action.FORCE_ROLLBACK.value)[-1][0] == "outcome"


def test_a_transaction_whose_coordinator_is_not_on_record_is_still_listed(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    scratch.tamper("treasury", "PRAGMA foreign_keys = OFF")
    scratch.tamper("treasury", "DELETE FROM coordinators")
    [row] = list_transactions(treasury)
    assert (row.txn_id, row.coordinator_alive) == (txn_id, False)


def test_doctor_names_the_shard_that_is_left_out(scratch: ScratchTreasury) -> None:
    without = replace(scratch.settings, shards=scratch.settings.shards[:1])
    [shards] = [found for found in diagnose(without, clock=scratch.clock) if found.subject == "shards"]
    assert (shards.health, shards.unreachable) == (Health.FAIL, True)
    assert "shard-2" in shards.message


@pytest.mark.parametrize("damage", ["kind = 'x'", "created_at = 'noon'", f"created_at = {2**63 - 1}"])
def test_a_record_that_cannot_be_read_is_a_sentence_and_no_crash(
    scratch: ScratchTreasury, treasury: Treasury, damage: str
) -> None:
    stuck(scratch, ALL_PREPARED)
    scratch.tamper("treasury", f"UPDATE transactions SET {damage}")
    with pytest.raises(StoreCorrupt, match="cannot be read"):
        list_transactions(treasury)
