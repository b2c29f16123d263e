"""`init`, `config show`, `doctor`, `demo`: before and around the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.cli.running import CommandLine
from treasury_console.cli.main import cli


def test_init_makes_every_database_and_can_be_repeated(tmp_path: Path) -> None:
    arguments = ["--database", f"sqlite:///{tmp_path}/new/treasury.sqlite", "init"]
    first = CliRunner().invoke(cli, arguments)
    assert first.exit_code == 0
    assert [row.split() for row in first.stdout.splitlines()] == [
        ["DATABASE", "BEFORE", "AFTER"],
        ["treasury", "new", "0001"],
        ["shard-1", "new", "0001"],
        ["shard-2", "new", "0001"],
    ]
    again = CliRunner().invoke(cli, arguments)
    assert [row.split()[1:] for row in again.stdout.splitlines()[1:]] == [["0001", "0001"]] * 3


def test_without_a_configuration_the_treasury_is_in_the_users_own_folder(tmp_path: Path) -> None:
    assert CliRunner().invoke(cli, ["init"]).exit_code == 0
    assert len(list(tmp_path.glob("xdg_data_home/treasury-console/*.sqlite"))) == 3


def test_the_configuration_is_shown_with_its_sources(line: CommandLine) -> None:
    found = line.json("--read-only", "config", "show")
    settings = found["settings"]
    assert found["file"] == str(line.config)
    assert settings["synchronous"] == {"value": "OFF", "source": f"profile default in {line.config}"}
    assert settings["read_only"] == {"value": True, "source": "--read-only"}
    assert settings["pending_after"] == {"value": "5m", "source": "built-in default"}
    assert [shard["name"] for shard in settings["shards"]["value"]] == ["shard-1", "shard-2"]
    assert all(setting["source"] for setting in settings.values())
    shown = line.run("config", "show").stdout
    assert "synchronous" in shown
    assert "profile default   OFF" in shown


def test_durations_are_shown_exactly(line: CommandLine) -> None:
    text = line.config.read_text(encoding="utf-8")
    line.config.write_text(text + 'pending_after = "90s"\nlease = "120s"\nbusy_timeout = "0s"\n', encoding="utf-8")
    settings = line.json("config", "show")["settings"]
    shown = [settings[name]["value"] for name in ("pending_after", "lease", "busy_timeout")]
    assert shown == ["90s", "2m", "0s"]


def checks(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {check["subject"]: (check["health"], check["message"]) for check in document["checks"]}


def test_the_doctor_finds_nothing_to_mend_in_a_healthy_treasury(line: CommandLine) -> None:
    found = line.json("doctor")
    assert found["ok"] is True
    by_subject = checks(found)
    assert by_subject["treasury"] == ("OK", "reachable, schema 0001")
    assert {subject for subject, (health, _) in by_subject.items() if health == "FAIL"} == set()
    shown = line.run("doctor").stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert "OK    treasury" in shown


def test_the_doctor_exits_5_when_a_shard_is_lost_and_still_looks_at_the_rest(line: CommandLine) -> None:
    with line.scratch.without("shard-2"):
        by_subject = checks(line.json("doctor", status=5))
    assert by_subject["shard-2"][0] == "FAIL"
    assert "missing" in by_subject["shard-2"][1]
    assert by_subject["audit trail"][0] == "OK"


def test_the_doctor_exits_1_when_the_configuration_is_wrong(line: CommandLine) -> None:
    line.config.write_text("[profiles.default]\nsynchronos = 1\n", encoding="utf-8")
    found = line.json("doctor", status=1)
    assert checks(found)["configuration"][0] == "FAIL"
    assert "synchronos" in checks(found)["configuration"][1]


def test_the_doctor_exits_1_before_init(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["--database", f"sqlite:///{tmp_path}/treasury.sqlite", "doctor"])
    assert result.exit_code == 1
    assert "run treasury-cli init" in " ".join(result.stdout.split())
    assert list(tmp_path.glob("*.sqlite")) == []


@pytest.mark.parametrize("content", [None, "somebody's"])
def test_the_demo_leaves_a_directory_alone_that_is_not_its_own(line: CommandLine, content: str | None) -> None:
    folder = line.scratch.folder / "taken"
    folder.mkdir()
    (folder / "treasury.toml").write_text(content or "", encoding="utf-8")
    line.run("demo", "--dir", str(folder), status=4)
    assert (folder / "treasury.toml").read_text(encoding="utf-8") == (content or "")
    assert len(list(folder.iterdir())) == 1
