"""An agent whose name is markup and terminal commands goes through every command and does no harm in any."""

from __future__ import annotations

import pytest

from tests.cli.running import HOSTILE, SHOWN_HOSTILE, CommandLine


@pytest.fixture
def hostile(line: CommandLine) -> str:
    """A stuck transfer from the hostile agent; return its txn_id."""
    line.run("accounts", "open", "--agent-id", HOSTILE, "--currency", "USD")
    line.run("deposit", "--agent-id", HOSTILE, "--amount", "50", "--currency", "USD", "--reference", HOSTILE)
    return line.make_stuck(HOSTILE, "agent_2", "10", minutes=6)


def commands(txn_id: str) -> list[tuple[tuple[str, ...], int]]:
    """Every command that can meet the agent, with its exit status."""
    on_txn, money = ("--txn-id", txn_id), ("--amount", "1", "--currency", "USD", "--reference", HOSTILE)
    return [
        (("accounts", "list"), 0),
        (("accounts", "show", "--agent-id", HOSTILE), 0),
        (("accounts", "open", "--agent-id", HOSTILE, "--currency", "BTC"), 0),
        (("transactions", "list", "--wide"), 0),
        (("transactions", "list", "--state", "all"), 0),
        (("transactions", "inspect", *on_txn), 0),
        (("reconcile", "--agent-id", HOSTILE), 3),
        (("deposit", "--agent-id", HOSTILE, *money), 0),
        (("withdraw", "--agent-id", HOSTILE, *money), 0),
        (("transfer", "--from", HOSTILE, "--to", "agent_1", *money), 0),
        (("transactions", "force-commit", *on_txn, "--approval", "INC-1", "--dry-run"), 0),
        (("transactions", "force-commit", *on_txn, "--approval", "INC-1"), 0),
        (("verify", "--agent-id", HOSTILE), 0),
        (("audit", "list"), 0),
        (("audit", "list", "--target", HOSTILE), 0),
        (("reconcile", "--agent-id", HOSTILE), 0),
    ]


@pytest.mark.parametrize("output_format", ["table", "json"])
def test_every_command_shows_the_name_as_text(line: CommandLine, hostile: str, output_format: str) -> None:
    for arguments, status in commands(hostile):
        # `run` itself asserts that nothing a terminal would obey was written.
        result = line.run(*arguments, "--format", output_format, status=status)
        if output_format == "table":
            assert SHOWN_HOSTILE[:22] in result.stdout, arguments


def test_json_carries_the_name_itself(line: CommandLine, hostile: str) -> None:
    assert line.json("transactions", "inspect", "--txn-id", hostile)["branches"][0]["participant"] == HOSTILE
    assert line.json("transactions", "list")[0]["participants"] == [HOSTILE, "agent_2"]
    assert line.json("accounts", "show", "--agent-id", HOSTILE)[0]["agent_id"] == HOSTILE
    assert line.json("verify", "--agent-id", HOSTILE)["agents"][0]["agent_id"] == HOSTILE


@pytest.mark.usefixtures("hostile")
def test_findings_about_the_agent_show_its_name_as_text(line: CommandLine) -> None:
    for shard in ("shard-1", "shard-2"):
        line.damage_balance(shard, HOSTILE, 3)
    assert SHOWN_HOSTILE in line.run("verify", "--agent-id", HOSTILE, status=1).stdout
    assert SHOWN_HOSTILE in line.run("reconcile", "--scope", "full", status=1).stdout
    found = line.json("reconcile", "--agent-id", HOSTILE, status=1)
    assert found["findings"][0]["agent_id"] == HOSTILE


@pytest.mark.parametrize(
    "arguments",
    [
        (HOSTILE,),
        ("transactions", HOSTILE),
        ("transactions", "list", HOSTILE),
        ("transactions", "list", f"--{HOSTILE}"),
        ("transactions", "list", "--state", HOSTILE),
        ("transactions", "list", "--age", HOSTILE),
        ("transactions", "list", "--format", HOSTILE),
        ("transactions", "inspect", "--txn-id", HOSTILE),
        ("transactions", "force-commit", "--txn-id", HOSTILE, "--approval", HOSTILE),
        ("verify", "--agent-id", f"no {HOSTILE}"),
        ("reconcile", "--scope", "full", "--date", HOSTILE),
        ("accounts", "open", "--agent-id", "a", "--currency", HOSTILE),
        ("accounts", "open", "--agent-id", "a", "--currency", "USD", "--shard", HOSTILE),
        ("deposit", "--agent-id", "agent_1", "--amount", HOSTILE, "--currency", "USD"),
        ("audit", "list", "--limit", HOSTILE),
        ("--profile", HOSTILE, "transactions", "list"),
        ("--database", HOSTILE, "transactions", "list"),
    ],
    ids=range(17),
)
def test_the_text_of_a_wrong_command_line_is_shown_as_text(line: CommandLine, arguments: tuple[str, ...]) -> None:
    result = line.run(*arguments, status=2)
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")


def test_a_demo_directory_with_a_hostile_name_is_shown_as_text(line: CommandLine) -> None:
    folder = line.scratch.folder / HOSTILE.replace("/", "")
    folder.mkdir()
    (folder / "somebody's").touch()
    assert "not an empty directory" in line.run("demo", "--dir", str(folder), status=4).stderr
    assert [child.name for child in folder.iterdir()] == ["somebody's"]
