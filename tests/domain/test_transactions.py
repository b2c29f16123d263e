"""The state of a transaction as its decision and branches make it, and what a request must be to become one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import combinations, permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treasury_console.domain.errors import ExitStatus, InvalidRequest
from treasury_console.domain.money import MAX_MINOR_UNITS, AmountOutOfRange
from treasury_console.domain.transactions import (
    Branch,
    BranchState,
    Decision,
    Kind,
    Leg,
    Transaction,
    TransactionState,
    check_agent_id,
    check_idempotency_key,
    check_legs,
    check_reference,
    derive_state,
)

from .repeatable import any_text, refusal_of, repeatable

P, C, X, A, U = (
    BranchState.PREPARED,
    BranchState.COMMITTED,
    BranchState.ROLLED_BACK,
    BranchState.ACTIVE,
    BranchState.UNKNOWN,
)
COMMIT, ABORT = Decision.COMMIT, Decision.ABORT
S = TransactionState


def every_set_of_states() -> Iterator[tuple[BranchState, ...]]:
    """Yield every non-empty set of branch states."""
    for size in range(1, 6):
        yield from combinations(BranchState, size)


EVERY_SITUATION = list(product((None, COMMIT, ABORT), every_set_of_states()))


def test_every_situation_is_looked_at() -> None:
    assert len(EVERY_SITUATION) == 3 * 31


def test_a_transaction_is_finished_exactly_when_every_branch_ended_as_decided() -> None:
    for decision, states in EVERY_SITUATION:
        state = derive_state(decision, states)
        assert (state is S.COMMITTED) == (decision is COMMIT and states == (C,))
        assert (state is S.ABORTED) == (decision is ABORT and states == (X,))


def test_a_transaction_is_heuristic_exactly_when_a_branch_contradicts_another_or_the_decision() -> None:
    for decision, states in EVERY_SITUATION:
        not_committing = bool({X, A} & set(states))
        contradiction = {
            None: C in states and not_committing,
            COMMIT: not_committing,
            ABORT: C in states,
        }[decision]
        assert (derive_state(decision, states) is S.HEURISTIC) == contradiction, (decision, states)


def test_a_decided_transaction_is_on_its_way_until_it_is_finished() -> None:
    for decision, states in EVERY_SITUATION:
        state = derive_state(decision, states)
        if decision is COMMIT:
            assert state in {S.COMMITTING, S.COMMITTED, S.HEURISTIC}
        if decision is ABORT:
            assert state in {S.ABORTING, S.ABORTED, S.HEURISTIC}


def test_an_undecided_transaction_is_prepared_exactly_when_every_branch_is() -> None:
    for states in every_set_of_states():
        assert (derive_state(None, states) is S.PREPARED) == (states == (P,))


def test_a_silent_branch_keeps_a_transaction_unfinished() -> None:
    for decision, states in EVERY_SITUATION:
        if U in states:
            assert derive_state(decision, states) not in {S.COMMITTED, S.ABORTED, S.PREPARED}


@pytest.mark.parametrize(
    ("decision", "states", "expected"),
    [
        (None, (P, P), S.PREPARED),
        (None, (P, A), S.PREPARING),
        (None, (P, U), S.PREPARING),
        (None, (C, P), S.COMMITTING),
        (None, (C, C), S.COMMITTING),
        (None, (C, X), S.HEURISTIC),
        (None, (C, A), S.HEURISTIC),
        (COMMIT, (P, P), S.COMMITTING),
        (COMMIT, (C, U), S.COMMITTING),
        (COMMIT, (C, C), S.COMMITTED),
        (COMMIT, (X, X), S.HEURISTIC),
        (COMMIT, (P, A), S.HEURISTIC),
        (ABORT, (P, A), S.ABORTING),
        (ABORT, (X, U), S.ABORTING),
        (ABORT, (X, X), S.ABORTED),
        (ABORT, (X, C), S.HEURISTIC),
        (ABORT, (C, C), S.HEURISTIC),
    ],
)
def test_a_state_is_what_the_decision_and_the_branches_amount_to(
    decision: Decision | None, states: tuple[BranchState, ...], expected: TransactionState
) -> None:
    assert {derive_state(decision, order) for order in permutations(states)} == {expected}


def test_the_number_of_branches_in_a_state_does_not_matter() -> None:
    for decision, states in EVERY_SITUATION:
        assert derive_state(decision, [*states, *states, states[0]]) is derive_state(decision, states)


def test_a_transaction_without_branches_is_never_finished_nor_prepared() -> None:
    for decision in (None, COMMIT, ABORT):
        assert derive_state(decision, []) not in {S.COMMITTED, S.ABORTED, S.PREPARED}


def test_the_participants_are_the_branches_agents_in_their_order() -> None:
    branches = (Branch("zoe", "north", -5), Branch("ada", "south", 5))
    created = datetime(2025, 12, 30, tzinfo=UTC)
    transaction = Transaction("txn_1", Kind.TRANSFER, "USD", 5, "", created, "coordinator-1", 1, branches)
    assert transaction.participants == ("zoe", "ada")


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "agent_123",
        "x" * 128,
        "東京",
        "a@b",
        "a b",
        "\ud7ff\ue000",
        "\x1b[2J",
        "\u202e",
        "[bold]",
        "'; drop table accounts --",
    ],
)
def test_an_agent_may_have_any_name_that_can_be_stored(name: str) -> None:
    assert check_agent_id(name) == name


@pytest.mark.parametrize("name", ["", "x" * 129, "@external", "@", "@anything", "a\x00b", "\ud800", "a\udfff"])
def test_a_name_that_is_empty_too_long_reserved_or_not_storable_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        check_agent_id(name)
    assert refusal.value.exit_status is ExitStatus.USAGE
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize(
    "act",
    [
        lambda: check_agent_id("@" + "x" * 100),
        lambda: check_agent_id("x" * 5_000),
        lambda: check_reference("x" * 5_000),
        lambda: check_legs([Leg("x" * 5_000, 1), Leg("x" * 5_000, -1)]),
    ],
)
def test_a_refusal_of_a_long_text_is_short(act: Callable[[], object]) -> None:
    told = refusal_of(act)
    assert told is not None
    assert len(told) < 100


@repeatable
@given(any_text)
def test_every_accepted_name_and_reference_can_be_written_to_a_database(text: str) -> None:
    for check, longest in ((check_agent_id, 128), (check_reference, 256)):
        refusal = refusal_of(partial(check, text))
        if refusal is None:
            assert check(text) == text
            assert len(text) <= longest
            assert b"\x00" not in text.encode("utf-8")
        else:
            assert refusal.isprintable()


@pytest.mark.parametrize("reference", ["", "invoice 7", "x" * 256, "line\nbreak", "@external"])
def test_a_reference_is_any_short_text(reference: str) -> None:
    assert check_reference(reference) == reference


@pytest.mark.parametrize("reference", ["x" * 257, "\x00", "\udc80"])
def test_a_reference_that_is_too_long_or_not_storable_is_refused(reference: str) -> None:
    with pytest.raises(InvalidRequest):
        check_reference(reference)


@repeatable
@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=128))
def test_an_idempotency_key_is_printable_ascii(key: str) -> None:
    assert check_idempotency_key(key) == key


@pytest.mark.parametrize("key", ["", " ", "a b", "a\n", "\n", "a\t", "x" * 129, "ä", "\x7f", "a\u200b", "\uff41"])
def test_an_idempotency_key_with_anything_else_is_refused(key: str) -> None:
    with pytest.raises(InvalidRequest):
        check_idempotency_key(key)


@st.composite
def transfers(draw: st.DrawFn) -> list[Leg]:
    """Legs of different agents, none zero, that sum to zero."""
    amount = st.integers(-(10**12), 10**12).filter(bool)
    amounts = draw(st.lists(amount, min_size=1, max_size=6).filter(lambda amounts: sum(amounts) != 0))
    return [Leg(f"agent_{n}", each) for n, each in enumerate([*amounts, -sum(amounts)])]


@repeatable
@given(transfers())
def test_legs_of_different_agents_that_sum_to_zero_are_a_transfer(legs: list[Leg]) -> None:
    assert check_legs(iter(legs)) == tuple(legs)


@repeatable
@given(transfers(), st.integers(-(10**12), 10**12).filter(bool))
def test_legs_that_do_not_sum_to_zero_are_refused(legs: list[Leg], error: int) -> None:
    wrong = [*legs[:-1], Leg(legs[-1].agent_id, legs[-1].amount + error)]
    with pytest.raises(InvalidRequest):
        check_legs(wrong)


@pytest.mark.parametrize(
    ("legs", "reason"),
    [
        ([Leg("ada", -5), Leg("ada", 5)], "cannot transfer to itself"),
        ([Leg("ada", -5), Leg("bob", 2), Leg("bob", 3)], "cannot transfer to itself"),
        ([], "at least two agents"),
        ([Leg("ada", 0)], "at least two agents"),
        ([Leg("ada", 0), Leg("bob", 0)], "zero moves nothing"),
        ([Leg("ada", -5), Leg("bob", 5), Leg("cyd", 0)], "zero moves nothing"),
        ([Leg("ada", -5), Leg("bob", 6)], "sum to zero"),
        ([Leg("ada", -5), Leg("@external", 5)], "reserved"),
        ([Leg("", -5), Leg("bob", 5)], "1 to 128 characters"),
    ],
)
def test_legs_that_are_no_transfer_are_refused(legs: list[Leg], reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        check_legs(legs)


def test_a_leg_beyond_64_bits_is_out_of_range() -> None:
    with pytest.raises(AmountOutOfRange):
        check_legs([Leg("ada", MAX_MINOR_UNITS + 1), Leg("bob", -MAX_MINOR_UNITS - 1)])
