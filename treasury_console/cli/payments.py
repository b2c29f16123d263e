"""`deposit`, `withdraw`, `transfer`: money moved by two-phase commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from treasury_console.cli.failures import say
from treasury_console.cli.options import JSON, TEXT, agent_option, format_option
from treasury_console.cli.output import write, write_document
from treasury_console.cli.session import Session
from treasury_console.domain.errors import ExitStatus
from treasury_console.domain.text import safe_text

if TYPE_CHECKING:
    from treasury_console.domain.money import Currencies
    from treasury_console.operations.payments import Receipt

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _payment_options(command: _Command) -> _Command:
    for option in (
        format_option,
        click.option(
            "--idempotency-key", type=TEXT, metavar="KEY", help="Repeating the command with this key pays once."
        ),
        click.option("--reference", type=TEXT, default="", metavar="TEXT", help="What the payment is for."),
        click.option("--currency", type=TEXT, required=True, metavar="CODE", help="The currency."),
        click.option("--amount", type=TEXT, required=True, metavar="AMOUNT", help="A decimal such as 10.50."),
    ):
        command = option(command)
    return command


@click.command("deposit")
@agent_option
@_payment_options
@click.pass_obj
def deposit_command(
    session: Session,
    agent_id: str,
    amount: str,
    currency: str,
    reference: str,
    idempotency_key: str | None,
    output_format: str,
) -> ExitStatus:
    """Bring money from the outside to an agent."""
    from treasury_console.operations.payments import deposit

    with session.treasury() as treasury:
        receipt = deposit(treasury, agent_id, amount, currency, reference=reference, idempotency_key=idempotency_key)
    return _print(receipt, treasury.settings.currencies, output_format)


@click.command("withdraw")
@agent_option
@_payment_options
@click.pass_obj
def withdraw_command(
    session: Session,
    agent_id: str,
    amount: str,
    currency: str,
    reference: str,
    idempotency_key: str | None,
    output_format: str,
) -> ExitStatus:
    """Take money from an agent to the outside."""
    from treasury_console.operations.payments import withdraw

    with session.treasury() as treasury:
        receipt = withdraw(treasury, agent_id, amount, currency, reference=reference, idempotency_key=idempotency_key)
    return _print(receipt, treasury.settings.currencies, output_format)


@click.command("transfer")
@click.option("--from", "sender", type=TEXT, required=True, metavar="AGENT", help="The agent that pays.")
@click.option("--to", "receiver", type=TEXT, required=True, metavar="AGENT", help="The agent that is paid.")
@_payment_options
@click.pass_obj
def transfer_command(
    session: Session,
    sender: str,
    receiver: str,
    amount: str,
    currency: str,
    reference: str,
    idempotency_key: str | None,
    output_format: str,
) -> ExitStatus:
    """Move money between two agents by two-phase commit."""
    from treasury_console.operations.payments import transfer

    with session.treasury() as treasury:
        receipt = transfer(
            treasury, sender, receiver, amount, currency, reference=reference, idempotency_key=idempotency_key
        )
    return _print(receipt, treasury.settings.currencies, output_format)


def _print(receipt: Receipt, currencies: Currencies, output_format: str) -> ExitStatus:
    """Print the receipt; return PENDING while the decision is not confirmed by every branch."""
    from treasury_console.domain.transactions import TransactionState

    amount = currencies.format(receipt.amount, receipt.currency)
    if output_format == JSON:
        write_document(
            {
                "txn_id": receipt.txn_id,
                "kind": receipt.kind.value,
                "state": receipt.state.value,
                "amount": amount,
                "currency": receipt.currency,
                "participants": list(receipt.participants),
                "reference": receipt.reference,
                "replayed": receipt.replayed,
            }
        )
    else:
        agents = safe_text(", ".join(receipt.participants))
        write(f"{receipt.txn_id} {receipt.state.value}: {receipt.kind.value} of {amount} {receipt.currency}, {agents}")
    if receipt.replayed:
        say("This idempotency key was used before for the same request; nothing was moved by this call.")
    if receipt.state is TransactionState.COMMITTED:
        return ExitStatus.DONE
    say("The payment is not confirmed by every branch yet: run treasury-cli transactions resume.")
    return ExitStatus.PENDING
