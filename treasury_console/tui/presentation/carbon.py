"""The carbon sync state per region as rows, honest about what was never synced."""

from __future__ import annotations

from datetime import datetime

from treasury_console.ledger.carbon import RegionSync
from treasury_console.operations.overview import CarbonOverview
from treasury_console.tui.columns import Column
from treasury_console.tui.lines import Line, Span, Tone, line
from treasury_console.tui.presentation.rows import MadeRows, Row, RowSource
from treasury_console.tui.presentation.text import age, count, name

CARBON_COLUMNS = (
    Column("REGION", least=8, grows=True),
    Column("LAG", right=True),
    Column("LAST OK", rank=1, right=True),
    Column("STATUS", least=8),
)


def carbon_rows(carbon: CarbonOverview, now: datetime) -> RowSource:
    """Return a row for each region and model."""
    return MadeRows(carbon.regions, lambda region: _row(region, now), lambda region: f"{region.region}/{region.model}")


def carbon_title(carbon: CarbonOverview, now: datetime) -> list[Span]:
    """Return how the syncs stand as a whole."""
    if not carbon.regions:
        return [Span("never synced", Tone.DIM)]
    failing = sum(region.last_error is not None for region in carbon.regions)
    late = sum(_is_late(region, now) for region in carbon.regions)
    total = count(len(carbon.regions), "region")
    if failing:
        return [Span(f"{failing} FAILING", Tone.BAD), Span(f" of {total}", Tone.DIM)]
    return [Span(f"{late} LATE" if late else "OK", Tone.WARN if late else Tone.GOOD), Span(f", {total}", Tone.DIM)]


def carbon_notice(carbon: CarbonOverview, *, filtered: bool) -> list[Line]:
    """Return what stands in the place of regions when there are none."""
    if carbon.regions and filtered:
        return [line(Span("No region passes the filter; esc clears it.", Tone.DIM))]
    return [line(Span("Never synced.", Tone.DIM)), line(Span("No credits are known.", Tone.DIM))]


def _row(region: RegionSync, now: datetime) -> Row:
    status, tone = _status(region, now)
    return Row(
        f"{region.region}/{region.model}",
        (
            name(region.region),
            "-" if region.covered_to is None else age(region.covered_to, now),
            "never" if region.last_ok is None else age(region.last_ok, now),
            status,
        ),
        (Tone.PLAIN, Tone.PLAIN, Tone.PLAIN, tone),
        name(region.model),
    )


def _status(region: RegionSync, now: datetime) -> tuple[str, Tone]:
    if region.last_error is not None:
        return f"FAILED {name(region.last_error)}", Tone.BAD
    if region.last_ok is None:
        return "never synced", Tone.DIM
    return ("LATE", Tone.WARN) if _is_late(region, now) else ("OK", Tone.GOOD)


def _is_late(region: RegionSync, now: datetime) -> bool:
    return region.next_sync is not None and region.next_sync < now
