"""The doctor: every fault it looks for is found when it is there, named with its cure, and not found when it is not."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import namedtuple
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from tests.treasuries import ALICE, BOB, FORCE_STEPS, Crash, Recorder, ScratchTreasury, stuck
from treasury_console.domain.errors import Refused
from treasury_console.domain.resolution import Action
from treasury_console.operations import doctor
from treasury_console.operations.doctor import Diagnosis, Health, diagnose
from treasury_console.operations.force import Approval, force, resume
from treasury_console.operations.payments import transfer
from treasury_console.twophase.steps import Step

ALL_PREPARED = (Step.BEFORE_DECISION, "")
DiskUsage = namedtuple("DiskUsage", "total used free")


def examine(scratch: ScratchTreasury) -> dict[str, Diagnosis]:
    found = diagnose(scratch.settings, clock=scratch.clock)
    by_subject = {diagnosis.subject: diagnosis for diagnosis in found}
    once = [diagnosis.subject for diagnosis in found if not diagnosis.subject.endswith(" file")]
    assert len(once) == len(set(once))
    assert all(diagnosis.remedy for diagnosis in found if diagnosis.health is not Health.OK)
    return by_subject


def force_and_die(scratch: ScratchTreasury, txn_id: str, step: tuple[Step, str]) -> None:
    with pytest.raises(Crash):
        force(scratch.open(on_step=Recorder(dies_at=step)), txn_id, Action.FORCE_COMMIT, Approval("INC-1"))


def test_a_healthy_treasury_has_nothing_wrong_but_the_durability_of_a_scratch_one(scratch: ScratchTreasury) -> None:
    before = scratch.contents()
    found = examine(scratch)
    assert [subject for subject, diagnosis in found.items() if diagnosis.health is not Health.OK] == ["durability"]
    assert scratch.contents() == before
    assert set(found) >= {"sqlite", "treasury", "shard-1", "shard-2", "clock", "audit trail", "pending"}


def test_a_clock_that_went_back_is_found(scratch: ScratchTreasury) -> None:
    transfer(scratch.open(), ALICE, BOB, "1", "USD")
    scratch.clock.advance(-timedelta(hours=3))
    diagnosis = examine(scratch)["clock"]
    assert diagnosis.health is Health.FAIL
    assert "3h before" in diagnosis.message


def test_a_transaction_from_the_future_is_found_though_later_events_are_not(scratch: ScratchTreasury) -> None:
    scratch.clock.advance(timedelta(hours=2))
    scratch.crash_a_transfer(ALL_PREPARED)
    scratch.clock.advance(-timedelta(hours=2))
    transfer(scratch.open(), ALICE, BOB, "1", "USD")
    assert examine(scratch)["clock"].health is Health.FAIL


def test_what_is_pending_longer_than_the_threshold_is_counted(scratch: ScratchTreasury) -> None:
    stuck(scratch, ALL_PREPARED, age=timedelta(minutes=4))
    assert examine(scratch)["pending"].health is Health.OK
    scratch.clock.advance(timedelta(minutes=2))
    diagnosis = examine(scratch)["pending"]
    assert (diagnosis.health, diagnosis.message) == (Health.WARN, "1 pending longer than 5m")
    assert 'transactions list --state pending --age ">5m"' in diagnosis.remedy


@pytest.mark.parametrize("step", FORCE_STEPS[:-1], ids=lambda step: f"{step[0]} {step[1]}".strip())
def test_a_force_that_died_midway_is_found_and_running_it_again_mends_it(
    scratch: ScratchTreasury, step: tuple[Step, str]
) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    force_and_die(scratch, txn_id, step)
    scratch.clock.advance(timedelta(minutes=2))
    diagnosis = examine(scratch)["forced resolutions"]
    assert diagnosis.health is Health.WARN
    assert f"force-commit of {txn_id}" in diagnosis.message
    force(scratch.open(), txn_id, Action.FORCE_COMMIT, Approval("INC-2"))
    assert examine(scratch)["forced resolutions"].health is Health.OK


def test_resuming_mends_a_force_that_died_after_its_decision(scratch: ScratchTreasury) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    force_and_die(scratch, txn_id, (Step.DECIDED, ""))
    scratch.clock.advance(timedelta(minutes=2))
    resume(scratch.open(), txn_id)
    assert examine(scratch)["forced resolutions"].health is Health.OK


def test_a_force_that_is_under_way_is_not_called_broken_off(scratch: ScratchTreasury) -> None:
    force_and_die(scratch, stuck(scratch, ALL_PREPARED), (Step.FENCED, ""))
    scratch.clock.advance(timedelta(seconds=30))
    assert examine(scratch)["forced resolutions"].health is Health.OK


def test_a_refusal_ends_its_own_intent_and_not_another(scratch: ScratchTreasury) -> None:
    txn_id = stuck(scratch, ALL_PREPARED)
    force_and_die(scratch, txn_id, (Step.FENCED, ""))
    with pytest.raises(Refused):
        force(scratch.open(), txn_id, Action.FORCE_ROLLBACK, Approval("INC-2", fingerprint="stale"))
    scratch.clock.advance(timedelta(minutes=2))
    message = examine(scratch)["forced resolutions"].message
    assert "force-commit" in message
    assert "force-rollback" not in message


def test_a_changed_audit_trail_is_found_and_the_rest_is_still_examined(scratch: ScratchTreasury) -> None:
    scratch.tamper("treasury", "UPDATE audit_events SET actor = 'x' WHERE seq = 2")
    found = examine(scratch)
    assert found["audit trail"].health is Health.FAIL
    assert "event 2" in found["audit trail"].message
    assert found["pending"].health is Health.OK


def test_a_lost_shard_is_unreachable_and_not_new(scratch: ScratchTreasury) -> None:
    with scratch.without("shard-1"):
        diagnosis = examine(scratch)["shard-1"]
        assert not scratch.file("shard-1").exists()
    assert (diagnosis.health, diagnosis.unreachable) == (Health.FAIL, True)


def test_a_file_that_is_no_database_is_unreachable(scratch: ScratchTreasury) -> None:
    scratch.file("shard-1").write_bytes(b"no database " * 1000)
    diagnosis = examine(scratch)["shard-1"]
    assert (diagnosis.health, diagnosis.unreachable) == (Health.FAIL, True)


def test_shards_that_changed_places_are_found(scratch: ScratchTreasury) -> None:
    one, other, between = scratch.file("shard-1"), scratch.file("shard-2"), scratch.folder / "between"
    one.rename(between)
    other.rename(one)
    between.rename(other)
    found = examine(scratch)
    assert [found[name].health for name in ("shard-1", "shard-2")] == [Health.FAIL, Health.FAIL]
    assert "is shard shard-2; check its URL" in found["shard-1"].message


def test_a_shard_of_another_treasury_is_found(scratch: ScratchTreasury) -> None:
    scratch.tamper("shard-1", "UPDATE shard_identity SET treasury_id = 'treasury_other'")
    assert "another treasury" in examine(scratch)["shard-1"].message


@pytest.mark.parametrize(("version", "words"), [("0000", "older than"), ("9999", "newer than")])
def test_a_schema_of_another_version_is_found(scratch: ScratchTreasury, version: str, words: str) -> None:
    scratch.execute("treasury", "UPDATE alembic_version SET version_num = ?", parameters=(version,))
    diagnosis = examine(scratch)["treasury"]
    assert (diagnosis.health, diagnosis.unreachable) == (Health.FAIL, False)
    assert words in diagnosis.message


def test_an_initialisation_that_was_broken_off_is_found(scratch: ScratchTreasury) -> None:
    scratch.tamper("treasury", "DELETE FROM treasury_identity")
    diagnosis = examine(scratch)["treasury"]
    assert (diagnosis.health, diagnosis.remedy) == (Health.FAIL, "run treasury-cli init")


def test_a_shard_whose_initialisation_was_broken_off_is_found(scratch: ScratchTreasury) -> None:
    scratch.tamper("shard-2", "DELETE FROM shard_identity")
    assert examine(scratch)["shard-2"].remedy == "run treasury-cli init"


def test_a_database_that_is_not_in_wal_mode_is_found(scratch: ScratchTreasury) -> None:
    with closing(sqlite3.connect(scratch.file("shard-2"), isolation_level=None)) as connection:
        assert connection.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    warned = [
        diagnosis.subject for diagnosis in diagnose(scratch.settings, clock=scratch.clock) if "WAL" in diagnosis.message
    ]
    assert warned == ["shard-2 file"]


@pytest.mark.parametrize(("free", "health"), [(1 << 40, Health.OK), (1 << 29, Health.WARN), (1 << 20, Health.FAIL)])
def test_a_disk_that_fills_up_is_found(
    scratch: ScratchTreasury, monkeypatch: pytest.MonkeyPatch, free: int, health: Health
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: DiskUsage(1 << 41, 0, free))
    assert examine(scratch)["treasury file"].health is health


def test_a_folder_that_cannot_be_written_is_found_unless_nothing_will_be_written(
    scratch: ScratchTreasury, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    def refuse(**_options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    diagnosis = examine(scratch)["treasury file"]
    assert diagnosis.health is Health.FAIL
    assert "cannot be written: Permission denied" in diagnosis.message
    readers = diagnose(replace(scratch.settings, read_only=True), clock=scratch.clock)
    assert all(diagnosis.health is Health.OK for diagnosis in readers if diagnosis.subject == "treasury file")


def test_an_old_sqlite_is_found(scratch: ScratchTreasury, monkeypatch: pytest.MonkeyPatch) -> None:
    assert examine(scratch)["sqlite"].health is Health.OK
    monkeypatch.setattr(doctor, "OLDEST_SQLITE", (99, 0, 0))
    diagnosis = examine(scratch)["sqlite"]
    assert diagnosis.health is Health.FAIL
    assert "99.0.0" in diagnosis.remedy
