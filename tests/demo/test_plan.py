"""The plan of the demo: the same for the same seed, and possible, payment by payment, for any seed."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from treasury_console.demo.plan import LAST_CREDITS, Plan, make_plan
from treasury_console.demo.stories import HOSTILE_AGENT, KILLED, LIVE
from treasury_console.domain.money import Currencies
from treasury_console.domain.transactions import Kind

CURRENCIES = Currencies()
SEEDS = range(20)
STORIES = (*KILLED, LIVE)


@pytest.fixture(scope="module", params=SEEDS)
def plan(request: pytest.FixtureRequest) -> Plan:
    return make_plan(request.param, CURRENCIES)


def test_the_same_seed_makes_the_same_plan_and_another_seed_another() -> None:
    assert make_plan(7, CURRENCIES) == make_plan(7, CURRENCIES)
    assert make_plan(7, CURRENCIES) != make_plan(8, CURRENCIES)


def test_two_hundred_agents_hold_one_to_three_of_five_currencies(plan: Plan) -> None:
    assert len({agent.agent_id for agent in plan.agents}) == len(plan.agents) == 200
    assert {code for agent in plan.agents for code in agent.currencies} == {"USD", "USDC", "VMC", "BTC", "ETH"}
    assert all(1 <= len(set(agent.currencies)) == len(agent.currencies) <= 3 for agent in plan.agents)


def test_there_are_about_a_thousand_transfers_and_some_have_three_participants(plan: Plan) -> None:
    transfers = [payment for payment in plan.payments if payment.kind is Kind.TRANSFER]
    assert 800 <= len(transfers) <= 1000
    assert Counter(len(payment.legs) for payment in transfers)[3] >= 30


def test_payments_are_spread_over_days_down_to_the_last_minutes(plan: Plan) -> None:
    ages = [payment.age for payment in plan.payments]
    assert ages == sorted(ages, reverse=True)
    assert ages[0] > timedelta(days=5)
    assert timedelta(0) < ages[-1] < timedelta(minutes=15)
    assert len({age.days for age in ages}) == 6


def test_no_payment_moves_what_the_sender_does_not_have(plan: Plan) -> None:
    balances: Counter[tuple[str, str]] = Counter()
    held = {(agent.agent_id, code) for agent in plan.agents for code in agent.currencies}
    for payment in plan.payments:
        assert payment.kind is Kind.DEPOSIT or sum(leg.amount for leg in payment.legs) == 0
        assert len({leg.agent_id for leg in payment.legs}) == len(payment.legs)
        for leg in payment.legs:
            assert (leg.agent_id, payment.currency) in held
            assert leg.amount != 0
            balances[leg.agent_id, payment.currency] += leg.amount
            assert balances[leg.agent_id, payment.currency] >= 0


def test_every_story_finds_the_money_it_needs_and_nobody_disturbs_it(plan: Plan) -> None:
    for story in STORIES:
        before: Counter[str] = Counter()
        for payment in plan.payments:
            touched = [leg for leg in payment.legs if (leg.agent_id, payment.currency) in story.accounts()]
            assert not touched or payment.age > timedelta(hours=28)
            for leg in touched:
                before[leg.agent_id] += leg.amount
        for leg in story.minor_legs(CURRENCIES):
            assert before[leg.agent_id] >= -leg.amount


def test_the_credit_a_fault_repeats_is_the_last_thing_that_happens_to_its_account(plan: Plan) -> None:
    for credit in LAST_CREDITS:
        last = [
            (payment.age, leg.amount)
            for payment in plan.payments
            for leg in payment.legs
            if (leg.agent_id, payment.currency) == (credit.receiver, credit.currency)
        ][-1]
        assert last == (credit.age, CURRENCIES[credit.currency].parse(credit.amount))


def test_the_hostile_agent_takes_part_in_transfers_and_in_a_stuck_transaction(plan: Plan) -> None:
    assert any(leg.agent_id == HOSTILE_AGENT for payment in plan.payments for leg in payment.legs)
    assert any(HOSTILE_AGENT in dict(story.legs) for story in STORIES)
    assert HOSTILE_AGENT == "[@click=app.quit]x[/]\x1b]0;pwn\x07"
