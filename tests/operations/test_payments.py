"""Moving money: to the minor unit, conserved, and committed everywhere or nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.treasuries import (
    ALICE,
    BOB,
    CAROL,
    OPENING_BALANCE,
    Crash,
    Recorder,
    ScratchTreasury,
    once_at,
    scratch_copy,
)
from treasury_console.domain.errors import (
    InsufficientFunds,
    InvalidRequest,
)
from treasury_console.domain.money import MAX_MINOR_UNITS
from treasury_console.domain.transactions import Kind, Leg, TransactionState
from treasury_console.operations.accounts import open_accounts
from treasury_console.operations.payments import (
    PaymentAborted,
    Receipt,
    deposit,
    split_transfer,
    transfer,
    withdraw,
)
from treasury_console.operations.reconciliation import reconcile_full
from treasury_console.operations.treasury import Treasury
from treasury_console.operations.verification import verify_agents
from treasury_console.twophase.steps import Step

NASTY = "[@click=app.quit]x[/]\x1b]0;pwn\x07"
legs = st.tuples(st.sampled_from([ALICE, BOB, CAROL]), st.sampled_from([ALICE, BOB, CAROL]), st.integers(1, 60_000))


def test_a_transfer_moves_the_amount_and_its_receipt_says_so(scratch: ScratchTreasury, treasury: Treasury) -> None:
    receipt = transfer(treasury, ALICE, BOB, "10.50", "USD", reference="invoice 7")
    assert receipt == Receipt(
        receipt.txn_id,
        Kind.TRANSFER,
        "USD",
        1050,
        (ALICE, BOB),
        "invoice 7",
        TransactionState.COMMITTED,
        replayed=False,
    )
    assert scratch.balances() == {ALICE: OPENING_BALANCE - 1050, BOB: OPENING_BALANCE + 1050, CAROL: OPENING_BALANCE}
    assert scratch.account(ALICE) == (OPENING_BALANCE - 1050, 0, 2)
    assert scratch.query("shard-1", "SELECT reference, kind FROM entries WHERE txn_id = ?", receipt.txn_id) == [
        ("invoice 7", "transfer")
    ]


def test_a_transfer_within_a_shard_is_the_same(scratch: ScratchTreasury, treasury: Treasury) -> None:
    transfer(treasury, ALICE, CAROL, "0.01", "USD")
    assert scratch.balances() == {ALICE: OPENING_BALANCE - 1, BOB: OPENING_BALANCE, CAROL: OPENING_BALANCE + 1}


def test_everything_an_agent_has_can_be_transferred(scratch: ScratchTreasury, treasury: Treasury) -> None:
    transfer(treasury, ALICE, BOB, "1000.00", "USD")
    assert scratch.account(ALICE)[0] == 0


def test_a_deposit_comes_from_the_outside_and_a_withdrawal_goes_there(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    received = deposit(treasury, ALICE, "5.00", "USD")
    given_out = withdraw(treasury, ALICE, "7.00", "USD")
    assert (received.kind, received.amount, received.participants) == (Kind.DEPOSIT, 500, (ALICE,))
    assert (given_out.kind, given_out.amount, given_out.participants) == (Kind.WITHDRAWAL, 700, (ALICE,))
    assert scratch.account(ALICE) == (OPENING_BALANCE - 200, 0, 3)
    outside = "SELECT amount, version, balance_after FROM entries WHERE agent_id = '@external' AND txn_id IN (?, ?)"
    assert sorted(scratch.query("shard-1", outside, received.txn_id, given_out.txn_id)) == [
        (-500, None, None),
        (700, None, None),
    ]


def test_a_split_transfer_pays_several_at_once(scratch: ScratchTreasury, treasury: Treasury) -> None:
    receipt = split_transfer(treasury, [Leg(BOB, 300), Leg(ALICE, -1000), Leg(CAROL, 700)], "USD")
    assert (receipt.amount, receipt.participants) == (1000, (ALICE, BOB, CAROL))
    assert scratch.balances() == {
        ALICE: OPENING_BALANCE - 1000,
        BOB: OPENING_BALANCE + 300,
        CAROL: OPENING_BALANCE + 700,
    }


def test_debits_are_asked_before_credits(treasury: Treasury, scratch: ScratchTreasury) -> None:
    steps = Recorder()
    split_transfer(scratch.open(on_step=steps), [Leg(ALICE, 1000), Leg(BOB, -300), Leg(CAROL, -700)], "USD")
    assert [who for step, who in steps.seen if step is Step.BEFORE_PREPARE] == [BOB, CAROL, ALICE]


def test_the_largest_balance_can_be_deposited_and_reconciled_again_and_again(treasury: Treasury) -> None:
    open_accounts(treasury, ALICE, ["ETH"])
    most = treasury.settings.currencies.format(MAX_MINOR_UNITS, "ETH")
    for _ in range(3):
        deposit(treasury, ALICE, most, "ETH")
        withdraw(treasury, ALICE, most, "ETH")
    assert verify_agents(treasury, [ALICE]).ok
    assert reconcile_full(treasury).findings == ()


def test_a_shard_that_goes_away_after_the_start_aborts_the_payment_and_says_why(scratch: ScratchTreasury) -> None:
    treasury = scratch.open(on_step=once_at((Step.BEFORE_PREPARE, BOB), lambda: scratch.take_away("shard-2")))
    with pytest.raises(PaymentAborted, match="was rolled back: database shard-2 did not answer") as aborted:
        transfer(treasury, ALICE, BOB, "1", "USD")
    scratch.bring_back("shard-2")
    assert scratch.account(ALICE) == (OPENING_BALANCE, 0, 1)
    assert treasury.transaction_record(aborted.value.txn_id).finished_at is None


def test_a_payment_that_is_decided_but_not_applied_everywhere_says_that_it_is_still_committing(
    scratch: ScratchTreasury,
) -> None:
    treasury = scratch.open(on_step=once_at((Step.BEFORE_APPLY, BOB), lambda: scratch.take_away("shard-2")))
    assert transfer(treasury, ALICE, BOB, "1", "USD").state is TransactionState.COMMITTING


def test_money_that_was_spent_since_it_was_checked_is_refused_by_the_participant(scratch: ScratchTreasury) -> None:
    spend = once_at((Step.CREATED, ""), lambda: withdraw(scratch.open(), ALICE, "999.50", "USD"))
    with pytest.raises(PaymentAborted, match="was rolled back: agent_1 has too little USD available"):
        transfer(scratch.open(on_step=spend), ALICE, BOB, "1.00", "USD")
    assert scratch.balances()[ALICE] == 50
    assert verify_agents(scratch.observer, [ALICE, BOB]).ok


def test_a_name_that_means_harm_is_only_a_name(scratch: ScratchTreasury, treasury: Treasury) -> None:
    open_accounts(treasury, NASTY, ["USD"])
    transfer(treasury, ALICE, NASTY, "1.00", "USD", reference=NASTY)
    assert verify_agents(treasury, [NASTY]).ok
    with pytest.raises(InsufficientFunds) as refused:
        transfer(treasury, NASTY, ALICE, "2.00", "USD")
    assert str(refused.value).isprintable()


@settings(max_examples=15)
@given(st.lists(legs, max_size=8))
def test_whatever_is_transferred_money_is_conserved_and_nobody_is_overdrawn(
    funded_template: Path, payments: list[tuple[str, str, int]]
) -> None:
    with scratch_copy(funded_template) as scratch:
        treasury = scratch.open()
        expected = dict.fromkeys([ALICE, BOB, CAROL], OPENING_BALANCE)
        for sender, receiver, amount in payments:
            try:
                transfer(treasury, sender, receiver, f"{amount // 100}.{amount % 100:02}", "USD")
            except InsufficientFunds:
                assert expected[sender] < amount
            except InvalidRequest:
                assert sender == receiver
            else:
                expected[sender] -= amount
                expected[receiver] += amount
        assert scratch.balances() == expected
        assert verify_agents(treasury, [ALICE, BOB, CAROL]).ok


def test_dying_while_paying_is_not_caught_by_anything(scratch: ScratchTreasury) -> None:
    with pytest.raises(Crash):
        transfer(scratch.open(on_step=Recorder(dies_at=(Step.CREATED, ""))), ALICE, BOB, "1", "USD")
