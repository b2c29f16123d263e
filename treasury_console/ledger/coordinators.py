"""Coordinators and their leases: a valid lease says that the coordinator is alive."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, update

from treasury_console.ledger.treasury_tables import coordinators


def register_coordinator(connection: Connection, coordinator_id: str, at: datetime, lease_until: datetime) -> None:
    """Add a coordinator with its first lease."""
    connection.execute(
        insert(coordinators).values(coordinator_id=coordinator_id, started_at=at, lease_until=lease_until)
    )


def renew_lease(connection: Connection, coordinator_id: str, lease_until: datetime) -> None:
    """Move the end of the lease."""
    connection.execute(
        update(coordinators).where(coordinators.c.coordinator_id == coordinator_id).values(lease_until=lease_until)
    )
