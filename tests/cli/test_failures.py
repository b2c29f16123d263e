"""What no rule foresaw: a sentence and a private file, never a traceback on the screen; and output nobody reads."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import ROOT, CommandLine, clean_environment
from treasury_console.operations import treasury as context


@pytest.fixture
def defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let opening a treasury fail in a way that nobody foresaw, with secrets in the message."""

    def fail(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("postgresql://user:hunter2@host/db password=swordfish \x1b]0;pwn\x07")

    monkeypatch.setattr(context, "open_treasury", fail)


@pytest.mark.usefixtures("defect")
def test_an_unexpected_failure_is_a_sentence_that_names_the_file_with_the_traceback(
    line: CommandLine, tmp_path: Path
) -> None:
    result = line.run("transactions", "list", status=70)
    assert result.stdout == ""
    sentence = r"error: an unexpected RuntimeError happened, a defect of this program; its report is in (\S+)\n"
    found = re.fullmatch(sentence, result.stderr)
    assert found is not None
    file = Path(found[1])
    assert file.is_relative_to(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text(encoding="utf-8")
    assert "RuntimeError" in text
    assert "session.py" in text
    assert "hunter2" not in text
    assert "swordfish" not in text
    assert "\x1b" not in text


@pytest.mark.usefixtures("defect")
def test_without_a_state_folder_the_traceback_goes_to_the_temporary_one(
    line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    obstacle = tmp_path / "a file"
    obstacle.touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(obstacle))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    line.run("transactions", "list", status=70)
    assert len(list(tmp_path.glob("treasury-console-*.txt"))) == 1


def test_an_interrupt_exits_130_without_a_word(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(context, "open_treasury", interrupt)
    result = line.run("transactions", "list", status=130)
    assert (result.stdout + result.stderr).strip() == ""


def test_output_that_nobody_reads_ends_the_command_quietly(line: CommandLine) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "treasury_console.cli", "--config", str(line.config), "audit", "list"],
        cwd=ROOT,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 141
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_output_that_cannot_be_written_is_said(line: CommandLine) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "treasury_console.cli", "--config", str(line.config), "audit", "list"],
            cwd=ROOT,
            env=clean_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert ended.returncode == 70
    assert ended.stderr.startswith(b"error: the output could not be written: ")


def test_an_act_is_not_stopped_by_a_progress_message_that_nobody_reads(line: CommandLine) -> None:
    txn_id = line.make_stuck("agent_1", "agent_2", "1", minutes=6)
    reader, writer = os.pipe()
    os.close(reader)
    program = "import sys; sys.stderr.isatty = lambda: True\nfrom treasury_console.cli.main import main; main()"
    arguments = ["transactions", "force-commit", "--txn-id", txn_id, "--approval", "INC-1"]
    try:
        ended = subprocess.run(
            [sys.executable, "-c", program, "--config", str(line.config), *arguments],
            cwd=ROOT,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=writer,
            check=False,
        )
    finally:
        os.close(writer)
    assert ended.returncode == 0
    assert line.scratch.balances()["agent_2"] == 100_100


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_stream_that_is_closed_does_not_change_what_a_command_does(line: CommandLine, closed: str) -> None:
    command = f'"$0" -m treasury_console.cli --config "$1" audit verify {closed}'
    ended = subprocess.run(
        ["sh", "-c", command, sys.executable, str(line.config)],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0
    assert b"Traceback" not in ended.stderr
