"""`verify`: balance integrity of agents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from treasury_console.cli.failures import say
from treasury_console.cli.findings import describe_findings, finding_document
from treasury_console.cli.options import JSON, TEXT, format_option
from treasury_console.cli.output import BAD, GOOD, Painted, table, write, write_document
from treasury_console.cli.session import Session
from treasury_console.domain.errors import ExitStatus
from treasury_console.domain.text import safe_text

if TYPE_CHECKING:
    from treasury_console.domain.money import Currencies
    from treasury_console.operations.verification import Verification, VerifiedAccount


@click.command("verify")
@click.option(
    "--agent-id",
    "agent_ids",
    type=TEXT,
    multiple=True,
    required=True,
    metavar="AGENT",
    help="An agent to verify; repeatable.",
)
@format_option
@click.pass_obj
def verify_command(session: Session, agent_ids: tuple[str, ...], output_format: str) -> ExitStatus:
    """Prove that balances, journal and holds of agents agree.

    Exit 1 if one does not.
    """
    from treasury_console.operations.verification import verify_agents

    with session.treasury() as treasury:
        verification = verify_agents(treasury, agent_ids)
    currencies = treasury.settings.currencies
    if output_format == JSON:
        write_document(verification_document(verification, currencies))
    else:
        write(verification_table(verification.accounts, currencies))
        findings = [finding for account in verification.accounts for finding in account.findings]
        if findings:
            write("\n" + describe_findings(findings, currencies))
    checked = {account.sums.agent_id for account in verification.accounts}
    for agent_id in agent_ids:
        if agent_id not in checked:
            say(f"{safe_text(agent_id, 60)} has no accounts, so there was nothing to verify.")
    return ExitStatus.DONE if verification.ok else ExitStatus.DISCREPANCY


def verification_table(accounts: Iterable[VerifiedAccount], currencies: Currencies) -> str:
    """Return one line per account."""
    return table(
        ("AGENT_ID", "CURRENCY", "BALANCE", "ENTRIES_SUM", "HELD", "HOLDS_SUM", "ENTRIES", "RESULT"),
        [
            (
                account.sums.agent_id,
                account.sums.currency,
                *(currencies.format(amount, account.sums.currency) for amount in _amounts(account)),
                str(account.sums.entries_count),
                Painted("OK", GOOD) if account.ok else Painted("DRIFT", BAD),
            )
            for account in accounts
        ],
    )


def verification_document(verification: Verification, currencies: Currencies) -> dict[str, Any]:
    """Return the JSON form."""
    return {
        "ok": verification.ok,
        "agents": [_account_document(account, currencies) for account in verification.accounts],
    }


def _account_document(account: VerifiedAccount, currencies: Currencies) -> dict[str, Any]:
    sums = account.sums
    balance, entries_sum, held, holds_sum = (currencies.format(amount, sums.currency) for amount in _amounts(account))
    return {
        "agent_id": sums.agent_id,
        "currency": sums.currency,
        "balance": balance,
        "entries_sum": entries_sum,
        "held": held,
        "holds_sum": holds_sum,
        "entries": sums.entries_count,
        "ok": account.ok,
        "findings": [finding_document(finding, currencies) for finding in account.findings],
        "shard": account.shard,
    }


def _amounts(account: VerifiedAccount) -> tuple[int, int, int, int]:
    sums = account.sums
    return sums.balance, sums.entries_sum, sums.held, sums.holds_sum
