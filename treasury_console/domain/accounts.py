"""An account and what the outcome of a branch does to it.

The resource manager that acts and the dry run that predicts both call these functions, so a prediction is the act
without the write.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from treasury_console.domain.errors import InsufficientFunds, StoreCorrupt
from treasury_console.domain.money import checked
from treasury_console.domain.text import safe_text


@dataclass(frozen=True, slots=True)
class Account:
    """An agent's money in one currency, in minor units. `version` counts its entries, without gaps."""

    agent_id: str
    currency: str
    balance: int
    held: int
    version: int

    @property
    def available(self) -> int:
        """What a new debit may take."""
        return self.balance - self.held


def reserve(account: Account, amount: int, incoming: int = 0) -> Account:
    """Return `account` after a yes vote for a leg of `amount`: a debit is held, a credit must be storable.

    `incoming` is the sum of the credits prepared on the account already: a yes vote promises that all of them can
    commit. Raise InsufficientFunds when a debit exceeds what is available, AmountOutOfRange when the credits together
    would overflow.
    """
    if amount >= 0:
        checked(account.balance + incoming + amount)
        return account
    if account.available < -amount:
        raise InsufficientFunds(
            f"{safe_text(account.agent_id, 40)} has too little {account.currency} available for this debit"
        )
    return replace(account, held=checked(account.held - amount))


def settle(account: Account, amount: int) -> Account:
    """Return `account` after its prepared leg of `amount` is committed: one more entry, the hold gone."""
    return replace(
        account,
        balance=checked(account.balance + amount),
        held=_without_hold(account, amount),
        version=account.version + 1,
    )


def release(account: Account, amount: int) -> Account:
    """Return `account` after its prepared leg of `amount` is rolled back: only the hold is gone."""
    return replace(account, held=_without_hold(account, amount))


def _without_hold(account: Account, amount: int) -> int:
    held = account.held - max(-amount, 0)
    if held < 0:
        raise StoreCorrupt(
            f"{safe_text(account.agent_id, 40)} holds less {account.currency} than its prepared branch; "
            "run treasury-cli verify on this agent"
        )
    return held
