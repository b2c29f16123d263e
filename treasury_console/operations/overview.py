"""What the console's overview shows, and how it notices that something changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from treasury_console.domain.drift import Finding
from treasury_console.domain.errors import Unreachable
from treasury_console.ledger.carbon import RegionSync, region_syncs
from treasury_console.ledger.directory import count_agents
from treasury_console.ledger.runs import RunRecord, findings_of, latest_run
from treasury_console.ledger.transactions import list_pending
from treasury_console.operations.reconciliation import FULL
from treasury_console.operations.transactions import TransactionSummary, summarise
from treasury_console.operations.treasury import Treasury


@dataclass(frozen=True, slots=True)
class DriftOverview:
    """The last full run as of its own time, and what it found; both empty before the first."""

    run: RunRecord | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class CarbonOverview:
    """The sync state per region; empty means never synced."""

    regions: tuple[RegionSync, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """The three panes' content, read at `read_at`."""

    read_at: datetime
    agents: int
    pending: tuple[TransactionSummary, ...]
    drift: DriftOverview
    carbon: CarbonOverview


@dataclass(frozen=True, slots=True)
class ChangeToken:
    """A mark of the state of every database; None for one that does not answer. Equal marks mean nothing changed."""

    marks: tuple[int | None, ...]


def read_overview(treasury: Treasury) -> Overview:
    """Return what the panes show, the treasury's part in one snapshot."""
    now = treasury.clock()
    with treasury.store.snapshot() as connection:
        agents = count_agents(connection)
        records = list_pending(connection)
        run = latest_run(connection, scope=FULL, as_of_then=True)
        found = tuple(findings_of(connection, run.run_id)) if run else ()
        regions = tuple(region_syncs(connection))
    return Overview(
        read_at=now,
        agents=agents,
        pending=tuple(summarise(treasury, records, now)),
        drift=DriftOverview(run, found),
        carbon=CarbonOverview(regions),
    )


def change_token(treasury: Treasury) -> ChangeToken:
    """Return the present mark; it costs microseconds and reads no table."""
    marks: list[int | None] = []
    for database in (treasury.store, *(shard.database for shard in treasury.shards.values())):
        try:
            marks.append(database.change_token())
        except Unreachable:
            marks.append(None)
    return ChangeToken(tuple(marks))
