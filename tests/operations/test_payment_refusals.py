"""A request that is refused says why in one sentence and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.treasuries import (
    ALICE,
    BOB,
    CAROL,
    ScratchTreasury,
)
from treasury_console.domain.errors import (
    ExitStatus,
    InsufficientFunds,
    InvalidRequest,
    Refused,
    TreasuryError,
    UnknownId,
    Unreachable,
)
from treasury_console.domain.money import MAX_MINOR_UNITS, MIN_MINOR_UNITS
from treasury_console.domain.transactions import Leg
from treasury_console.operations.accounts import open_accounts
from treasury_console.operations.payments import (
    deposit,
    split_transfer,
    transfer,
    withdraw,
)
from treasury_console.operations.treasury import Treasury

NASTY = "[@click=app.quit]x[/]\x1b]0;pwn\x07"
Act = Callable[[Treasury], object]


def request(act: Callable[..., object], *arguments: object, **options: object) -> Act:
    return lambda treasury: act(treasury, *arguments, **options)


REFUSALS: dict[str, tuple[Act, type[TreasuryError], str]] = {
    "insufficient funds": (
        request(transfer, ALICE, BOB, "1000.01", "USD"),
        InsufficientFunds,
        "agent_1 has 1000.00 USD available, less than the 1000.01 asked for",
    ),
    "insufficient funds for a withdrawal": (
        request(withdraw, ALICE, "1000.01", "USD"),
        InsufficientFunds,
        "agent_1 has 1000.00 USD available, less than the 1000.01 asked for",
    ),
    "insufficient funds in a split": (
        request(split_transfer, [Leg(ALICE, -50), Leg(BOB, -100_001), Leg(CAROL, 100_051)], "USD"),
        InsufficientFunds,
        "agent_2 has 1000.00 USD available",
    ),
    "unknown sender": (request(transfer, "nobody", BOB, "1", "USD"), UnknownId, "there is no agent 'nobody'"),
    "unknown receiver": (request(transfer, ALICE, "nobody", "1", "USD"), UnknownId, "there is no agent 'nobody'"),
    "unknown depositor": (request(deposit, "nobody", "1", "USD"), UnknownId, "there is no agent 'nobody'"),
    "currency that is not known": (
        request(transfer, ALICE, BOB, "1", "XXX"),
        InvalidRequest,
        "currency 'XXX' is not known; use one of BTC, CO2, ETH, USD, USDC, VMC",
    ),
    "blank currency": (request(transfer, ALICE, BOB, "1", ""), InvalidRequest, "currency '' is not known"),
    "currency in small letters": (request(transfer, ALICE, BOB, "1", "usd"), InvalidRequest, "'usd' is not known"),
    "currency the sender has no account in": (
        request(transfer, ALICE, BOB, "1", "ETH"),
        InvalidRequest,
        "agent_1 has no ETH account; its currencies: USD",
    ),
    "self-transfer": (
        request(transfer, ALICE, ALICE, "1", "USD"),
        InvalidRequest,
        "'agent_1' cannot transfer to itself",
    ),
    "one agent twice in a split": (
        request(split_transfer, [Leg(ALICE, -2), Leg(BOB, 1), Leg(BOB, 1)], "USD"),
        InvalidRequest,
        "'agent_2' cannot transfer to itself",
    ),
    "too many decimals": (
        request(transfer, ALICE, BOB, "1.001", "USD"),
        InvalidRequest,
        "'1.001' has 3 decimals but USD has 2; amounts are never rounded",
    ),
    "too many decimals that are zero": (
        request(transfer, ALICE, BOB, "1.000", "USD"),
        InvalidRequest,
        "amounts are never rounded",
    ),
    "amount beyond 64 bits": (
        request(transfer, ALICE, BOB, "92233720368547758.08", "USD"),
        InvalidRequest,
        "does not fit 64 bits",
    ),
    "amount far beyond 64 bits": (request(deposit, ALICE, "9" * 20, "USD"), InvalidRequest, "does not fit 64 bits"),
    "deposit that the balance cannot take": (
        request(deposit, ALICE, "92233720368547758.07", "USD"),
        InvalidRequest,
        "does not fit 64 bits",
    ),
    "leg beyond 64 bits": (
        request(split_transfer, [Leg(ALICE, MIN_MINOR_UNITS - 1), Leg(BOB, MAX_MINOR_UNITS + 2)], "USD"),
        InvalidRequest,
        "does not fit 64 bits",
    ),
    "smallest leg of all": (
        request(split_transfer, [Leg(ALICE, MIN_MINOR_UNITS), Leg(BOB, MAX_MINOR_UNITS), Leg(CAROL, 1)], "USD"),
        TreasuryError,
        "",
    ),
    "zero": (request(transfer, ALICE, BOB, "0", "USD"), InvalidRequest, "more than zero"),
    "zero with decimals": (request(deposit, ALICE, "0.00", "USD"), InvalidRequest, "more than zero"),
    "zero leg": (request(split_transfer, [Leg(ALICE, -1), Leg(BOB, 1), Leg(CAROL, 0)], "USD"), InvalidRequest, "zero"),
    "negative": (request(transfer, ALICE, BOB, "-1", "USD"), InvalidRequest, "more than zero"),
    "negative deposit": (request(deposit, ALICE, "-1", "USD"), InvalidRequest, "more than zero"),
    "negative withdrawal": (request(withdraw, ALICE, "-1", "USD"), InvalidRequest, "more than zero"),
    "not a number": (request(transfer, ALICE, BOB, "ten", "USD"), InvalidRequest, "'ten' is not an amount"),
    "infinity": (request(deposit, ALICE, "inf", "USD"), InvalidRequest, "'inf' is not an amount"),
    "scientific": (request(deposit, ALICE, "1e3", "USD"), InvalidRequest, "'1e3' is not an amount"),
    "comma": (request(deposit, ALICE, "1,00", "USD"), InvalidRequest, "'1,00' is not an amount"),
    "digits of another script": (request(deposit, ALICE, "١٠", "USD"), InvalidRequest, "is not an amount"),
    "legs that do not sum to zero": (
        request(split_transfer, [Leg(ALICE, -2), Leg(BOB, 1)], "USD"),
        InvalidRequest,
        "must sum to zero",
    ),
    "a single leg": (request(split_transfer, [Leg(ALICE, 1)], "USD"), InvalidRequest, "at least two agents"),
    "no leg": (request(split_transfer, [], "USD"), InvalidRequest, "at least two agents"),
    "reserved sender": (request(transfer, "@external", BOB, "1", "USD"), InvalidRequest, "'@external' is reserved"),
    "reserved receiver": (request(transfer, ALICE, "@carbon", "1", "USD"), InvalidRequest, "'@carbon' is reserved"),
    "deposit to the outside": (request(deposit, "@external", "1", "USD"), InvalidRequest, "'@external' is reserved"),
    "no name": (request(transfer, "", BOB, "1", "USD"), InvalidRequest, "1 to 128 characters"),
    "reference too long": (
        request(transfer, ALICE, BOB, "1", "USD", reference="x" * 257),
        InvalidRequest,
        "at most 256 characters",
    ),
    "reference with NUL": (
        request(transfer, ALICE, BOB, "1", "USD", reference="a\x00b"),
        InvalidRequest,
        "cannot contain NUL",
    ),
    "reference with half a character": (
        request(transfer, ALICE, BOB, "1", "USD", reference="\ud800"),
        InvalidRequest,
        "surrogates",
    ),
    "idempotency key with spaces": (
        request(transfer, ALICE, BOB, "1", "USD", idempotency_key="a b"),
        InvalidRequest,
        "an idempotency key has",
    ),
    "empty idempotency key": (
        request(transfer, ALICE, BOB, "1", "USD", idempotency_key=""),
        InvalidRequest,
        "an idempotency key has",
    ),
    "idempotency key that is too long": (
        request(transfer, ALICE, BOB, "1", "USD", idempotency_key="k" * 129),
        InvalidRequest,
        "an idempotency key has",
    ),
    "a name that means harm": (request(transfer, ALICE, NASTY, "1", "USD"), UnknownId, "]0;pwn"),
}


@pytest.mark.parametrize(("act", "kind", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_request_that_is_refused_leaves_nothing_behind(
    scratch: ScratchTreasury, treasury: Treasury, act: Act, kind: type[TreasuryError], message: str
) -> None:
    before = scratch.contents()
    with pytest.raises(kind) as refused:
        act(treasury)
    assert scratch.contents() == before
    text = str(refused.value)
    assert message in text
    assert text.isprintable(), "one line, nothing that a terminal would obey"
    expected = ExitStatus.REFUSED if isinstance(refused.value, Refused) else ExitStatus.USAGE
    assert refused.value.exit_status is expected


@pytest.mark.parametrize(
    "act",
    [
        request(transfer, ALICE, BOB, "1", "USD"),
        request(split_transfer, [Leg(ALICE, -1), Leg(BOB, 1)], "USD"),
        request(deposit, ALICE, "1", "USD"),
        request(withdraw, ALICE, "1", "USD"),
        request(open_accounts, "agent_9", ["USD"]),
    ],
    ids=["transfer", "split transfer", "deposit", "withdrawal", "opening an account"],
)
def test_a_treasury_open_read_only_moves_nothing(scratch: ScratchTreasury, act: Act) -> None:
    before = scratch.contents()
    with pytest.raises(Refused, match="read-only"):
        act(scratch.open(read_only=True))
    assert scratch.contents() == before


def test_amounts_that_only_together_exceed_64_bits_are_refused_in_a_sentence(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    most = treasury.settings.currencies.format(MAX_MINOR_UNITS, "ETH")
    for agent_id in (ALICE, BOB, CAROL, "agent_4"):
        open_accounts(treasury, agent_id, ["ETH"])
    deposit(treasury, ALICE, most, "ETH")
    deposit(treasury, BOB, most, "ETH")
    before = scratch.contents()
    legs = [
        Leg(ALICE, -MAX_MINOR_UNITS),
        Leg(BOB, -MAX_MINOR_UNITS),
        Leg(CAROL, MAX_MINOR_UNITS),
        Leg("agent_4", MAX_MINOR_UNITS),
    ]
    with pytest.raises(InvalidRequest, match="64 bits"):
        split_transfer(treasury, legs, "ETH")
    assert scratch.contents() == before


@pytest.mark.parametrize("name", ["shard-1", "shard-2"])
def test_a_shard_that_does_not_answer_before_the_start_leaves_nothing_behind(
    scratch: ScratchTreasury, treasury: Treasury, name: str
) -> None:
    before = scratch.contents()
    with scratch.without(name), pytest.raises(Unreachable, match=f"database {name} did not answer"):
        transfer(treasury, ALICE, BOB, "1", "USD")
    assert scratch.contents() == before
