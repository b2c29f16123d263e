"""`accounts`, `deposit`, `withdraw`, `transfer`: what was asked for is what is done, and what is printed."""

from __future__ import annotations

import pytest

from tests.cli.running import CommandLine


@pytest.mark.parametrize(
    ("arguments", "kind", "participants"),
    [
        (("deposit", "--agent-id", "agent_1"), "deposit", ["agent_1"]),
        (("withdraw", "--agent-id", "agent_1"), "withdrawal", ["agent_1"]),
        (("transfer", "--from", "agent_1", "--to", "agent_2"), "transfer", ["agent_1", "agent_2"]),
    ],
    ids=["deposit", "withdraw", "transfer"],
)
def test_a_payment_is_made_as_asked_and_recorded_with_its_reference_and_key(
    line: CommandLine, arguments: tuple[str, ...], kind: str, participants: list[str]
) -> None:
    money = ("--amount", "10.50", "--currency", "USD", "--reference", "invoice 7", "--idempotency-key", "key-7")
    receipt = line.json(*arguments, *money)
    assert (receipt["kind"], receipt["amount"], receipt["currency"]) == (kind, "10.50", "USD")
    assert (receipt["participants"], receipt["reference"]) == (participants, "invoice 7")
    assert (receipt["state"], receipt["replayed"]) == ("COMMITTED", False)
    recorded = line.json("transactions", "inspect", "--txn-id", receipt["txn_id"])
    assert (recorded["reference"], recorded["idempotency_key"], recorded["state"]) == (
        "invoice 7",
        "key-7",
        "COMMITTED",
    )
    moved = {"deposit": 1050, "withdrawal": -1050, "transfer": -1050}[kind]
    assert line.scratch.balances()["agent_1"] == 100_000 + moved
    assert line.scratch.balances()["agent_2"] == (101_050 if kind == "transfer" else 100_000)


def test_repeating_an_idempotency_key_moves_the_money_once(line: CommandLine) -> None:
    arguments = ("transfer", "--from", "agent_1", "--to", "agent_2", "--amount", "1", "--currency", "USD")
    first = line.json(*arguments, "--idempotency-key", "once")
    again = line.json(*arguments, "--idempotency-key", "once")
    assert (again["txn_id"], again["replayed"]) == (first["txn_id"], True)
    assert line.scratch.balances()["agent_2"] == 100_100


def test_accounts_are_opened_in_every_currency_named_on_the_shard_named(line: CommandLine) -> None:
    arguments = ("--agent-id", "agent_9", "--currency", "USD", "--currency", "BTC", "--shard", "shard-2")
    opened = line.json("accounts", "open", *arguments)
    assert [(row["currency"], row["balance"], row["shard"]) for row in opened] == [
        ("BTC", "0.00000000", "shard-2"),
        ("USD", "0.00", "shard-2"),
    ]
    assert line.json("accounts", "open", *arguments) == opened
    assert line.json("accounts", "show", "--agent-id", "agent_9") == opened
    assert [row["agent_id"] for row in line.json("accounts", "list", "--currency", "BTC")] == ["agent_9"]


def test_what_is_held_is_not_available(line: CommandLine) -> None:
    line.make_stuck("agent_1", "agent_2", "10.00", minutes=6)
    [account] = line.json("accounts", "show", "--agent-id", "agent_1")
    assert (account["balance"], account["held"], account["available"]) == ("1000.00", "10.00", "990.00")


def test_json_is_ascii_whatever_the_names_are(line: CommandLine) -> None:
    name = "agént_→\u202e\x7f日本"
    line.run("accounts", "open", "--agent-id", name, "--currency", "USD")
    # `json` itself asserts that stdout is ASCII, `run` that it has no control character.
    assert line.json("accounts", "show", "--agent-id", name)[0]["agent_id"] == name
    assert r"agént_→\u202e\x7f日本" in line.run("accounts", "list").stdout


@pytest.mark.parametrize("flags", [(), ("--acknowledge-log-lost",)], ids=["without", "with"])
def test_an_acknowledgement_reaches_the_audit_trail(line: CommandLine, flags: tuple[str, ...]) -> None:
    txn_id = line.make_stuck("agent_1", "agent_2", "1", minutes=6)
    line.run("transactions", "force-rollback", "--txn-id", txn_id, "--approval", "INC-1", *flags)
    events = line.json("audit", "list", "--target", txn_id)
    [intent] = [event for event in events if (event["operation"], event["phase"]) == ("force-rollback", "intent")]
    assert intent["details"]["acknowledge_log_lost"] is bool(flags)
