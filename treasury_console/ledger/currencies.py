"""The scale with which each currency's amounts are stored: a fact of the treasury that no configuration changes."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from treasury_console.domain.money import Currency
from treasury_console.ledger.database import insert_if_absent
from treasury_console.ledger.treasury_tables import currency_scales


def note_scales(connection: Connection, currencies: Iterable[Currency]) -> None:
    """Note the scales of currencies that are used for the first time."""
    for currency in currencies:
        insert_if_absent(connection, currency_scales, {"code": currency.code, "scale": currency.scale})


def stored_scales(connection: Connection) -> dict[str, int]:
    """Return the scale of every currency that was ever used, by code."""
    return {row.code: row.scale for row in connection.execute(select(currency_scales))}
