"""Each of product.md's exit statuses; a refusal is one plain sentence on stderr and nothing on stdout."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tests.cli.running import CommandLine
from tests.treasuries import once_at
from treasury_console.domain.resolution import Action
from treasury_console.operations import treasury as context
from treasury_console.operations.force import Approval, force
from treasury_console.twophase.steps import Step, StepHook


def assert_one_sentence(line: CommandLine, status: int, *arguments: str) -> str:
    """Assert that the command is refused with a sentence, and return it."""
    result = line.run(*arguments, status=status)
    assert result.stdout == ""
    message, *hint = result.stderr.splitlines()
    assert message.startswith("error: ")
    assert all(text.startswith("Try 'treasury-cli") for text in hint)
    return message


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("transactions", "nonsense"),
        ("transactions", "list", "--nonsense"),
        ("transactions", "list", "--age", "old"),
        ("transactions", "list", "--state", "odd"),
        ("transactions", "inspect"),
        ("transactions", "inspect", "--txn-id", "txn_none"),
        ("transactions", "force-commit", "--txn-id", "txn_none", "--approval", "INC-1"),
        ("transactions", "force-commit", "--txn-id", "txn_none"),
        ("transactions", "force-commit", "--txn-id", "txn_none", "--dry-run", "--fence", "INC-1"),
        ("transactions", "resume", "--txn-id", "txn_none"),
        ("verify",),
        ("verify", "--agent-id", "nobody"),
        ("reconcile",),
        ("reconcile", "--scope", "full", "--date", "30.12.2025"),
        ("reconcile", "--scope", "full", "--date", "2999-01-01"),
        ("reconcile", "--scope", "full", "--agent-id", "agent_1"),
        ("reconcile", "--scope", "full", "--last", "7d"),
        ("reconcile", "--agent-id", "agent_1", "--date", "2025-12-30"),
        ("reconcile", "--agent-id", "agent_1", "--last", "a week"),
        ("reconcile", "--agent-id", "nobody"),
        ("accounts", "show", "--agent-id", "nobody"),
        ("accounts", "open", "--agent-id", "@carbon", "--currency", "USD"),
        ("accounts", "open", "--agent-id", "agent_9", "--currency", "XXX"),
        ("accounts", "open", "--agent-id", "agent_9", "--currency", "USD", "--shard", "shard-9"),
        ("accounts", "list", "--currency", "XXX"),
        ("deposit", "--agent-id", "agent_1", "--amount", "1.005", "--currency", "USD"),
        ("deposit", "--agent-id", "agent_1", "--amount", "0", "--currency", "USD"),
        ("transfer", "--from", "agent_1", "--to", "agent_1", "--amount", "1", "--currency", "USD"),
        ("transfer", "--from", "agent_1", "--to", "agent_2", "--amount", "1", "--currency", "BTC"),
        ("audit", "list", "--limit", "0"),
        ("--profile", "absent", "transactions", "list"),
        ("demo",),
        ("verify", "--agent-id", "\udcff"),
    ],
    ids=" ".join,
)
def test_wrong_usage_and_unknown_ids_exit_2(line: CommandLine, arguments: tuple[str, ...]) -> None:
    before = line.scratch.contents(without=("audit_events", "audit_head"))
    assert_one_sentence(line, 2, *arguments)
    assert line.scratch.contents(without=("audit_events", "audit_head")) == before


def test_incremental_reconciliation_says_that_it_is_not_there_yet(line: CommandLine) -> None:
    message = assert_one_sentence(line, 2, "reconcile", "--scope", "incremental")
    assert "not available yet; use --scope full" in message


def test_a_treasury_that_is_not_initialised_names_the_command_that_does_it(line: CommandLine) -> None:
    line.scratch.take_away("treasury")
    assert "run treasury-cli init" in assert_one_sentence(line, 2, "transactions", "list")


def test_a_malformed_incident_id_exits_2_and_fences_nothing(line: CommandLine) -> None:
    txn_id = line.make_stuck("agent_1", "agent_2", "1", minutes=6)
    before = line.scratch.contents()
    arguments = ("transactions", "force-commit", "--txn-id", txn_id, "--approval", "because")
    assert "INC-12345" in assert_one_sentence(line, 2, *arguments)
    assert line.scratch.contents() == before


def test_a_drifting_balance_exits_1(line: CommandLine) -> None:
    line.damage_balance("shard-2", "agent_2", -5)
    verified = line.run("verify", "--agent-id", "agent_2", status=1)
    assert "DRIFT" in verified.stdout
    assert "-0.05" in verified.stdout
    line.run("verify", "--agent-id", "agent_1")
    line.run("reconcile", "--scope", "full", status=1)
    line.run("reconcile", "--agent-id", "agent_2", status=1)


def test_a_force_that_ends_with_wrong_money_exits_1_and_says_so(line: CommandLine) -> None:
    txn_id = line.make_stuck("agent_1", "agent_2", "1", minutes=6)
    line.damage_balance("shard-2", "agent_2", 7)
    result = line.run("transactions", "force-commit", "--txn-id", txn_id, "--approval", "INC-1", status=1)
    assert f"{txn_id} is COMMITTED" in result.stdout
    assert "NOT verified" in result.stdout


@pytest.mark.parametrize(
    ("statement", "bad_seq"),
    [
        ("UPDATE audit_events SET actor = 'somebody else' WHERE seq = 4", 4),
        ("DELETE FROM audit_events WHERE seq = 3", 3),
        ("UPDATE audit_events SET details = 'not JSON' WHERE seq = 5", 5),
        ("UPDATE audit_events SET phase = 'odd' WHERE seq = 2", 2),
    ],
    ids=["changed", "removed", "unreadable details", "unknown phase"],
)
def test_a_changed_audit_trail_exits_1_and_names_the_event(line: CommandLine, statement: str, bad_seq: int) -> None:
    line.scratch.tamper("treasury", statement)
    found = line.json("audit", "verify", status=1)
    assert (found["ok"], found["bad"]["seq"], found["events"]) == (False, bad_seq, bad_seq - 1)
    assert "NOT intact" in line.run("audit", "verify", status=1).stdout


def test_a_recorded_decision_with_a_branch_unconfirmed_exits_3_until_it_is_resumed(line: CommandLine) -> None:
    txn_id = line.make_stuck("agent_1", "agent_2", "1", minutes=6)
    arguments = ("transactions", "force-commit", "--txn-id", txn_id, "--approval", "INC-1")
    with line.scratch.without("shard-2"):
        result = line.run(*arguments, status=3)
        assert f"{txn_id} is COMMITTING" in result.stdout
        assert "not every branch has confirmed" in " ".join(result.stdout.split())
        assert line.json(*arguments, status=3)["verified"] is False
        line.run("transactions", "resume", status=3)
    line.run("transactions", "resume")
    assert line.json("transactions", "list") == []
    assert line.scratch.balances() == {"agent_1": 99_900, "agent_2": 100_100, "agent_3": 100_000}


@pytest.mark.parametrize(
    "arguments",
    [
        ("withdraw", "--agent-id", "agent_1", "--amount", "1000.01", "--currency", "USD"),
        ("--read-only", "deposit", "--agent-id", "agent_1", "--amount", "1", "--currency", "USD"),
        ("--read-only", "transactions", "resume"),
        ("--read-only", "reconcile", "--scope", "full"),
        ("--read-only", "init"),
    ],
    ids=" ".join,
)
def test_what_a_rule_forbids_exits_4_and_changes_nothing(line: CommandLine, arguments: tuple[str, ...]) -> None:
    before = line.scratch.contents()
    assert_one_sentence(line, 4, *arguments)
    assert line.scratch.contents() == before


def test_read_only_still_reads(line: CommandLine) -> None:
    txn_id = line.make_stuck("agent_1", "agent_2", "1", minutes=6)
    before = line.scratch.contents()
    line.run("--read-only", "transactions", "list")
    line.run("--read-only", "transactions", "inspect", "--txn-id", txn_id)
    line.run("--read-only", "verify", "--agent-id", "agent_1")
    line.run("--read-only", "audit", "verify")
    line.run("--read-only", "transactions", "force-commit", "--txn-id", txn_id, "--dry-run")
    assert line.scratch.contents() == before


def test_a_coordinator_that_is_alive_is_only_overruled_with_a_second_approval(line: CommandLine) -> None:
    txn_id = line.make_stuck("agent_1", "agent_2", "1", minutes=0)
    arguments = ("transactions", "force-rollback", "--txn-id", txn_id, "--approval", "INC-1")
    assert "alive" in assert_one_sentence(line, 4, *arguments)
    line.run(*arguments, "--fence", "INC-2")
    assert line.scratch.account("agent_1")[:2] == (100_000, 0)


def test_evidence_that_changed_since_it_was_looked_at_exits_4(line: CommandLine) -> None:
    txn_id = line.make_stuck("agent_1", "agent_2", "1", minutes=6)
    fingerprint = line.json("transactions", "inspect", "--txn-id", txn_id)["fingerprint"]
    arguments = ("transactions", "force-commit", "--txn-id", txn_id, "--approval", "INC-1", "--expect")
    assert_one_sentence(line, 4, *arguments, "0000000000000000")
    line.run(*arguments, fingerprint)


@pytest.fixture
def race(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Callable[[Action], str]:
    """Return a function that lets another operator force a transaction while the command line fences it."""

    def prepare(rivals_action: Action) -> str:
        txn_id = line.make_stuck("agent_1", "agent_2", "1", minutes=6)
        rival = line.scratch.open(actor="rival@test")
        hook: StepHook = once_at((Step.FENCED, ""), lambda: force(rival, txn_id, rivals_action, Approval("INC-777")))
        monkeypatch.setattr(context, "open_treasury", partial(context.open_treasury, on_step=hook))
        return txn_id

    return prepare


def test_the_loser_of_a_race_in_the_same_direction_is_told_by_whom_and_exits_0(
    line: CommandLine, race: Callable[[Action], str]
) -> None:
    txn_id = race(Action.FORCE_COMMIT)
    result = line.run("transactions", "force-commit", "--txn-id", txn_id, "--approval", "INC-1")
    assert "already decided commit by rival@test at 20" in result.stdout
    assert "approval INC-777" in " ".join(result.stdout.split())
    assert line.scratch.balances()["agent_2"] == 100_100


def test_the_loser_of_a_race_in_the_other_direction_is_refused_and_told_by_whom(
    line: CommandLine, race: Callable[[Action], str]
) -> None:
    txn_id = race(Action.FORCE_COMMIT)
    message = assert_one_sentence(line, 4, "transactions", "force-rollback", "--txn-id", txn_id, "--approval", "INC-1")
    assert "decided commit by rival@test at 20" in message
    assert line.scratch.balances()["agent_2"] == 100_100


def test_a_shard_that_does_not_answer_exits_5(line: CommandLine) -> None:
    with line.scratch.without("shard-2"):
        assert_one_sentence(line, 5, "verify", "--agent-id", "agent_2")
        assert_one_sentence(line, 5, "reconcile", "--scope", "full")
        assert_one_sentence(line, 5, "accounts", "list")


def test_a_treasury_database_that_cannot_be_read_exits_5(line: CommandLine) -> None:
    line.scratch.close()
    line.scratch.file("treasury").write_bytes(b"this is no database at all, and was never one" * 40)
    assert_one_sentence(line, 5, "transactions", "list")


def test_resuming_everything_goes_on_past_a_failure_and_exits_with_the_worst_status(
    line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from treasury_console.domain.errors import Unreachable
    from treasury_console.operations import force as operation

    applied_once = (Step.APPLIED, "agent_1")
    first = line.make_stuck("agent_1", "agent_2", "1", minutes=9, step=applied_once)
    second = line.make_stuck("agent_1", "agent_2", "1", minutes=8, step=applied_once)
    real = operation.resume

    def fails_on_the_first(treasury: context.Treasury, txn_id: str, **options: Callable[[str], None]) -> object:
        if txn_id == first:
            raise Unreachable("database treasury did not answer")
        return real(treasury, txn_id, **options)

    monkeypatch.setattr(operation, "resume", fails_on_the_first)
    result = line.run("transactions", "resume", status=5)
    assert result.stderr == "error: database treasury did not answer\n"
    assert f"{second} is COMMITTED" in result.stdout
