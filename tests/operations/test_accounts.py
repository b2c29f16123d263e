"""Opening, listing and showing accounts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.treasuries import ALICE, BOB, CAROL, OPENING_BALANCE, ScratchTreasury
from treasury_console.domain.accounts import Account
from treasury_console.domain.errors import ConfigurationError, InvalidRequest, UnknownId, Unreachable
from treasury_console.domain.money import Currencies, Currency
from treasury_console.operations.accounts import list_all_accounts, open_accounts, show_accounts
from treasury_console.operations.treasury import Treasury, open_treasury


def test_a_new_account_is_empty(treasury: Treasury) -> None:
    opened = open_accounts(treasury, "agent_9", ["USD", "ETH"], shard="shard-2")
    assert [(row.shard, row.account) for row in opened] == [
        ("shard-2", Account("agent_9", "ETH", 0, 0, 0)),
        ("shard-2", Account("agent_9", "USD", 0, 0, 0)),
    ]
    assert show_accounts(treasury, "agent_9") == opened


def test_opening_again_adds_what_is_missing_and_leaves_the_rest(scratch: ScratchTreasury, treasury: Treasury) -> None:
    open_accounts(treasury, ALICE, ["USD", "ETH", "USD"])
    assert scratch.account(ALICE) == (OPENING_BALANCE, 0, 1)
    assert [row.account.currency for row in show_accounts(treasury, ALICE)] == ["ETH", "USD"]


def test_an_agent_stays_on_the_shard_it_is_on(scratch: ScratchTreasury, treasury: Treasury) -> None:
    before = scratch.contents()
    with pytest.raises(InvalidRequest, match="agent_1 is on shard shard-1 already and cannot be moved"):
        open_accounts(treasury, ALICE, ["ETH"], shard="shard-2")
    assert scratch.contents() == before
    assert open_accounts(treasury, ALICE, ["ETH"], shard="shard-1")[0].shard == "shard-1"


def test_agents_are_spread_over_the_shards_the_same_way_everywhere(
    scratch: ScratchTreasury, empty: ScratchTreasury
) -> None:
    names = [f"worker-{number}" for number in range(40)]
    places = [open_accounts(scratch.open(), name, ["USD"])[0].shard for name in names[:1]]
    first, second = scratch.open(), empty.open()
    places = [open_accounts(first, name, ["USD"])[0].shard for name in names]
    assert places == [open_accounts(second, name, ["USD"])[0].shard for name in names]
    assert 10 <= places.count("shard-1") <= 30


@pytest.mark.parametrize(
    ("agent_id", "currencies", "shard", "message"),
    [
        ("agent_9", [], None, "name at least one currency"),
        ("agent_9", ["XXX"], None, "currency 'XXX' is not known"),
        ("agent_9", ["USD", "usd"], None, "currency 'usd' is not known"),
        ("agent_9", ["USD"], "shard-3", "there is no shard 'shard-3'; there are shard-1, shard-2"),
        ("", ["USD"], None, "1 to 128 characters"),
        ("a" * 129, ["USD"], None, "1 to 128 characters"),
        ("@external", ["USD"], None, "is reserved"),
        ("a\x00b", ["USD"], None, "cannot contain NUL"),
    ],
)
def test_what_cannot_be_opened_is_refused_and_leaves_nothing_behind(
    scratch: ScratchTreasury, treasury: Treasury, agent_id: str, currencies: list[str], shard: str | None, message: str
) -> None:
    before = scratch.contents()
    with pytest.raises(InvalidRequest, match=message):
        open_accounts(treasury, agent_id, currencies, shard=shard)
    assert scratch.contents() == before


def test_opening_is_audited_with_what_was_opened(scratch: ScratchTreasury, treasury: Treasury) -> None:
    open_accounts(treasury, "agent_9", ["USD", "ETH"], shard="shard-2")
    [[target, details]] = scratch.query(
        "treasury", "SELECT target, details FROM audit_events WHERE operation = 'open-account' AND target = 'agent_9'"
    )
    assert (target, details) == ("agent_9", '{"currencies":["USD","ETH"],"shard":"shard-2"}')


def test_an_opening_that_died_halfway_is_completed_by_repeating_it(
    scratch: ScratchTreasury, treasury: Treasury
) -> None:
    with scratch.without("shard-2"), pytest.raises(Unreachable):
        open_accounts(treasury, "agent_9", ["USD"], shard="shard-2")
    assert show_accounts(treasury, "agent_9") == []
    [opened] = open_accounts(treasury, "agent_9", ["USD"])
    assert (opened.shard, opened.account.balance) == ("shard-2", 0)


def test_accounts_of_every_shard_are_listed_by_agent_and_currency(treasury: Treasury) -> None:
    open_accounts(treasury, ALICE, ["ETH"])
    assert [(row.account.agent_id, row.account.currency, row.shard) for row in list_all_accounts(treasury)] == [
        (ALICE, "ETH", "shard-1"),
        (ALICE, "USD", "shard-1"),
        (BOB, "USD", "shard-2"),
        (CAROL, "USD", "shard-1"),
    ]
    assert [row.account.agent_id for row in list_all_accounts(treasury, "ETH")] == [ALICE]
    assert list_all_accounts(treasury, "BTC") == []
    with pytest.raises(InvalidRequest, match="currency 'XXX' is not known"):
        list_all_accounts(treasury, "XXX")


def test_an_unknown_agent_is_refused(treasury: Treasury) -> None:
    with pytest.raises(UnknownId, match="there is no agent 'nobody'; see treasury-cli accounts list"):
        show_accounts(treasury, "nobody")


def test_an_agent_whose_shard_is_not_configured_is_refused(scratch: ScratchTreasury) -> None:
    treasury = scratch.open(shards=scratch.settings.shards[:1])
    with pytest.raises(UnknownId, match="agent_2 is on shard shard-2, which is not in the configuration"):
        show_accounts(treasury, BOB)


def test_a_currency_keeps_the_scale_its_amounts_are_stored_with(scratch: ScratchTreasury) -> None:
    """With another scale every stored amount would read a thousand times larger, and the next would be wrong."""
    three = replace(scratch.settings, currencies=Currencies.with_extra([Currency("EUR", 3)]))
    with open_treasury(three, clock=scratch.clock) as treasury:
        open_accounts(treasury, ALICE, ["EUR"])
    two = replace(scratch.settings, currencies=Currencies.with_extra([Currency("EUR", 2)]))
    with pytest.raises(ConfigurationError, match="currency EUR is stored with scale 3, but the configuration says 2"):
        open_treasury(two, clock=scratch.clock)
    open_treasury(scratch.settings, clock=scratch.clock).close()
