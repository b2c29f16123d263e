"""What carbon syncs have recorded, per region."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from treasury_console.ledger.treasury_tables import carbon_sync


@dataclass(frozen=True, slots=True)
class RegionSync:
    """How far one region's emissions data reach."""

    region: str
    model: str
    covered_to: datetime | None
    last_ok: datetime | None
    last_error: str | None
    next_sync: datetime | None


def region_syncs(connection: Connection) -> list[RegionSync]:
    """Return the sync state of every region, by region; empty before the first sync."""
    query = select(carbon_sync).order_by(carbon_sync.c.region, carbon_sync.c.model)
    return [
        RegionSync(row.region, row.model, row.covered_to, row.last_ok, row.last_error, row.next_sync)
        for row in connection.execute(query)
    ]
