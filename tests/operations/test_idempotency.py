"""An idempotency key moves money once, whoever asks, however often, at whatever moment."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.treasuries import (
    ALICE,
    BOB,
    CAROL,
    OPENING_BALANCE,
    TRANSFER_STEPS,
    ScratchTreasury,
    once_at,
)
from treasury_console.domain.errors import (
    InsufficientFunds,
    Refused,
)
from treasury_console.domain.transactions import Leg, TransactionState
from treasury_console.operations.payments import (
    PaymentAborted,
    Receipt,
    deposit,
    split_transfer,
    transfer,
    withdraw,
)
from treasury_console.operations.treasury import Treasury
from treasury_console.operations.verification import verify_agents
from treasury_console.twophase.steps import Step

ROOT = Path(__file__).parents[2]
Act = Callable[[Treasury], object]


def request(act: Callable[..., object], *arguments: object, **options: object) -> Act:
    return lambda treasury: act(treasury, *arguments, **options)


def transfers(count: int, scratch: ScratchTreasury) -> None:
    assert scratch.balances() == {
        ALICE: OPENING_BALANCE - 100 * count,
        BOB: OPENING_BALANCE + 100 * count,
        CAROL: OPENING_BALANCE,
    }
    assert verify_agents(scratch.observer, [ALICE, BOB, CAROL]).ok


def test_the_same_key_and_request_moves_money_once_and_returns_the_first_receipt(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    first = transfer(treasury, ALICE, BOB, "1.00", "USD", reference="r", idempotency_key="order-77")
    before = scratch.contents()
    again = transfer(scratch.open(), ALICE, BOB, "1.00", "USD", reference="r", idempotency_key="order-77")
    assert (first.replayed, again.replayed) == (False, True)
    assert again == replace(first, replayed=True)
    assert scratch.contents() == before
    transfers(1, scratch)


def test_a_replay_needs_no_funds_any_more(scratch: ScratchTreasury, treasury: Treasury) -> None:
    transfer(treasury, ALICE, BOB, "1000.00", "USD", idempotency_key="order-77")
    assert transfer(treasury, ALICE, BOB, "1000.00", "USD", idempotency_key="order-77").replayed


def test_the_same_legs_in_another_order_are_the_same_request(treasury: Treasury) -> None:
    legs = [Leg(ALICE, -1000), Leg(BOB, 300), Leg(CAROL, 700)]
    first = split_transfer(treasury, legs, "USD", idempotency_key="order-77")
    again = split_transfer(treasury, legs[::-1], "USD", idempotency_key="order-77")
    assert (again.txn_id, again.replayed) == (first.txn_id, True)


@pytest.mark.parametrize(
    "other",
    [
        request(transfer, ALICE, BOB, "1.01", "USD", idempotency_key="order-77"),
        request(transfer, ALICE, CAROL, "1.00", "USD", idempotency_key="order-77"),
        request(transfer, BOB, ALICE, "1.00", "USD", idempotency_key="order-77"),
        request(transfer, ALICE, BOB, "1.00", "USD", reference="other", idempotency_key="order-77"),
        request(transfer, ALICE, BOB, "1.00", "USDC", idempotency_key="order-77"),
        request(deposit, BOB, "1.00", "USD", idempotency_key="order-77"),
        request(withdraw, ALICE, "1.00", "USD", idempotency_key="order-77"),
    ],
    ids=["amount", "receiver", "direction", "reference", "currency", "deposit", "withdrawal"],
)
def test_another_request_with_the_same_key_is_refused_and_leaves_nothing_behind(
    scratch: ScratchTreasury, treasury: Treasury, other: Act
) -> None:
    first = transfer(treasury, ALICE, BOB, "1.00", "USD", idempotency_key="order-77")
    before = scratch.contents()
    with pytest.raises(Refused, match=f"this idempotency key belongs to {first.txn_id}, a different request"):
        other(treasury)
    assert scratch.contents() == before


def test_the_key_of_an_aborted_payment_stays_aborted(scratch: ScratchTreasury) -> None:
    """An id that failed must never succeed later: the client was told that no money moved."""
    spend = once_at((Step.CREATED, ""), lambda: withdraw(scratch.open(), ALICE, "999.50", "USD"))
    with pytest.raises(PaymentAborted) as first:
        transfer(scratch.open(on_step=spend), ALICE, BOB, "1.00", "USD", idempotency_key="order-77")
    deposit(scratch.open(), ALICE, "999.50", "USD")
    before = scratch.contents()
    with pytest.raises(PaymentAborted, match="has this idempotency key and was rolled back; use a new key") as again:
        transfer(scratch.open(), ALICE, BOB, "1.00", "USD", idempotency_key="order-77")
    assert again.value.txn_id == first.value.txn_id
    assert scratch.contents() == before


def test_a_request_that_was_refused_before_it_began_does_not_use_its_key_up(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    with pytest.raises(InsufficientFunds):
        transfer(treasury, ALICE, BOB, "1000.01", "USD", idempotency_key="order-77")
    deposit(treasury, ALICE, "0.01", "USD")
    assert not transfer(treasury, ALICE, BOB, "1000.01", "USD", idempotency_key="order-77").replayed


@pytest.mark.parametrize("step", TRANSFER_STEPS, ids=lambda step: "-".join(step).strip("-"))
def test_the_key_of_a_payment_whose_coordinator_died_says_how_far_it_is_and_moves_nothing(
    scratch: ScratchTreasury, step: tuple[Step, str]
) -> None:
    txn_id = scratch.crash_a_transfer(step, amount="1.00", idempotency_key="order-77")
    before = scratch.contents()
    receipt = transfer(scratch.open(), ALICE, BOB, "1.00", "USD", idempotency_key="order-77")
    assert (receipt.txn_id, receipt.replayed) == (txn_id, True)
    decided = TRANSFER_STEPS.index(step) >= TRANSFER_STEPS.index((Step.DECIDED, ""))
    if step == (Step.CONFIRMED, ""):
        assert receipt.state is TransactionState.COMMITTED
    else:
        assert receipt.state is (TransactionState.COMMITTING if decided else TransactionState.PREPARING)
    assert scratch.contents() == before


def test_a_payment_that_dies_before_it_is_created_leaves_its_key_free(scratch: ScratchTreasury) -> None:
    scratch.execute(
        "treasury", "CREATE TRIGGER full BEFORE INSERT ON branches BEGIN SELECT RAISE(FAIL, 'disk full'); END"
    )
    with pytest.raises(Exception, match="disk full"):
        transfer(scratch.open(), ALICE, BOB, "1.00", "USD", idempotency_key="order-77")
    scratch.execute("treasury", "DROP TRIGGER full")
    assert not transfer(scratch.open(), ALICE, BOB, "1.00", "USD", idempotency_key="order-77").replayed
    transfers(1, scratch)


def test_a_key_that_is_taken_between_looking_and_creating_is_a_replay(scratch: ScratchTreasury) -> None:
    """The other process's whole payment happens after this one has looked the key up."""
    first: list[Receipt] = []
    treasury = scratch.open()
    coordinator = treasury.coordinator()
    original = coordinator.run

    def run_later(*arguments: object) -> object:
        first.append(transfer(scratch.open(), ALICE, BOB, "1.00", "USD", idempotency_key="order-77"))
        return original(*arguments)  # type: ignore[arg-type]

    coordinator.run = run_later  # type: ignore[method-assign,assignment]
    second = transfer(treasury, ALICE, BOB, "1.00", "USD", idempotency_key="order-77")
    assert (second.txn_id, second.replayed) == (first[0].txn_id, True)
    transfers(1, scratch)


def test_threads_with_the_same_key_move_money_once(scratch: ScratchTreasury) -> None:
    handles = [scratch.open(), scratch.open()]
    for number in range(5):
        start, receipts = threading.Barrier(4), []

        def pay(thread: int, key: str = f"order-{number}") -> None:
            start.wait()  # noqa: B023
            receipts.append(transfer(handles[thread % 2], ALICE, BOB, "1.00", "USD", idempotency_key=key))  # noqa: B023

        threads = [threading.Thread(target=pay, args=[thread]) for thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(receipt.replayed for receipt in receipts) == [False, True, True, True]
        assert len({receipt.txn_id for receipt in receipts}) == 1
    transfers(5, scratch)


def test_processes_with_the_same_keys_move_money_once_for_each(scratch: ScratchTreasury) -> None:
    keys = [f"order-{number}" for number in range(25)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.operations.paying", str(scratch.folder), f"p{number}", *keys],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    lines = [line.split() for process in processes for line in process.communicate()[0].splitlines()]
    assert [process.returncode for process in processes] == [0, 0]
    for key in keys:
        answers = [(txn_id, replayed) for name, txn_id, replayed in lines if name == key]
        assert len({txn_id for txn_id, _ in answers}) == 1
        assert sorted(replayed for _, replayed in answers) == ["False", "True"]
    transfers(25, scratch)
