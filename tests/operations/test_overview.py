"""The overview is what the databases hold, and its change token says when to look again."""

from __future__ import annotations

from datetime import timedelta

from tests.treasuries import ALICE, BOB, NOON, ScratchTreasury, stuck
from treasury_console.ledger.carbon import RegionSync
from treasury_console.operations.accounts import open_accounts
from treasury_console.operations.overview import change_token, read_overview
from treasury_console.operations.payments import transfer
from treasury_console.operations.reconciliation import reconcile_agent, reconcile_full
from treasury_console.operations.transactions import list_transactions
from treasury_console.operations.treasury import Treasury
from treasury_console.operations.verification import verify_agents
from treasury_console.twophase.steps import Step


def test_a_new_treasury_has_nothing_pending_no_run_and_was_never_synced(empty: ScratchTreasury) -> None:
    overview = read_overview(empty.open())
    assert (overview.read_at, overview.agents, overview.pending) == (NOON, 0, ())
    assert (overview.drift.run, overview.drift.findings, overview.carbon.regions) == (None, (), ())


def test_pending_is_what_the_list_says(scratch: ScratchTreasury, treasury: Treasury) -> None:
    stuck(scratch, (Step.PREPARED, BOB))
    stuck(scratch, (Step.APPLIED, ALICE))
    overview = read_overview(treasury)
    assert list(overview.pending) == list_transactions(treasury)
    assert overview.agents == 3


def test_drift_is_that_of_the_last_full_run(scratch: ScratchTreasury, treasury: Treasury) -> None:
    scratch.execute("shard-1", f"UPDATE accounts SET balance = balance + 7 WHERE agent_id = '{ALICE}'")
    full = reconcile_full(treasury)
    scratch.clock.advance(timedelta(minutes=1))
    reconcile_agent(treasury, BOB, timedelta(days=7))
    drift = read_overview(treasury).drift
    assert (drift.run, drift.findings) == (full.run, full.findings)
    scratch.execute("shard-1", f"UPDATE accounts SET balance = balance - 7 WHERE agent_id = '{ALICE}'")
    scratch.clock.advance(timedelta(minutes=1))
    mended = reconcile_full(treasury)
    drift = read_overview(treasury).drift
    assert (drift.run, drift.findings) == (mended.run, ())


def test_the_last_of_runs_that_finished_at_one_instant_is_the_later_one(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    first = reconcile_full(treasury)
    scratch.execute("shard-1", f"UPDATE accounts SET balance = balance + 7 WHERE agent_id = '{ALICE}'")
    second = reconcile_full(treasury)
    assert first.run.finished_at == second.run.finished_at
    drift = read_overview(treasury).drift
    assert drift.run is not None
    assert (drift.run.run_id, len(drift.findings)) == (second.run.run_id, 1)


def test_carbon_is_what_was_synced_per_region(scratch: ScratchTreasury, treasury: Treasury) -> None:
    micros = int(NOON.timestamp()) * 1_000_000
    scratch.execute(
        "treasury",
        "INSERT INTO carbon_sync (region, signal, model, covered_to, last_ok, last_error)"
        f" VALUES ('CAISO_NORTH', 'co2_moer', '2023-03-01', {micros}, {micros}, 'late')",
    )
    assert read_overview(treasury).carbon.regions == (
        RegionSync("CAISO_NORTH", "2023-03-01", NOON, NOON, "late", None),
    )


def test_the_overview_stays_when_a_shard_goes_away(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = stuck(scratch, (Step.PREPARED, BOB))
    with scratch.without("shard-2"):
        [row] = read_overview(treasury).pending
    assert (row.txn_id, row.state.value) == (txn_id, "PREPARING")


def test_reading_the_overview_writes_nothing_and_works_read_only(scratch: ScratchTreasury) -> None:
    stuck(scratch, (Step.PREPARED, BOB))
    before = scratch.contents()
    read_overview(scratch.open(read_only=True))
    assert scratch.contents() == before


def test_the_token_stays_while_nobody_writes_and_changes_with_every_write(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    watcher = scratch.open(read_only=True)
    token = change_token(watcher)
    read_overview(watcher)
    list_transactions(treasury)
    verify_agents(treasury, [ALICE])
    assert change_token(watcher) == token
    for write in (
        lambda: transfer(treasury, ALICE, BOB, "1.00", "USD"),
        lambda: open_accounts(treasury, ALICE, ["ETH"]),
        lambda: reconcile_full(treasury),
        lambda: scratch.crash_a_transfer((Step.CREATED, "")),
    ):
        write()
        changed = change_token(watcher)
        assert changed != token
        assert change_token(watcher) == changed
        token = changed


def test_the_token_changes_with_a_write_to_any_one_database(scratch: ScratchTreasury) -> None:
    watcher = scratch.open()
    token = change_token(watcher)
    for name in scratch.names:
        scratch.execute(name, "CREATE TABLE something (here INTEGER)")
        changed = change_token(watcher)
        assert changed != token
        token = changed


def test_the_token_changes_when_a_database_goes_away_and_when_it_is_back(scratch: ScratchTreasury) -> None:
    watcher = scratch.open()
    there = change_token(watcher)
    with scratch.without("shard-2"):
        away = change_token(watcher)
        assert away != there
        assert change_token(watcher) == away
    assert change_token(watcher) != away
