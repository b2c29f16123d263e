"""Fixtures of the command line's tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.running import CommandLine
from tests.treasuries import ScratchTreasury


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the person's own configuration, data and state out of the tests, and theirs out of the person's."""
    for name in [name for name in os.environ if name.startswith("TREASURY_")]:
        monkeypatch.delenv(name)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


@pytest.fixture
def line(scratch: ScratchTreasury) -> CommandLine:
    """`treasury-cli` on a treasury with the usual agents, 1000.00 USD each."""
    return CommandLine(scratch)
