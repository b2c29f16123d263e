"""What a branch does to an account: reserved by the yes vote, settled by commit, released by rollback."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from treasury_console.domain.accounts import Account, release, reserve, settle
from treasury_console.domain.errors import ExitStatus, InsufficientFunds, StoreCorrupt
from treasury_console.domain.money import MAX_MINOR_UNITS, MIN_MINOR_UNITS, AmountOutOfRange

from .repeatable import repeatable

int64 = st.integers(MIN_MINOR_UNITS, MAX_MINOR_UNITS)


@st.composite
def accounts(draw: st.DrawFn, most: int = MAX_MINOR_UNITS) -> Account:
    """An account that holds no more than it has."""
    balance = draw(st.integers(0, most))
    return Account("agent_1", "USD", balance, draw(st.integers(0, balance)), draw(st.integers(0, 2**40)))


@st.composite
def bearable_debits(draw: st.DrawFn) -> tuple[Account, int]:
    """An account and a debit that it can bear."""
    account = draw(accounts().filter(lambda account: account.available > 0))
    return account, -draw(st.integers(1, account.available))


@st.composite
def bearable_credits(draw: st.DrawFn) -> tuple[Account, int]:
    """An account and a credit that it can store."""
    account = draw(accounts())
    return account, draw(st.integers(0, MAX_MINOR_UNITS - account.balance))


legs = bearable_debits() | bearable_credits()


@repeatable
@given(bearable_debits())
def test_a_debit_is_held_and_no_longer_available(leg: tuple[Account, int]) -> None:
    account, amount = leg
    reserved = reserve(account, amount)
    assert reserved == replace(account, held=account.held - amount)
    assert reserved.available == account.available + amount >= 0


@repeatable
@given(bearable_credits())
def test_a_credit_changes_nothing_before_it_is_settled(leg: tuple[Account, int]) -> None:
    account, amount = leg
    assert reserve(account, amount) == account


@repeatable
@given(legs)
def test_releasing_gives_back_what_was_reserved(leg: tuple[Account, int]) -> None:
    account, amount = leg
    assert release(reserve(account, amount), amount) == account


@repeatable
@given(legs)
def test_settling_moves_the_balance_by_the_amount_frees_the_hold_and_counts_one_entry(leg: tuple[Account, int]) -> None:
    account, amount = leg
    settled = settle(reserve(account, amount), amount)
    assert settled == replace(account, balance=account.balance + amount, version=account.version + 1)
    assert settled.available >= 0


@repeatable
@given(bearable_debits())
def test_settling_a_debit_leaves_available_what_the_hold_had_left(leg: tuple[Account, int]) -> None:
    account, amount = leg
    reserved = reserve(account, amount)
    assert settle(reserved, amount).available == reserved.available


@repeatable
@given(accounts(), st.integers(1, MAX_MINOR_UNITS))
def test_a_debit_of_more_than_is_available_is_refused(account: Account, beyond: int) -> None:
    with pytest.raises(InsufficientFunds):
        reserve(account, -(account.available + beyond))


@repeatable
@given(accounts(), int64)
def test_a_leg_is_reserved_whole_or_refused_and_never_takes_available_below_zero(account: Account, amount: int) -> None:
    try:
        reserved = reserve(account, amount)
    except InsufficientFunds:
        assert account.available + amount < 0
    except AmountOutOfRange:
        assert account.balance + amount > MAX_MINOR_UNITS
    else:
        assert reserved.available >= 0
        assert MIN_MINOR_UNITS <= reserved.held <= reserved.balance <= MAX_MINOR_UNITS


@repeatable
@given(accounts(most=10_000), st.lists(st.tuples(st.sampled_from("prc"), st.integers(-500, 500)), max_size=40))
def test_any_course_of_branches_conserves_the_money_and_ends_without_holds(
    opened: Account, course: list[tuple[str, int]]
) -> None:
    account = opened
    pending: list[int] = []
    settled: list[int] = []
    for act, number in course:
        if act == "p":
            try:
                account = reserve(account, number)
            except InsufficientFunds:
                continue
            pending.append(number)
        elif pending:
            amount = pending.pop(number % len(pending))
            account = settle(account, amount) if act == "c" else release(account, amount)
            if act == "c":
                settled.append(amount)
        assert account.balance == opened.balance + sum(settled)
        assert account.held == opened.held + sum(-amount for amount in pending if amount < 0)
        assert account.version == opened.version + len(settled)
        assert account.available >= 0
    for amount in pending:
        account = release(account, amount)
    assert account.held == opened.held


@repeatable
@given(accounts(), accounts(), st.integers(1, MAX_MINOR_UNITS))
def test_a_transfer_keeps_the_sum_of_both_accounts_whichever_way_it_ends(
    payer: Account, payee: Account, amount: int
) -> None:
    assume(payer.available >= amount and payee.balance + amount <= MAX_MINOR_UNITS)
    paying, paid = reserve(payer, -amount), reserve(payee, amount)
    committed = settle(paying, -amount), settle(paid, amount)
    assert sum(account.balance for account in committed) == payer.balance + payee.balance
    assert (release(paying, -amount), release(paid, amount)) == (payer, payee)


def test_a_credit_that_cannot_be_stored_is_refused_when_it_is_reserved() -> None:
    account = Account("agent_1", "USD", MAX_MINOR_UNITS, 0, 1)
    with pytest.raises(AmountOutOfRange):
        reserve(account, 1)
    assert reserve(account, 0) == account


def test_a_credit_is_refused_when_it_cannot_be_stored_beside_the_credits_prepared_before_it() -> None:
    account = Account("agent_1", "USD", MAX_MINOR_UNITS - 10, 0, 1)
    assert reserve(account, 3, incoming=7) == account
    with pytest.raises(AmountOutOfRange):
        reserve(account, 4, incoming=7)


@repeatable
@given(accounts(), st.lists(st.integers(1, MAX_MINOR_UNITS) | st.integers(1, 1_000), max_size=8), st.randoms())
def test_all_credits_that_were_voted_yes_can_commit_in_any_order(
    opened: Account, amounts: list[int], order: random.Random
) -> None:
    account, accepted = opened, list[int]()
    for amount in amounts:
        try:
            account = reserve(account, amount, incoming=sum(accepted))
        except AmountOutOfRange:
            assert account.balance + sum(accepted) + amount > MAX_MINOR_UNITS
        else:
            accepted.append(amount)
    order.shuffle(accepted)
    for amount in accepted:
        account = settle(account, amount)
    assert account.balance == opened.balance + sum(accepted)


def test_credits_under_way_cannot_be_spent() -> None:
    account = Account("agent_1", "USD", 100, 0, 1)
    with pytest.raises(InsufficientFunds):
        reserve(account, -101, incoming=1_000)
    assert reserve(account, -100, incoming=MAX_MINOR_UNITS).available == 0


def test_a_balance_that_would_leave_64_bits_is_not_settled() -> None:
    with pytest.raises(AmountOutOfRange):
        settle(Account("agent_1", "USD", MAX_MINOR_UNITS, 0, 1), 1)


def test_everything_available_may_be_debited_and_not_one_unit_more() -> None:
    account = Account("agent_1", "USD", 1_000, 400, 1)
    assert reserve(account, -600).available == 0
    with pytest.raises(InsufficientFunds):
        reserve(account, -601)


@pytest.mark.parametrize("end", [settle, release])
def test_a_branch_without_its_hold_is_a_corrupt_store_and_is_not_hidden(end: Callable[[Account, int], Account]) -> None:
    account = Account("agent_1", "USD", 1_000, 99, 1)
    with pytest.raises(StoreCorrupt):
        end(account, -100)


@pytest.mark.parametrize("amount", [-(2**63), MIN_MINOR_UNITS + 1])
def test_a_debit_at_the_limit_of_64_bits_is_refused_for_want_of_funds(amount: int) -> None:
    with pytest.raises(InsufficientFunds):
        reserve(Account("agent_1", "USD", MAX_MINOR_UNITS - 1, 0, 1), amount)


def test_an_account_already_below_zero_may_be_credited_and_not_debited() -> None:
    account = Account("agent_1", "USD", -50, 0, 3)
    assert reserve(account, 0) == account
    assert settle(reserve(account, 20), 20).balance == -30
    with pytest.raises(InsufficientFunds):
        reserve(account, -1)


def test_refusals_carry_their_exit_status_and_a_harmless_name() -> None:
    account = Account("agent\x1b[2J\u202e", "USD", 10, 0, 1)
    with pytest.raises(InsufficientFunds) as refusal:
        reserve(account, -11)
    assert refusal.value.exit_status is ExitStatus.REFUSED
    assert str(refusal.value).isprintable()
    with pytest.raises(StoreCorrupt) as corrupt:
        release(account, -11)
    assert corrupt.value.exit_status is ExitStatus.DISCREPANCY
    assert str(corrupt.value).isprintable()
