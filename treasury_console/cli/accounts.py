"""`accounts open`, `accounts list`, `accounts show`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from treasury_console.cli.failures import say
from treasury_console.cli.options import JSON, TEXT, agent_option, format_option
from treasury_console.cli.output import table, write, write_document
from treasury_console.cli.session import Session

if TYPE_CHECKING:
    from treasury_console.domain.money import Currencies
    from treasury_console.operations.accounts import AccountAtShard


@click.group("accounts")
def accounts_command() -> None:
    """Open, list and show agents' accounts."""


@accounts_command.command("open")
@agent_option
@click.option("--currency", "currencies", type=TEXT, multiple=True, required=True, help="A currency; repeatable.")
@click.option("--shard", type=TEXT, metavar="SHARD", help="Where to place a new agent; by default a hash decides.")
@format_option
@click.pass_obj
def open_accounts_command(
    session: Session, agent_id: str, currencies: tuple[str, ...], shard: str | None, output_format: str
) -> None:
    """Open an agent's accounts; those that exist stay as they are."""
    from treasury_console.operations.accounts import open_accounts

    with session.treasury() as treasury:
        found = open_accounts(treasury, agent_id, currencies, shard=shard)
    _print(found, treasury.settings.currencies, output_format)


@accounts_command.command("list")
@click.option("--currency", type=TEXT, help="Only accounts in this currency.")
@format_option
@click.pass_obj
def list_accounts_command(session: Session, currency: str | None, output_format: str) -> None:
    """List every account, by agent and currency."""
    from treasury_console.operations.accounts import list_all_accounts

    with session.treasury() as treasury:
        found = list_all_accounts(treasury, currency)
    _print(found, treasury.settings.currencies, output_format)
    if not found:
        say("There are no accounts.")


@accounts_command.command("show")
@agent_option
@format_option
@click.pass_obj
def show_accounts_command(session: Session, agent_id: str, output_format: str) -> None:
    """Show one agent's accounts."""
    from treasury_console.operations.accounts import show_accounts

    with session.treasury() as treasury:
        found = show_accounts(treasury, agent_id)
    _print(found, treasury.settings.currencies, output_format)


def _print(found: Sequence[AccountAtShard], currencies: Currencies, output_format: str) -> None:
    if output_format == JSON:
        write_document([_document(row, currencies) for row in found])
        return
    write(
        table(
            ("AGENT_ID", "CURRENCY", "BALANCE", "HELD", "AVAILABLE", "SHARD"),
            [
                (
                    row.account.agent_id,
                    row.account.currency,
                    currencies.format(row.account.balance, row.account.currency),
                    currencies.format(row.account.held, row.account.currency),
                    currencies.format(row.account.available, row.account.currency),
                    row.shard,
                )
                for row in found
            ],
        )
    )


def _document(row: AccountAtShard, currencies: Currencies) -> dict[str, Any]:
    account = row.account
    return {
        "agent_id": account.agent_id,
        "currency": account.currency,
        "balance": currencies.format(account.balance, account.currency),
        "held": currencies.format(account.held, account.currency),
        "available": currencies.format(account.available, account.currency),
        "version": account.version,
        "shard": row.shard,
    }
