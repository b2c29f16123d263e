"""Reconciliation finds every kind of wrong books exactly, and nothing in right ones; a run is recorded as it was."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from tests.operations.damage import DAMAGES, A, Damage, Found, assert_found, sql, with_history
from tests.treasuries import ALICE, BOB, CAROL, FUNDED_AT, NOON, OPERATOR, ScratchTreasury, stuck
from treasury_console.domain.drift import Check, RunStatus
from treasury_console.domain.errors import InvalidRequest, Refused, UnknownId, Unreachable
from treasury_console.domain.money import MAX_MINOR_UNITS
from treasury_console.domain.resolution import Action
from treasury_console.ledger.runs import findings_of, latest_run
from treasury_console.operations.accounts import open_accounts
from treasury_console.operations.force import Approval, force
from treasury_console.operations.payments import deposit, transfer, withdraw
from treasury_console.operations.reconciliation import reconcile_agent, reconcile_full
from treasury_console.operations.treasury import Treasury
from treasury_console.twophase.steps import Step

RUN_TABLES = ("reconciliation_runs", "findings", "audit_events", "audit_head")
WEEK = timedelta(days=7)
TODAY = NOON.date()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_wrong_books_are_found_exactly_and_nothing_else(scratch: ScratchTreasury, damage: Damage) -> None:
    with_history(scratch)
    damage.do(scratch)
    result = reconcile_full(scratch.observer)
    assert_found(result.findings, damage.found)
    assert result.run.status is (RunStatus.DRIFT if damage.found else RunStatus.CLEAN)
    assert result.in_flight == ()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_run_and_its_findings_are_read_back_as_they_were(scratch: ScratchTreasury, damage: Damage) -> None:
    with_history(scratch)
    damage.do(scratch)
    result = reconcile_full(scratch.observer)
    with scratch.observer.store.snapshot() as connection:
        assert latest_run(connection) == result.run
        found = findings_of(connection, result.run.run_id)
    key = lambda finding: finding.finding_id  # noqa: E731
    assert sorted(found, key=key) == sorted(result.findings, key=key)
    assert [(finding.drift, finding.resolution) for finding in sorted(found, key=key)] == [
        (finding.drift, finding.resolution) for finding in sorted(result.findings, key=key)
    ]


def test_a_run_says_what_it_looked_at(scratch: ScratchTreasury, treasury: Treasury) -> None:
    with_history(scratch)
    run = reconcile_full(treasury).run
    assert (run.scope, run.subject, run.status, run.agents_checked, run.entries_checked, run.in_flight, run.actor) == (
        "full",
        "",
        RunStatus.CLEAN,
        3,
        9,
        0,
        OPERATOR,
    )
    assert run.as_of == run.started_at == run.finished_at == NOON


def test_a_treasury_without_agents_is_clean(empty: ScratchTreasury) -> None:
    result = reconcile_full(empty.open())
    assert (result.run.status, result.run.agents_checked, result.run.entries_checked) == (RunStatus.CLEAN, 0, 0)


def test_a_run_changes_nothing_but_the_record_of_runs_and_is_audited(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    with_history(scratch)
    before = scratch.contents(without=RUN_TABLES)
    result = reconcile_full(treasury)
    assert scratch.contents(without=RUN_TABLES) == before
    [[target, phase, details]] = scratch.query(
        "treasury", "SELECT target, phase, details FROM audit_events WHERE operation = 'reconcile'"
    )
    assert (target, phase) == (result.run.run_id, "outcome")
    assert details == '{"findings":0,"scope":"full","status":"clean","subject":""}'


def test_a_finding_keeps_its_name_from_run_to_run_and_two_findings_never_share_one(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    with_history(scratch)
    for name in (
        "balance overwritten upwards",
        "held without a hold",
        "running balance of an entry in the middle wrong",
    ):
        DAMAGES[name].do(scratch)
    first, second = reconcile_full(treasury), reconcile_full(treasury)
    names = [finding.finding_id for finding in first.findings]
    assert len(set(names)) == len(names) == 4
    assert names == [finding.finding_id for finding in second.findings]
    assert first.run.run_id != second.run.run_id


def test_evidence_names_the_transaction_and_the_entries(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_ids = with_history(scratch)
    DAMAGES["credit never posted"].do(scratch)
    [lost] = [finding for finding in reconcile_full(treasury).findings if finding.check is Check.TRANSACTION]
    assert lost.subject == txn_ids["carol-to-bob"]
    [evidence] = lost.evidence
    assert txn_ids["carol-to-bob"] in evidence
    assert "1 of 2" in evidence
    assert lost.resolution == "Apply missing credit"


def test_evidence_of_a_credit_posted_twice_names_the_first_one(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_ids = with_history(scratch)
    DAMAGES["credit posted twice"].do(scratch)
    [twice] = [finding for finding in reconcile_full(treasury).findings if finding.check is Check.TRANSACTION]
    assert twice.resolution == "Reverse transaction"
    what, twin = twice.evidence
    assert "txn_twice" in what
    assert twin == f"the same amount was credited by {txn_ids['carol-to-bob']} at 2025-12-30 12:00:00Z"


def test_wrong_books_beyond_64_bits_are_found_and_recorded(scratch: ScratchTreasury, treasury: Treasury) -> None:
    """Two forged entries of the largest amount: their sum fits no column, and must be told all the same."""
    with_history(scratch)
    for number in range(2):
        sql(
            "shard-1",
            "INSERT INTO entries (txn_id, agent_id, currency, amount, kind, reference, posted_at, effective_at)"
            f" VALUES ('txn_forged_{number}', '@external', 'USD', {MAX_MINOR_UNITS}, 'deposit', '', 0, 0)",
        )(scratch)
    result = reconcile_full(treasury)
    [total] = [finding for finding in result.findings if finding.check is Check.GLOBAL]
    assert total.drift == 2 * MAX_MINOR_UNITS
    with treasury.store.snapshot() as connection:
        assert {finding.finding_id for finding in findings_of(connection, result.run.run_id)} == {
            finding.finding_id for finding in result.findings
        }


def test_a_balance_that_is_wrong_by_more_than_64_bits_is_found_and_recorded(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    with_history(scratch)
    scratch.execute("shard-1", f"UPDATE accounts SET balance = {-(2**63)} WHERE agent_id = '{ALICE}'")
    assert_found(reconcile_full(treasury).findings, (Found(Check.BALANCE, ALICE, A, -(2**63)),))


def test_the_end_of_a_day_is_the_first_instant_of_the_next(scratch: ScratchTreasury, treasury: Treasury) -> None:
    """Entries one microsecond before midnight count to the day, entries at midnight do not."""
    midnight = datetime(2025, 12, 29, tzinfo=NOON.tzinfo)
    for at, amount in ((midnight - timedelta(microseconds=1), "0.01"), (midnight, "0.10")):
        scratch.clock.now = at
        deposit(treasury, ALICE, amount, "USD")
    scratch.clock.now = NOON
    scratch.execute("shard-1", f"UPDATE accounts SET balance = balance + 7 WHERE agent_id = '{ALICE}'")
    result = reconcile_full(treasury, date(2025, 12, 28))
    assert result.run.as_of == midnight
    assert result.run.entries_checked == 4
    assert_found(result.findings, (Found(Check.BALANCE, ALICE, 100_001, 100_008),))
    result = reconcile_full(treasury, date(2025, 12, 29))
    assert result.run.entries_checked == 5
    assert_found(result.findings, (Found(Check.BALANCE, ALICE, 100_011, 100_018),))


@pytest.mark.parametrize("days", range(5))
def test_right_books_are_clean_as_of_every_day(scratch: ScratchTreasury, treasury: Treasury, days: int) -> None:
    with_history(scratch)
    stuck(scratch, (Step.APPLIED, ALICE), age=timedelta(minutes=1))
    day = TODAY - timedelta(days=days)
    result = reconcile_full(treasury, day)
    assert (result.findings, result.run.status) == ((), RunStatus.CLEAN)
    assert result.run.entries_checked == {0: 10, 1: 3, 2: 3, 3: 0, 4: 0}[days]
    end = datetime.combine(day + timedelta(days=1), datetime.min.time(), NOON.tzinfo)
    assert result.run.as_of == min(end, scratch.clock())


@pytest.mark.parametrize("day", [TODAY + timedelta(days=1), date(2026, 1, 1), date.max])
def test_a_day_that_has_not_begun_is_refused_and_records_nothing(
    scratch: ScratchTreasury, treasury: Treasury, day: date
) -> None:
    before = scratch.contents()
    with pytest.raises(InvalidRequest, match=f"{day} has not begun in UTC"):
        reconcile_full(treasury, day)
    assert scratch.contents() == before


def test_today_is_the_day_in_utc(scratch: ScratchTreasury, treasury: Treasury) -> None:
    scratch.clock.now = datetime(2025, 12, 30, 0, 0, 0, 1, tzinfo=NOON.tzinfo)
    assert reconcile_full(treasury, TODAY).run.as_of == scratch.clock.now
    with pytest.raises(InvalidRequest):
        reconcile_full(treasury, TODAY + timedelta(days=1))


def test_what_is_pending_too_long_makes_a_run_pending_and_is_named_oldest_first(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    old = stuck(scratch, (Step.APPLIED, ALICE), age=timedelta(minutes=1))
    newer = stuck(scratch, (Step.CREATED, ""), age=timedelta(minutes=4))
    result = reconcile_full(treasury)
    assert (result.run.status, result.stuck) == (RunStatus.CLEAN, ())
    scratch.clock.advance(timedelta(microseconds=1))
    result = reconcile_full(treasury)
    assert (result.run.status, result.stuck, result.findings) == (RunStatus.PENDING, (old,), ())
    scratch.clock.advance(timedelta(minutes=1))
    assert reconcile_full(treasury).stuck == (old, newer)


def test_the_threshold_for_pending_is_the_configured_one(scratch: ScratchTreasury) -> None:
    txn_id = stuck(scratch, (Step.CREATED, ""), age=timedelta(minutes=1))
    assert reconcile_full(scratch.open(pending_after=timedelta(seconds=59))).stuck == (txn_id,)


def test_drift_is_worse_than_pending(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = stuck(scratch, (Step.CREATED, ""))
    scratch.execute("shard-1", f"UPDATE accounts SET balance = balance + 7 WHERE agent_id = '{ALICE}'")
    result = reconcile_full(treasury)
    assert (result.run.status, result.stuck) == (RunStatus.DRIFT, (txn_id,))


@pytest.mark.parametrize("name", ["treasury", "shard-1", "shard-2"])
def test_a_run_over_part_of_the_treasury_is_refused_and_records_nothing(
    scratch: ScratchTreasury, treasury: Treasury, name: str
) -> None:
    before = scratch.contents()
    with scratch.without(name):
        with pytest.raises(Unreachable, match=f"database {name} did not answer"):
            reconcile_full(treasury)
        with pytest.raises(Unreachable, match=f"database {name} did not answer"):
            reconcile_agent(treasury, ALICE, WEEK)
    assert scratch.contents() == before


def test_a_run_is_refused_read_only_because_it_is_recorded(scratch: ScratchTreasury) -> None:
    before = scratch.contents()
    treasury = scratch.open(read_only=True)
    with pytest.raises(Refused, match="read-only"):
        reconcile_full(treasury)
    with pytest.raises(Refused, match="read-only"):
        reconcile_agent(treasury, ALICE, WEEK)
    assert scratch.contents() == before


def test_a_run_that_cannot_be_recorded_whole_is_not_recorded(scratch: ScratchTreasury, treasury: Treasury) -> None:
    scratch.execute("shard-1", f"UPDATE accounts SET balance = balance + 7 WHERE agent_id = '{ALICE}'")
    scratch.execute(
        "treasury", "CREATE TRIGGER full BEFORE INSERT ON findings BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    before = scratch.contents()
    with pytest.raises(Exception, match="disk full"):
        reconcile_full(treasury)
    assert scratch.contents() == before


def test_entries_of_an_unfinished_transaction_that_was_decided_to_abort_are_found(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    """Nothing in flight explains them: an aborted transaction has no entries, finished or not."""
    txn_id = stuck(scratch, (Step.APPLIED, ALICE))
    scratch.tamper("treasury", "UPDATE decisions SET decision = 'abort' WHERE txn_id = ?", parameters=[txn_id])
    found = [finding for finding in reconcile_full(treasury).findings if finding.check is Check.TRANSACTION]
    assert [(finding.subject, finding.actual) for finding in found] == [(txn_id, -1000)]


def test_forced_transactions_are_clean_either_way(scratch: ScratchTreasury, treasury: Treasury) -> None:
    for action in (Action.FORCE_COMMIT, Action.FORCE_ROLLBACK):
        force(treasury, stuck(scratch, (Step.PREPARED, BOB)), action, Approval("INC-1"))
    result = reconcile_full(treasury)
    assert (result.findings, result.run.status) == ((), RunStatus.CLEAN)


def test_several_currencies_are_kept_apart(scratch: ScratchTreasury, treasury: Treasury) -> None:
    open_accounts(treasury, ALICE, ["ETH", "CO2"])
    deposit(treasury, ALICE, "1.000000001", "ETH")
    deposit(treasury, ALICE, "5.5", "CO2")
    withdraw(treasury, ALICE, "0.5", "CO2")
    assert reconcile_full(treasury).findings == ()
    scratch.execute("shard-1", "UPDATE accounts SET balance = balance + 1 WHERE currency = 'ETH'")
    [finding] = reconcile_full(treasury).findings
    assert (finding.currency, finding.drift) == ("ETH", 1)


def test_more_transactions_than_fit_one_query_are_all_checked(scratch: ScratchTreasury, treasury: Treasury) -> None:
    """A copy of one deposit 1200 times over, as SQL, all right; then one of them is not."""
    with_history(scratch)
    [[deposit_id]] = scratch.query("treasury", "SELECT txn_id FROM transactions WHERE kind = 'deposit' LIMIT 1")
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)"
    scratch.execute(
        "treasury",
        f"{numbers} INSERT INTO transactions SELECT 'txn_n' || i, kind, currency, 1, '', NULL, request_digest,"
        f" created_at, coordinator_id, 1, NULL, NULL, finished_at FROM transactions, n WHERE txn_id = '{deposit_id}'",
        f"{numbers} INSERT INTO branches SELECT 'txn_n' || i, 0, '{ALICE}', 'shard-1', 1, '@external', 'yes', '',"
        f" voted_at, confirmed_at FROM branches, n WHERE txn_id = '{deposit_id}'",
        f"{numbers} INSERT INTO decisions SELECT 'txn_n' || i, 'commit', decided_by, decided_at, NULL"
        f" FROM decisions, n WHERE txn_id = '{deposit_id}'",
    )
    columns = "(txn_id, agent_id, currency, version, amount, balance_after, kind, reference, posted_at, effective_at)"
    post = f"{numbers} INSERT INTO entries {columns} SELECT 'txn_n' || i,"
    scratch.execute(
        "shard-1",
        f"{post} '{ALICE}', 'USD', 3 + i, 1, {A} + i, 'deposit', '', 0, 0 FROM n",
        f"{post} '@external', 'USD', NULL, -1, NULL, 'deposit', '', 0, 0 FROM n",
        f"UPDATE accounts SET balance = balance + 1200, version = version + 1200 WHERE agent_id = '{ALICE}'",
    )
    result = reconcile_full(treasury)
    assert (result.findings, result.run.entries_checked) == ((), 9 + 1200)
    scratch.tamper("shard-1", "DELETE FROM entries WHERE txn_id = 'txn_n777' AND agent_id = '@external'")
    assert {(finding.check, finding.subject, finding.drift) for finding in reconcile_full(treasury).findings} == {
        (Check.TRANSACTION, "txn_n777", 1),
        (Check.GLOBAL, "", 1),
    }


def test_a_spot_check_lists_the_entries_of_its_window_and_records_its_run(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    with_history(scratch)
    result = reconcile_agent(treasury, ALICE, timedelta(days=1))
    assert [entry.amount for entry in result.entries] == [-1000, 250]
    assert [entry.balance_after for entry in result.entries] == [99_000, A]
    run = result.run
    assert (run.scope, run.subject, run.status, run.agents_checked, run.entries_checked) == (
        "agent",
        ALICE,
        RunStatus.CLEAN,
        1,
        2,
    )
    with treasury.store.snapshot() as connection:
        assert latest_run(connection, scope="agent") == run
        assert latest_run(connection, scope="full") is None


def test_the_window_of_a_spot_check_begins_exactly_so_long_ago(scratch: ScratchTreasury, treasury: Treasury) -> None:
    since_funding = NOON - FUNDED_AT
    assert len(reconcile_agent(treasury, ALICE, since_funding).entries) == 1
    assert len(reconcile_agent(treasury, ALICE, since_funding - timedelta(microseconds=1)).entries) == 0


@pytest.mark.parametrize("name", [name for name, damage in DAMAGES.items() if damage.found_by_verifying])
def test_a_spot_check_finds_what_is_wrong_with_the_agents_own_books(
    scratch: ScratchTreasury, treasury: Treasury, name: str
) -> None:
    with_history(scratch)
    DAMAGES[name].do(scratch)
    for agent_id in (ALICE, BOB, CAROL):
        own = [wanted for wanted in DAMAGES[name].found_by_verifying if wanted.agent_id == agent_id]
        found = reconcile_agent(treasury, agent_id, WEEK)
        about_it = tuple(finding for finding in found.findings if finding.check is not Check.TRANSACTION)
        assert_found(about_it, tuple(own))


@pytest.mark.parametrize(
    ("name", "agent_id"),
    [
        ("credit never posted", BOB),
        ("credit never posted", CAROL),
        ("credit posted twice", BOB),
        ("debit posted twice", ALICE),
        ("entries of a transaction that was rolled back", ALICE),
        ("opposite entry of a deposit deleted", BOB),
        ("hold of a finished transaction", ALICE),
        ("hold of a transaction that nobody started", ALICE),
    ],
)
def test_a_spot_check_finds_what_is_wrong_with_the_agents_transactions(
    scratch: ScratchTreasury, treasury: Treasury, name: str, agent_id: str
) -> None:
    with_history(scratch)
    DAMAGES[name].do(scratch)
    [wanted] = [found for found in DAMAGES[name].found if found.check in (Check.TRANSACTION, Check.HOLDS)]
    assert_found(reconcile_agent(treasury, agent_id, WEEK).findings, (wanted,))


def test_a_spot_check_leaves_other_agents_out(scratch: ScratchTreasury, treasury: Treasury) -> None:
    with_history(scratch)
    scratch.execute("shard-2", f"UPDATE accounts SET balance = balance + 7 WHERE agent_id = '{BOB}'")
    assert reconcile_agent(treasury, ALICE, WEEK).findings == ()


def test_a_spot_check_names_what_of_the_agent_is_stuck(scratch: ScratchTreasury, treasury: Treasury) -> None:
    txn_id = stuck(scratch, (Step.APPLIED, ALICE))
    for agent_id in (ALICE, BOB):
        result = reconcile_agent(treasury, agent_id, WEEK)
        assert (result.run.status, result.stuck, result.findings) == (RunStatus.PENDING, (txn_id,), ())
    result = reconcile_agent(treasury, CAROL, WEEK)
    assert (result.run.status, result.stuck) == (RunStatus.CLEAN, ())


def test_a_spot_check_of_nobody_or_of_no_time_is_refused_and_records_nothing(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    before = scratch.contents()
    with pytest.raises(UnknownId, match="there is no agent 'nobody'"):
        reconcile_agent(treasury, "nobody", WEEK)
    for window in (timedelta(0), -WEEK):
        with pytest.raises(InvalidRequest, match="longer than zero"):
            reconcile_agent(treasury, ALICE, window)
    assert scratch.contents() == before


def test_progress_is_told(treasury: Treasury) -> None:
    told: list[str] = []
    transfer(treasury, ALICE, BOB, "1.00", "USD")
    reconcile_full(treasury, on_progress=told.append)
    assert told == ["Checking balances", "Checking transactions", "Checking holds"]
