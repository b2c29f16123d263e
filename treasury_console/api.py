"""The way in for programs: an agent platform opens a treasury and moves money through it.

    from treasury_console import open_treasury

    with open_treasury() as treasury:
        receipt = treasury.transfer("agent_1", "agent_2", "10.50", "USD", idempotency_key="order-77")

Amounts are decimal text, exact to the currency's scale. Every failure is a
`treasury_console.domain.errors.TreasuryError` whose message is one sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from treasury_console.configuration import load_settings
from treasury_console.domain.transactions import Leg
from treasury_console.operations import accounts, payments, verification
from treasury_console.operations import treasury as context
from treasury_console.operations.accounts import AccountAtShard
from treasury_console.operations.payments import Receipt
from treasury_console.operations.verification import Verification


@dataclass(frozen=True)
class TreasuryClient:
    """A treasury to move money in; safe to use from several threads. Close it, or use it in a `with` statement."""

    treasury: context.Treasury

    def __enter__(self) -> TreasuryClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every database connection."""
        self.treasury.close()

    def open_accounts(self, agent_id: str, currencies: Sequence[str]) -> list[AccountAtShard]:
        """Open the agent's accounts; those that exist stay as they are."""
        return accounts.open_accounts(self.treasury, agent_id, currencies)

    def accounts_of(self, agent_id: str) -> list[AccountAtShard]:
        """Return the agent's accounts, amounts in minor units."""
        return accounts.show_accounts(self.treasury, agent_id)

    def transfer(
        self,
        sender: str,
        receiver: str,
        amount: str,
        currency: str,
        *,
        reference: str = "",
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Move money between two agents; raises as `operations.payments.transfer`."""
        return payments.transfer(
            self.treasury, sender, receiver, amount, currency, reference=reference, idempotency_key=idempotency_key
        )

    def split_transfer(
        self, legs: Sequence[Leg], currency: str, *, reference: str = "", idempotency_key: str | None = None
    ) -> Receipt:
        """Move money between two or more agents at once; the legs, in minor units, sum to zero."""
        return payments.split_transfer(
            self.treasury, legs, currency, reference=reference, idempotency_key=idempotency_key
        )

    def deposit(
        self, agent_id: str, amount: str, currency: str, *, reference: str = "", idempotency_key: str | None = None
    ) -> Receipt:
        """Bring money from the outside to an agent."""
        return payments.deposit(
            self.treasury, agent_id, amount, currency, reference=reference, idempotency_key=idempotency_key
        )

    def withdraw(
        self, agent_id: str, amount: str, currency: str, *, reference: str = "", idempotency_key: str | None = None
    ) -> Receipt:
        """Take money from an agent to the outside."""
        return payments.withdraw(
            self.treasury, agent_id, amount, currency, reference=reference, idempotency_key=idempotency_key
        )

    def verify(self, agent_ids: Sequence[str]) -> Verification:
        """Check that balance, journal and holds of the agents agree."""
        return verification.verify_agents(self.treasury, agent_ids)


def open_treasury(
    config: Path | None = None, *, profile: str | None = None, database_url: str | None = None
) -> TreasuryClient:
    """Open the configured treasury, which `treasury-cli init` has made.

    Raise ConfigurationError when the configuration or a database cannot be used, Unreachable when one does not answer.
    """
    settings = load_settings(file=config, profile=profile, database_url=database_url)
    return TreasuryClient(context.open_treasury(settings))
