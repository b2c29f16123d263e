"""Running `treasury-cli` on a scratch treasury, in this process for speed or in one of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from tests.treasuries import ScratchTreasury
from treasury_console.cli.main import cli
from treasury_console.operations.accounts import open_accounts
from treasury_console.operations.payments import deposit
from treasury_console.operations.treasury import utc_now
from treasury_console.twophase.steps import Step

ROOT = Path(__file__).parents[2]
HOSTILE = "[@click=app.quit]x[/]\x1b]0;pwn\x07"
SHOWN_HOSTILE = r"[@click=app.quit]x[/]\x1b]0;pwn\x07"
ALL_PREPARED = (Step.BEFORE_DECISION, "")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


@dataclass
class CommandLine:
    """`treasury-cli` with the configuration of one scratch treasury."""

    scratch: ScratchTreasury

    def __post_init__(self) -> None:
        self.config.write_text(
            '[profiles.default]\ntreasury = "sqlite:///treasury.sqlite"\nsynchronous = "OFF"\n', encoding="utf-8"
        )

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.scratch.folder / "treasury.toml"

    def run(self, *arguments: str, status: int = 0) -> Result:
        """Run a command, which must exit with `status`, show no control character and no traceback."""
        result = CliRunner().invoke(cli, ["--config", str(self.config), *arguments])
        assert result.exit_code == status, f"{arguments}: {result.exit_code}\n{result.stdout}\n{result.stderr}"
        assert not _CONTROL.search(result.stdout + result.stderr)
        assert "Traceback" not in result.stdout + result.stderr
        return result

    def json(self, *arguments: str, status: int = 0) -> Any:
        """Run a command with `--format json` and return the one document that stdout is."""
        result = self.run(*arguments, "--format", "json", status=status)
        assert result.stdout.isascii()
        return json.loads(result.stdout)

    def process(
        self, *arguments: str, environment: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own, as a shell would."""
        return subprocess.run(
            [sys.executable, "-m", "treasury_console.cli", "--config", str(self.config), *arguments],
            cwd=ROOT,
            env=clean_environment() | dict(environment or {}),
            capture_output=True,
            encoding="utf-8",
            check=False,
            **options,
        )

    def make_stuck(
        self,
        sender: str,
        receiver: str,
        amount: str,
        *,
        minutes: float,
        step: tuple[Step, str] = ALL_PREPARED,
    ) -> str:
        """Have a coordinator die `minutes` before now in a transfer; return its txn_id."""
        self.scratch.clock.now = utc_now() - timedelta(minutes=minutes)
        txn_id = self.scratch.crash_a_transfer(step, sender=sender, receiver=receiver, amount=amount)
        self.scratch.clock.now = utc_now()
        return txn_id

    def open_funded(self, agent_id: str, amount: str = "1000.00") -> None:
        """Open a USD account and deposit `amount`."""
        with self.scratch.open() as treasury:
            open_accounts(treasury, agent_id, ["USD"])
            deposit(treasury, agent_id, amount, "USD")

    def damage_balance(self, shard: str, agent_id: str, minor: int) -> None:
        """Move a stored balance by `minor` units behind the program's back."""
        self.scratch.tamper(
            shard, "UPDATE accounts SET balance = balance + ? WHERE agent_id = ?", parameters=(minor, agent_id)
        )


def clean_environment() -> dict[str, str]:
    """Return the environment without what configures a treasury or a terminal."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TREASURY_", "_TREASURY")) and name not in ("NO_COLOR", "PYTHONIOENCODING")
    }
