"""The runbook's 2PC and manual-reconciliation commands, as written, on transactions whose coordinators stopped."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.cli.running import CommandLine
from treasury_console.cli.output import table
from treasury_console.cli.transactions import HEADER, PITCHES
from treasury_console.twophase.steps import Step

RUNBOOK_TABLE = """\
TXN_ID          STATE      AGE     PARTICIPANTS    AMOUNT
txn_abc123      PREPARED   12m     agent_1,agent_2 1000.00
txn_def456      PREPARED   8m      agent_3,agent_4 250.50"""


@pytest.fixture
def stuck(line: CommandLine) -> tuple[str, str]:
    """The runbook's two stuck transactions; return their ids."""
    line.open_funded("agent_4")
    return (
        line.make_stuck("agent_1", "agent_2", "1000.00", minutes=12.5),
        line.make_stuck("agent_3", "agent_4", "250.50", minutes=8.5),
    )


def run_as_written(line: CommandLine, command: str, status: int = 0) -> str:
    return line.run(*shlex.split(command.removeprefix("treasury-cli ")), status=status).stdout


def test_the_table_of_the_runbooks_example_is_the_runbooks_text() -> None:
    rows = [tuple(row.split()) for row in RUNBOOK_TABLE.splitlines()[1:]]
    assert table(HEADER, rows, PITCHES) == RUNBOOK_TABLE


def test_stuck_transactions_are_listed_as_the_runbook_prints_them(line: CommandLine, stuck: tuple[str, str]) -> None:
    printed = run_as_written(line, 'treasury-cli transactions list --state pending --age ">5m"')
    header, *rows = printed.splitlines()
    assert re.fullmatch(r"TXN_ID +STATE +AGE +PARTICIPANTS +AMOUNT", header)
    assert [row.split() for row in rows] == [
        [stuck[0], "PREPARED", "12m", "agent_1,agent_2", "1000.00"],
        [stuck[1], "PREPARED", "8m", "agent_3,agent_4", "250.50"],
    ]
    for name in HEADER:
        assert all(row[header.index(name) - 1] == " " != row[header.index(name)] for row in rows if header.index(name))


def test_the_age_filter_leaves_out_what_is_younger(line: CommandLine, stuck: tuple[str, str]) -> None:
    printed = run_as_written(line, 'treasury-cli transactions list --state pending --age ">10m"')
    assert stuck[0] in printed
    assert stuck[1] not in printed


def test_the_recovery_procedure_ends_with_verified_balances(line: CommandLine, stuck: tuple[str, str]) -> None:
    txn_id = stuck[0]
    assert "allowed" in run_as_written(line, f'treasury-cli transactions inspect --txn-id "{txn_id}"')
    forced = run_as_written(line, f'treasury-cli transactions force-commit --txn-id "{txn_id}" --approval "INC-12345"')
    assert f"{txn_id} is COMMITTED" in forced
    assert "approval INC-12345" in forced
    assert "1000.00 -> 0.00" in forced
    assert "verified: balances" in forced
    verified = run_as_written(line, 'treasury-cli verify --agent-id "agent_1" --agent-id "agent_2"')
    assert [row.split()[-1] for row in verified.splitlines()[1:]] == ["OK", "OK"]
    assert line.scratch.balances() == {"agent_1": 0, "agent_2": 200_000, "agent_3": 100_000}
    assert line.scratch.account("agent_1")[1] == 0


def test_a_rollback_returns_the_money(line: CommandLine, stuck: tuple[str, str]) -> None:
    forced = run_as_written(
        line, f'treasury-cli transactions force-rollback --txn-id "{stuck[0]}" --approval "INC-12345"'
    )
    assert f"{stuck[0]} is ABORTED" in forced
    assert line.scratch.account("agent_1")[:2] == (100_000, 0)


def test_a_commit_is_refused_if_a_participant_never_prepared_and_the_rollback_is_not(line: CommandLine) -> None:
    txn_id = line.make_stuck("agent_1", "agent_2", "5", minutes=6, step=(Step.PREPARED, "agent_1"))
    approved = f"--txn-id {txn_id} --approval INC-12345"
    refused = line.run(*f"transactions force-commit {approved}".split(), status=4)
    assert refused.stdout == ""
    assert "agent_2 is not prepared" in refused.stderr
    assert line.scratch.account("agent_1")[1] == 500
    run_as_written(line, f"treasury-cli transactions force-rollback {approved}")
    assert line.scratch.account("agent_1")[:2] == (100_000, 0)


def test_a_full_reconciliation_of_a_past_day_is_clean(line: CommandLine) -> None:
    printed = run_as_written(line, "treasury-cli reconcile --scope full --date 2025-12-30")
    assert ": clean" in printed
    assert "as of 2025-12-31T00:00:00.000000Z" in printed


def test_a_spot_check_of_an_agent_is_clean(line: CommandLine) -> None:
    line.open_funded("agent_123")
    assert ": clean" in run_as_written(line, 'treasury-cli reconcile --agent-id "agent_123" --last 7d')


def test_reconciling_while_transactions_are_stuck_is_pending_and_names_them(
    line: CommandLine, stuck: tuple[str, str]
) -> None:
    printed = run_as_written(line, "treasury-cli reconcile --scope full", status=3)
    assert all(txn_id in printed for txn_id in stuck)
