"""JSON: one document on stdout, with the keys of product.md, amounts as decimal strings, times in UTC."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.cli.running import CommandLine
from treasury_console.twophase.steps import Step

KEYS = {
    "transactions list": "txn_id, state, age_seconds, created_at, participants, amount, currency, coordinator_alive, "
    "verdict",
    "transactions inspect": "txn_id, state, decision, decided_by, amount, currency, coordinator, branches, actions, "
    "effects",
    "coordinator": "id, epoch, alive",
    "branch": "participant, shard, state, vote, detail",
    "actions": "force_commit, force_rollback, resume",
    "action": "allowed, reasons",
    "effect": "agent_id, currency, balance_before, balance_after, held_before, held_after",
    "force": "txn_id, outcome, decision, decided_by, approval, already_decided, branches, verified",
    "verify": "ok, agents",
    "verified agent": "agent_id, currency, balance, entries_sum, held, holds_sum, entries, ok, findings",
    "reconcile": "run_id, scope, as_of, status, agents_checked, entries_checked, findings",
    "finding": "finding_id, check, agent_id, currency, expected, actual, drift, cause, score, evidence, resolution",
    "audit verify": "ok, first, last, events, anchored_at, bad",
}
"""What product.md promises, word for word."""

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def assert_has_keys(document: dict[str, Any], of: str) -> None:
    assert set(KEYS[of].split(", ")) <= set(document)


@pytest.fixture
def txn_id(line: CommandLine) -> str:
    """A transfer of 10.00 that every participant voted for and nobody decided."""
    return line.make_stuck("agent_1", "agent_2", "10.00", minutes=12.5)


def test_the_list_has_its_keys(line: CommandLine, txn_id: str) -> None:
    [row] = line.json("transactions", "list")
    assert_has_keys(row, "transactions list")
    assert row["txn_id"] == txn_id
    assert row["participants"] == ["agent_1", "agent_2"]
    assert (row["amount"], row["currency"], row["state"]) == ("10.00", "USD", "PREPARED")
    assert 750 <= row["age_seconds"] < 1_000
    assert INSTANT.fullmatch(row["created_at"])
    assert row["coordinator_alive"] is False


def test_the_list_is_oldest_first(line: CommandLine, txn_id: str) -> None:
    older = line.make_stuck("agent_1", "agent_2", "1.00", minutes=60)
    assert [row["txn_id"] for row in line.json("transactions", "list")] == [older, txn_id]


def test_an_empty_list_is_an_empty_document(line: CommandLine) -> None:
    assert line.json("transactions", "list") == []


def test_the_inspection_has_its_keys(line: CommandLine, txn_id: str) -> None:
    found = line.json("transactions", "inspect", "--txn-id", txn_id)
    assert_has_keys(found, "transactions inspect")
    assert_has_keys(found["coordinator"], "coordinator")
    for branch in found["branches"]:
        assert_has_keys(branch, "branch")
    assert_has_keys(found["actions"], "actions")
    assert_has_keys(found["effects"], "actions")
    for action in found["actions"].values():
        assert_has_keys(action, "action")
    for effects in found["effects"].values():
        for effect in effects:
            assert_has_keys(effect, "effect")
    assert found["decision"] is None
    assert found["blocked"] == []
    assert found["actions"]["resume"]["allowed"] is False
    assert found["effects"]["force_commit"][0] == {
        "agent_id": "agent_1",
        "currency": "USD",
        "balance_before": "1000.00",
        "balance_after": "990.00",
        "held_before": "10.00",
        "held_after": "0.00",
    }


def test_what_a_shard_does_not_say_is_null_and_not_zero(line: CommandLine, txn_id: str) -> None:
    with line.scratch.without("shard-2"):
        found = line.json("transactions", "inspect", "--txn-id", txn_id)
    [away] = [effect for effect in found["effects"]["force_commit"] if effect["agent_id"] == "agent_2"]
    assert away["balance_before"] is away["balance_after"] is away["held_after"] is None
    assert [branch["state"] for branch in found["branches"]] == ["prepared", "unknown"]


def test_a_dry_run_predicts_what_the_force_then_does(line: CommandLine, txn_id: str) -> None:
    arguments = ("transactions", "force-commit", "--txn-id", txn_id, "--approval", "INC-1")
    before = line.scratch.contents()
    predicted = line.json(*arguments, "--dry-run")
    assert line.scratch.contents() == before
    assert_has_keys(predicted, "force")
    assert (predicted["outcome"], predicted["verified"]) == ("dry-run", False)
    done = line.json(*arguments)
    assert_has_keys(done, "force")
    assert done["effects"] == predicted["effects"]
    assert (done["outcome"], done["decision"], done["approval"]) == ("committed", "commit", "INC-1")
    assert (done["already_decided"], done["verified"]) == (False, True)
    accounts = {row["agent_id"]: row for row in line.json("accounts", "list")}
    for effect in predicted["effects"]:
        account = accounts[effect["agent_id"]]
        assert (account["balance"], account["held"]) == (effect["balance_after"], effect["held_after"])


def test_resuming_one_is_an_object_and_resuming_all_is_a_list(line: CommandLine) -> None:
    first = line.make_stuck("agent_1", "agent_2", "1", minutes=9, step=(Step.APPLIED, "agent_1"))
    second = line.make_stuck("agent_1", "agent_2", "1", minutes=8, step=(Step.APPLIED, "agent_1"))
    one = line.json("transactions", "resume", "--txn-id", first)
    assert_has_keys(one, "force")
    assert one["txn_id"] == first
    [rest] = line.json("transactions", "resume")
    assert_has_keys(rest, "force")
    assert (rest["txn_id"], rest["outcome"]) == (second, "committed")
    assert line.json("transactions", "resume") == []


def test_the_verification_has_its_keys(line: CommandLine) -> None:
    line.damage_balance("shard-1", "agent_1", 1)
    found = line.json("verify", "--agent-id", "agent_1", "--agent-id", "agent_2", status=1)
    assert_has_keys(found, "verify")
    for agent in found["agents"]:
        assert_has_keys(agent, "verified agent")
    assert found["ok"] is False
    assert [agent["ok"] for agent in found["agents"]] == [False, True]
    assert (found["agents"][0]["balance"], found["agents"][0]["entries_sum"]) == ("1000.01", "1000.00")


def test_the_reconciliation_and_its_findings_have_their_keys(line: CommandLine) -> None:
    line.damage_balance("shard-1", "agent_1", 100_000)
    run = line.json("reconcile", "--scope", "full", status=1)
    assert_has_keys(run, "reconcile")
    assert (run["status"], run["scope"], run["agents_checked"]) == ("drift", "full", 3)
    assert INSTANT.fullmatch(run["as_of"])
    [finding] = run["findings"]
    assert_has_keys(finding, "finding")
    assert (finding["check"], finding["agent_id"]) == ("B1", "agent_1")
    assert (finding["expected"], finding["actual"], finding["drift"]) == ("1000.00", "2000.00", "1000.00")
    assert (finding["cause"], finding["score"]) == ("duplicate credit", 0.8)
    assert finding["resolution"] == "Reverse transaction"


def test_counts_of_entries_are_not_shown_as_money(line: CommandLine) -> None:
    line.scratch.tamper("shard-1", "UPDATE accounts SET version = version + 1 WHERE agent_id = 'agent_1'")
    [account] = line.json("verify", "--agent-id", "agent_1", status=1)["agents"]
    [finding] = [finding for finding in account["findings"] if finding["check"] == "B2"]
    assert (finding["expected"], finding["actual"], finding["drift"]) == ("2", "1", "-1")


def test_a_spot_check_names_its_agent(line: CommandLine) -> None:
    run = line.json("reconcile", "--agent-id", "agent_1")
    assert (run["scope"], run["subject"], run["status"]) == ("agent", "agent_1", "clean")


def test_the_audit_trail_has_its_keys(line: CommandLine) -> None:
    check = line.json("audit", "verify")
    assert_has_keys(check, "audit verify")
    assert (check["ok"], check["bad"]) == (True, None)
    events = line.json("audit", "list", "--limit", "3")
    assert [event["seq"] for event in events] == [check["last"] - 2, check["last"] - 1, check["last"]]


def test_messages_go_to_stderr_and_leave_stdout_to_the_document(line: CommandLine) -> None:
    arguments = ("deposit", "--agent-id", "agent_1", "--amount", "1", "--currency", "USD", "--idempotency-key", "k")
    assert line.json(*arguments)["replayed"] is False
    again = line.run(*arguments, "--format", "json")
    assert '"replayed": true' in again.stdout
    assert "used before" in again.stderr
