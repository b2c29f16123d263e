"""Moving money: transfers between agents, deposits from and withdrawals to the outside, all by two-phase commit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from treasury_console.domain.accounts import reserve
from treasury_console.domain.errors import InsufficientFunds, InvalidRequest, Refused, Unreachable
from treasury_console.domain.money import Currency
from treasury_console.domain.text import safe_text
from treasury_console.domain.transactions import (
    EXTERNAL,
    Branch,
    Decision,
    Kind,
    Leg,
    Transaction,
    TransactionState,
    check_agent_id,
    check_idempotency_key,
    check_legs,
    check_reference,
)
from treasury_console.ledger.accounts import accounts_of
from treasury_console.ledger.transactions import IdempotencyKeyTaken, find_by_idempotency_key
from treasury_console.operations.accounts import locate_agents, shard_of_agent
from treasury_console.operations.treasury import Treasury

FIRST_EPOCH = 1


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a payment. `state` is COMMITTED, or COMMITTING while a shard has not confirmed.

    `replayed` is True when the idempotency key was used before for the same request: nothing was moved by this call.
    """

    txn_id: str
    kind: Kind
    currency: str
    amount: int
    participants: tuple[str, ...]
    reference: str
    state: TransactionState
    replayed: bool = False


class PaymentAborted(Refused):
    """The payment was started and rolled back, because a participant refused or a shard did not answer."""

    def __init__(self, message: str, txn_id: str) -> None:
        super().__init__(message)
        self.txn_id = txn_id


@dataclass(frozen=True, slots=True)
class _Request:
    """A payment as asked for: what an idempotency key stands for."""

    kind: Kind
    currency: Currency
    legs: tuple[Leg, ...]
    contra: str | None
    reference: str
    idempotency_key: str | None

    @property
    def amount(self) -> int:
        return max(sum(leg.amount for leg in self.legs if leg.amount > 0), -min(leg.amount for leg in self.legs))

    def digest(self) -> str:
        facts = [self.kind, self.currency.code, sorted((leg.agent_id, leg.amount) for leg in self.legs), self.reference]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def transfer(
    treasury: Treasury,
    sender: str,
    receiver: str,
    amount: str,
    currency: str,
    *,
    reference: str = "",
    idempotency_key: str | None = None,
) -> Receipt:
    """Move `amount` (decimal text) of `currency` from `sender` to `receiver`.

    Raise InvalidRequest or UnknownId when the request is wrong, InsufficientFunds when the sender has too little
    available, PaymentAborted when a participant refused after the start: in each case no money has moved. Raise Fenced
    when an operator took the transaction over meanwhile, Unreachable when the treasury stopped answering: what became
    of the money then stands in the transaction's record, and repeating the call with its idempotency key tells.
    """
    unit = treasury.settings.currencies[currency]
    minor = _positive(unit, amount)
    legs = check_legs([Leg(sender, -minor), Leg(receiver, minor)])
    return _pay(treasury, _request(Kind.TRANSFER, unit, legs, None, reference, idempotency_key))


def split_transfer(
    treasury: Treasury,
    legs: Sequence[Leg],
    currency: str,
    *,
    reference: str = "",
    idempotency_key: str | None = None,
) -> Receipt:
    """Move money between two or more agents at once; the `legs`, in minor units, sum to zero. Raises as `transfer`."""
    unit = treasury.settings.currencies[currency]
    return _pay(treasury, _request(Kind.TRANSFER, unit, check_legs(legs), None, reference, idempotency_key))


def deposit(
    treasury: Treasury,
    agent_id: str,
    amount: str,
    currency: str,
    *,
    reference: str = "",
    idempotency_key: str | None = None,
) -> Receipt:
    """Bring `amount` from the outside (`@external`) to the agent. Raises as `transfer`."""
    unit = treasury.settings.currencies[currency]
    legs = (Leg(check_agent_id(agent_id), _positive(unit, amount)),)
    return _pay(treasury, _request(Kind.DEPOSIT, unit, legs, EXTERNAL, reference, idempotency_key))


def withdraw(
    treasury: Treasury,
    agent_id: str,
    amount: str,
    currency: str,
    *,
    reference: str = "",
    idempotency_key: str | None = None,
) -> Receipt:
    """Take `amount` from the agent to the outside (`@external`). Raises as `transfer`."""
    unit = treasury.settings.currencies[currency]
    legs = (Leg(check_agent_id(agent_id), -_positive(unit, amount)),)
    return _pay(treasury, _request(Kind.WITHDRAWAL, unit, legs, EXTERNAL, reference, idempotency_key))


def _request(
    kind: Kind, unit: Currency, legs: tuple[Leg, ...], contra: str | None, reference: str, key: str | None
) -> _Request:
    if key is not None:
        check_idempotency_key(key)
    return _Request(kind, unit, legs, contra, check_reference(reference), key)


def _positive(unit: Currency, amount: str) -> int:
    minor = unit.parse(amount)
    if minor <= 0:
        raise InvalidRequest("the amount must be more than zero")
    return minor


def _pay(treasury: Treasury, request: _Request) -> Receipt:
    treasury.require_write(f"a {request.kind.value}")
    replay = _replay(treasury, request)
    if replay is not None:
        return replay
    branches = _checked_branches(treasury, request)
    now = treasury.clock()
    coordinator = treasury.coordinator()
    transaction = Transaction(
        txn_id=treasury.ids.new("txn", now),
        kind=request.kind,
        currency=request.currency.code,
        amount=request.amount,
        reference=request.reference,
        created_at=now,
        coordinator_id=coordinator.coordinator_id,
        epoch=FIRST_EPOCH,
        branches=branches,
        idempotency_key=request.idempotency_key,
    )
    try:
        report = coordinator.run(transaction, request.digest())
    except IdempotencyKeyTaken:
        replay = _replay(treasury, request)
        if replay is None:
            raise Refused("the idempotency key was taken at the same moment; try again") from None
        return replay
    except Unreachable as error:
        raise Unreachable(
            f"{error}; whether {transaction.txn_id} is on record is not known: inspect it, or repeat the call with the "
            "same idempotency key"
        ) from error
    if report.decision.decision is Decision.ABORT:
        raise PaymentAborted(f"{transaction.txn_id} was rolled back: {report.refusal}", transaction.txn_id)
    return _receipt(transaction, report.state)


def _replay(treasury: Treasury, request: _Request) -> Receipt | None:
    """Return what the idempotency key stands for already, or None if it is new or absent."""
    if request.idempotency_key is None:
        return None
    with treasury.store.snapshot() as connection:
        known = find_by_idempotency_key(connection, request.idempotency_key)
    if known is None:
        return None
    txn_id, digest = known
    if digest != request.digest():
        raise Refused(f"this idempotency key belongs to {txn_id}, a different request; use a new key")
    record = treasury.transaction_record(txn_id)
    if record.decision is None:
        if record.finished_at is not None:
            raise Refused(f"{txn_id} has this idempotency key and its decision is lost; inspect it before paying again")
        state = TransactionState.PREPARING
    elif record.decision.decision is Decision.COMMIT:
        state = TransactionState.COMMITTED if record.finished_at else TransactionState.COMMITTING
    else:
        raise PaymentAborted(
            f"{txn_id} has this idempotency key and was rolled back; use a new key to try again", txn_id
        )
    return _receipt(record.transaction, state, replayed=True)


def _receipt(transaction: Transaction, state: TransactionState, *, replayed: bool = False) -> Receipt:
    return Receipt(
        transaction.txn_id,
        transaction.kind,
        transaction.currency,
        transaction.amount,
        transaction.participants,
        transaction.reference,
        state,
        replayed,
    )


def _checked_branches(treasury: Treasury, request: _Request) -> tuple[Branch, ...]:
    """Return the branches, debits first, after checking what can be checked before anything is written."""
    shards = locate_agents(treasury, [leg.agent_id for leg in request.legs])
    for leg in request.legs:
        _check_account(treasury, leg, request.currency.code, shards[leg.agent_id])
    legs = sorted(request.legs, key=lambda leg: (leg.amount > 0, leg.agent_id))
    return tuple(Branch(leg.agent_id, shards[leg.agent_id], leg.amount, request.contra) for leg in legs)


def _check_account(treasury: Treasury, leg: Leg, currency: str, shard: str) -> None:
    with shard_of_agent(treasury, leg.agent_id, shard).database.snapshot() as connection:
        accounts = {account.currency: account for account in accounts_of(connection, [leg.agent_id])}
    if currency not in accounts:
        has = ", ".join(sorted(accounts)) or "none"
        raise InvalidRequest(f"{safe_text(leg.agent_id, 40)} has no {currency} account; its currencies: {has}")
    account = accounts[currency]
    try:
        reserve(account, leg.amount)
    except InsufficientFunds:
        unit = treasury.settings.currencies[currency]
        raise InsufficientFunds(
            f"{safe_text(leg.agent_id, 40)} has {unit.format(account.available)} {currency} available, "
            f"less than the {unit.format(-leg.amount)} asked for"
        ) from None
