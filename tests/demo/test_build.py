"""The finished demo: what it promises is there, what is stuck is stuck as told, and what drifts is what was broken."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.demo.conftest import BuiltDemo
from treasury_console.demo.build import _found_stuck, build_demo
from treasury_console.demo.cleanup import live_coordinator_pid
from treasury_console.demo.processes import DemoFailed
from treasury_console.demo.record import load_demo
from treasury_console.demo.stories import HOSTILE_AGENT, KILLED, LIVE
from treasury_console.domain.drift import RunStatus
from treasury_console.domain.errors import InvalidRequest, Refused, Unreachable
from treasury_console.domain.transactions import BranchState, Decision, TransactionState, Vote
from treasury_console.ledger.audit_log import verify_chain
from treasury_console.ledger.runs import findings_of, latest_run
from treasury_console.operations.transactions import inspect_transaction, list_transactions
from treasury_console.operations.treasury import Treasury, utc_now

P, C, A = BranchState.PREPARED, BranchState.COMMITTED, BranchState.ACTIVE
YES, NO = Vote.YES, Vote.NO
DUPLICATED = 88_125_000
HALF_APPLIED = 3_200_000_000

STUCK = {
    # name: state, branch states, votes, decision, commit / rollback / resume allowed, table row of force-commit
    "forgotten": (TransactionState.PREPARED, (P, P), (YES, YES), None, (True, True, False), 10),
    "hostile": (TransactionState.PREPARED, (P, P), (None, None), None, (True, True, False), 10),
    "refused": (TransactionState.PREPARING, (P, A, A), (YES, NO, None), None, (False, True, False), 11),
    "half-applied": (TransactionState.COMMITTING, (C, P), (YES, YES), Decision.COMMIT, (True, False, True), 3),
    "abort-not-applied": (
        TransactionState.ABORTING,
        (P, A, A),
        (YES, NO, None),
        Decision.ABORT,
        (False, True, True),
        7,
    ),
    "not-prepared": (TransactionState.PREPARING, (A, A), (None, None), None, (False, True, False), 11),
    "runbook-1": (TransactionState.PREPARED, (P, P), (YES, YES), None, (True, True, False), 10),
    "runbook-2": (TransactionState.PREPARED, (P, P), (YES, YES), None, (True, True, False), 10),
    "live": (TransactionState.PREPARED, (P, P), (YES, YES), None, (False, False, False), 1),
}


def rows(file: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def shard_rows(built: BuiltDemo, query: str) -> list[tuple[Any, ...]]:
    return [row for name in ("shard-1", "shard-2") for row in rows(built.demo.directory / f"{name}.sqlite", query)]


def test_it_has_two_hundred_agents_about_a_thousand_transfers_and_five_currencies(built: BuiltDemo) -> None:
    treasury = built.demo.directory / "treasury.sqlite"
    assert rows(treasury, "SELECT count(*) FROM agents") == [(200,)]
    [(finished,)] = rows(
        treasury,
        "SELECT count(*) FROM transactions t JOIN decisions d USING (txn_id)"
        " WHERE kind = 'transfer' AND decision = 'commit' AND finished_at IS NOT NULL",
    )
    assert finished >= 1000
    currencies = {row[0] for row in shard_rows(built, "SELECT DISTINCT currency FROM accounts")}
    assert currencies == {"USD", "USDC", "VMC", "BTC", "ETH"}


def test_both_shards_are_used_and_transfers_cross_them(built: BuiltDemo) -> None:
    treasury = built.demo.directory / "treasury.sqlite"
    agents = dict(rows(treasury, "SELECT shard, count(*) FROM agents GROUP BY shard"))
    assert min(agents["shard-1"], agents["shard-2"]) > 60
    crossing = rows(treasury, "SELECT txn_id FROM branches GROUP BY txn_id HAVING count(DISTINCT shard) = 2")
    assert len(crossing) > 200


def test_the_hostile_agent_took_part_in_real_transfers(built: BuiltDemo) -> None:
    entries = shard_rows(built, "SELECT agent_id FROM entries WHERE kind = 'transfer' AND version IS NOT NULL")
    assert Counter(entries)[(HOSTILE_AGENT,)] >= 2


def test_exactly_the_told_transactions_are_pending_and_their_ages_are_the_storys(
    built: BuiltDemo, opened: Treasury
) -> None:
    pending = list_transactions(opened)
    assert [found.txn_id for found in pending] == [story.txn_id for story in built.demo.stuck]
    assert [story.name for story in built.demo.stuck] == list(STUCK)
    ages = [found.age for found in pending]
    assert timedelta(hours=26) <= ages[0] < timedelta(hours=27)
    assert timedelta(hours=3) <= ages[1] < timedelta(hours=4)
    assert all(timedelta(minutes=5) < age < timedelta(hours=2) for age in ages[2:])


@pytest.mark.parametrize("name", STUCK)
def test_each_stuck_transaction_is_what_its_killed_coordinator_left(
    built: BuiltDemo, opened: Treasury, name: str
) -> None:
    state, branches, votes, decision, allowed, row = STUCK[name]
    found = inspect_transaction(opened, built.txn_id(name))
    assert found.state is state
    assert found.evidence.states == branches
    assert tuple(branch.vote for branch in found.evidence.branches) == votes
    assert (found.record.decision and found.record.decision.decision) == decision
    verdicts = found.verdicts
    assert (verdicts.force_commit.allowed, verdicts.force_rollback.allowed, verdicts.resume.allowed) == allowed
    assert verdicts.force_commit.row == row
    [story] = [story for story in built.demo.stuck if story.name == name]
    assert (story.state, story.verdict, story.participants) == (
        state,
        verdicts.summary,
        found.record.transaction.participants,
    )


def test_the_half_applied_transaction_is_applied_on_one_shard_only(built: BuiltDemo) -> None:
    entry = f"SELECT agent_id, amount FROM entries WHERE txn_id = '{built.txn_id('half-applied')}'"
    assert rows(built.demo.directory / "shard-1.sqlite", entry) == [("agent_61", -HALF_APPLIED)]
    assert rows(built.demo.directory / "shard-2.sqlite", entry) == []


def test_every_coordinator_but_the_live_one_was_killed_by_sigkill(built: BuiltDemo) -> None:
    ended = {name: (report.signal, report.exit_status) for name, report in built.reports.items()}
    assert ended == dict.fromkeys(STUCK, (signal.SIGKILL, None)) | {"live": (None, None)}
    assert len({report.pid for report in built.reports.values()}) == len(STUCK)


def test_the_live_coordinator_is_a_running_process_that_holds_its_mark(built: BuiltDemo) -> None:
    pid = built.demo.live_coordinator_pid
    assert pid is not None
    assert pid == built.reports["live"].pid == live_coordinator_pid(built.demo.directory)
    os.kill(pid, 0)


def test_the_last_run_found_the_injected_drifts_and_no_others(built: BuiltDemo, opened: Treasury) -> None:
    with opened.store.snapshot() as connection:
        run = latest_run(connection, scope="full")
        assert run is not None
        found = findings_of(connection, run.run_id)
    assert (run.status, run.agents_checked, run.in_flight) == (RunStatus.DRIFT, 200, 1)
    assert {
        (finding.check, finding.agent_id, finding.currency, finding.drift, finding.cause.value) for finding in found
    } == {
        ("B1", "agent_123", "USD", 41_237, "duplicate credit"),
        ("B1", "agent_45", "ETH", -732_500_000, "orphaned debit"),
        ("T1", "agent_150", "USDC", DUPLICATED, "duplicate credit"),
        ("G1", "", "USDC", DUPLICATED, "duplicate credit"),
    }
    told = {
        (finding.finding_id, finding.cause, finding.drift) for drift in built.demo.drifts for finding in drift.findings
    }
    assert {(finding.finding_id, finding.cause, finding.drift) for finding in found} == told
    assert abs(utc_now() - run.finished_at) < timedelta(minutes=10)


def test_money_is_conserved_but_for_the_faults_and_what_is_in_flight(built: BuiltDemo) -> None:
    totals: Counter[str] = Counter()
    for currency, amount in shard_rows(built, "SELECT currency, amount FROM entries"):
        totals[currency] += amount
    assert totals == {"USD": 0, "VMC": 0, "BTC": 0, "USDC": DUPLICATED, "ETH": -HALF_APPLIED}


def test_every_balance_is_its_journals_sum_but_for_the_two_that_were_overwritten(built: BuiltDemo) -> None:
    drifted = shard_rows(
        built,
        "SELECT a.agent_id, a.currency, a.balance - total FROM accounts a JOIN"
        " (SELECT agent_id, currency, sum(amount) total FROM entries GROUP BY 1, 2) USING (agent_id, currency)"
        " WHERE a.balance <> total",
    )
    assert set(drifted) == {("agent_123", "USD", 41_237), ("agent_45", "ETH", -732_500_000)}
    held = shard_rows(built, "SELECT agent_id FROM accounts WHERE held <> 0")
    assert {row[0] for row in held} == {
        "agent_57",
        HOSTILE_AGENT,
        "agent_31",
        "agent_41",
        "agent_1",
        "agent_3",
        "agent_81",
    }


def test_the_audit_chain_is_whole(opened: Treasury) -> None:
    with opened.store.snapshot() as connection:
        assert verify_chain(connection).ok


def test_the_configuration_is_safe_against_a_kill_and_says_that_it_is_a_demo(built: BuiltDemo) -> None:
    assert built.demo.settings.synchronous == "NORMAL"
    assert built.demo.settings.banner == "DEMO"
    assert built.demo.config_file == built.demo.directory / "treasury.toml"


def test_nothing_outside_the_directory_is_touched_whatever_the_environment_says(built: BuiltDemo) -> None:
    assert not built.elsewhere.exists()
    assert [path.name for path in built.demo.directory.parent.iterdir()] == ["demo"]
    assert built.demo.directory.stat().st_mode & 0o777 == 0o700


def test_progress_is_told(built: BuiltDemo) -> None:
    assert any("200 agents" in message for message in built.messages)
    assert any("800 of" in message for message in built.messages)


def test_what_was_made_can_be_read_back(built: BuiltDemo) -> None:
    assert load_demo(built.demo.directory) == built.demo


def test_a_directory_without_a_demo_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="holds no demo"):
        load_demo(tmp_path)


def test_a_directory_with_anything_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "treasury.toml").write_text("mine")
    with pytest.raises(Refused, match="not an empty directory"):
        build_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["treasury.toml"]
    with pytest.raises(Refused, match="not an empty directory"):
        build_demo(tmp_path / "treasury.toml")


@pytest.mark.parametrize("is_new", [True, False])
def test_a_demo_that_cannot_be_made_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise Unreachable("the disk is full")

    directory = tmp_path / "demo"
    if not is_new:
        directory.mkdir()
    monkeypatch.setattr("treasury_console.demo.build.open_accounts", fail)
    with pytest.raises(Unreachable, match="the disk is full"):
        build_demo(directory)
    assert directory.exists() is not is_new
    assert list(tmp_path.rglob("*")) == ([] if is_new else [directory])


def test_a_demo_whose_stuck_transactions_are_not_as_told_is_not_handed_over(opened: Treasury) -> None:
    told = (*KILLED, LIVE)
    assert len(_found_stuck(opened, told)) == len(STUCK)
    with pytest.raises(DemoFailed, match="9 transactions are stuck in the demo, not 8"):
        _found_stuck(opened, KILLED)
    other = tuple(replace(story, verdict="resume") if story.name == "runbook-1" else story for story in told)
    with pytest.raises(
        DemoFailed, match=r"'runbook-1' became PREPARED \(commit or rollback\), not PREPARED \(resume\)"
    ):
        _found_stuck(opened, other)
