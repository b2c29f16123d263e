"""What a finished demo consists of, kept beside it in `demo.json`: for whoever wants to know, and for the walk."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from treasury_console.configuration import Settings, load_settings
from treasury_console.demo.cleanup import live_coordinator_pid
from treasury_console.demo.faults import ExpectedFinding, InjectedDrift
from treasury_console.demo.stories import StuckKind
from treasury_console.domain.drift import Cause, Check
from treasury_console.domain.errors import InvalidRequest
from treasury_console.domain.text import safe_text
from treasury_console.domain.transactions import TransactionState

CONFIG_FILE = "treasury.toml"
RECORD_FILE = "demo.json"


@dataclass(frozen=True, slots=True)
class StuckStory:
    """A stuck transaction of the demo: its state and what may be done with it when it was made, and how that came."""

    name: str
    txn_id: str
    kind: StuckKind
    state: TransactionState
    verdict: str
    participants: tuple[str, ...]
    story: str


@dataclass(frozen=True)
class DemoTreasury:
    """A finished demo: where it is, what is stuck in it and why (oldest first), and what was made to drift.

    `live_coordinator_pid` is None when no coordinator was left running.
    """

    directory: Path
    config_file: Path
    settings: Settings
    stuck: tuple[StuckStory, ...]
    drifts: tuple[InjectedDrift, ...]
    live_coordinator_pid: int | None

    def save(self) -> None:
        """Write down what cannot be read off the treasury itself."""
        known = {
            "stuck": [asdict(story) for story in self.stuck],
            "drifts": [asdict(drift) for drift in self.drifts],
        }
        (self.directory / RECORD_FILE).write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")


def load_demo(directory: Path) -> DemoTreasury:
    """Return the demo in `directory`; raise InvalidRequest if there is none."""
    directory = directory.absolute()
    config_file = directory / CONFIG_FILE
    try:
        known = json.loads((directory / RECORD_FILE).read_text(encoding="utf-8"))
        stuck = tuple(_stuck(fields) for fields in known["stuck"])
        drifts = tuple(_drift(fields) for fields in known["drifts"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InvalidRequest(
            f"{safe_text(str(directory), 120)} holds no demo; make one with treasury-cli demo --dir DIR"
        ) from None
    settings = load_settings(file=config_file, environment={})
    return DemoTreasury(directory, config_file, settings, stuck, drifts, live_coordinator_pid(directory))


def _stuck(fields: dict[str, Any]) -> StuckStory:
    converted = {
        "kind": StuckKind(fields["kind"]),
        "state": TransactionState(fields["state"]),
        "participants": tuple(fields["participants"]),
    }
    return StuckStory(**fields | converted)


def _drift(fields: dict[str, Any]) -> InjectedDrift:
    findings = tuple(
        ExpectedFinding(**finding | {"check": Check(finding["check"]), "cause": Cause(finding["cause"])})
        for finding in fields["findings"]
    )
    return InjectedDrift(**fields | {"findings": findings})
