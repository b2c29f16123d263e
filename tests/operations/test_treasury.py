"""Opening a treasury: refused in one sentence when it is not usable, and closed without leaving anything open."""

from __future__ import annotations

import random
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from tests.treasuries import ALICE, BOB, NOON, ScratchTreasury
from treasury_console.domain.audit import Phase
from treasury_console.domain.errors import Unreachable
from treasury_console.operations.accounts import show_accounts
from treasury_console.operations.payments import transfer
from treasury_console.operations.treasury import default_actor, open_treasury, utc_now


def test_a_treasury_that_does_not_answer_is_unreachable_in_one_sentence(scratch: ScratchTreasury) -> None:
    scratch.file("treasury").write_text("this is not a database\n" * 1000)
    with pytest.raises(Unreachable, match=r"^database treasury did not answer: file is not a database$"):
        open_treasury(scratch.settings)


def test_a_shard_that_does_not_answer_is_no_reason_not_to_open(scratch: ScratchTreasury) -> None:
    scratch.file("shard-2").write_text("this is not a database\n" * 1000)
    treasury = scratch.open()
    assert show_accounts(treasury, ALICE)
    with pytest.raises(Unreachable, match="database shard-2 did not answer"):
        show_accounts(treasury, BOB)


def test_a_missing_shard_is_not_made_by_opening_the_treasury(scratch: ScratchTreasury) -> None:
    scratch.take_away("shard-2")
    with pytest.raises(Unreachable, match="database shard-2 did not answer"):
        show_accounts(scratch.open(), BOB)
    assert not scratch.file("shard-2").exists()


def test_a_coordinator_is_registered_at_the_first_payment_and_kept(scratch: ScratchTreasury) -> None:
    count = "SELECT count(*) FROM coordinators"
    [[before]] = scratch.query("treasury", count)
    treasury = scratch.open()
    assert scratch.query("treasury", count) == [(before,)]
    transfer(treasury, ALICE, BOB, "1.00", "USD")
    transfer(treasury, ALICE, BOB, "1.00", "USD")
    assert scratch.query("treasury", count) == [(before + 1,)]


def test_the_lease_of_its_coordinator_is_the_configured_one(scratch: ScratchTreasury) -> None:
    transfer(scratch.open(lease=timedelta(seconds=90)), ALICE, BOB, "1.00", "USD")
    newest = "SELECT lease_until - started_at FROM coordinators ORDER BY rowid DESC LIMIT 1"
    assert scratch.query("treasury", newest) == [(90_000_000,)]


def test_two_treasuries_with_the_same_randomness_and_clock_give_the_same_ids(scratch: ScratchTreasury) -> None:
    ids = [
        open_treasury(scratch.settings, clock=scratch.clock, randomness=random.Random(7)).ids.new("txn", NOON)
        for _ in range(2)
    ]
    assert ids[0] == ids[1]
    assert ids[0] != scratch.open().ids.new("txn", NOON)


def test_an_event_of_its_own_is_appended_with_actor_and_clock(scratch: ScratchTreasury) -> None:
    scratch.open(actor="somebody@test").audit("test", Phase.OUTCOME, "target", "INC-1", {"n": 1})
    event = "SELECT at, actor, operation, phase, target, approval, details FROM audit_events ORDER BY seq DESC LIMIT 1"
    micros = int(NOON.timestamp()) * 1_000_000
    assert scratch.query("treasury", event) == [
        (micros, "somebody@test", "test", "outcome", "target", "INC-1", '{"n":1}')
    ]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not list open files")
def test_a_closed_treasury_leaves_no_file_open(scratch: ScratchTreasury) -> None:
    with scratch.open() as treasury:
        transfer(treasury, ALICE, BOB, "1.00", "USD")
        treasury.store.change_token()
    open_files = {str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()}
    assert not {name for name in open_files if name.startswith(str(scratch.folder))}


def test_without_a_name_the_actor_is_user_at_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "kim")
    monkeypatch.setattr(socket, "gethostname", lambda: "desk\x1b[2J")
    assert default_actor() == "kim@desk\\x1b[2J"


def test_the_default_clock_is_aware_and_in_utc() -> None:
    assert utc_now().utcoffset() == timedelta(0)
