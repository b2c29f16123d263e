"""Every action is declared once, and keys, footer, help and palette are all made from that."""

from __future__ import annotations

import inspect

import pytest
from textual.binding import Binding

from tests.treasuries import ScratchTreasury
from tests.tui.piloting import at_desk
from tests.tui.screen_text import screen_lines
from treasury_console.operations.treasury import Treasury
from treasury_console.tui.actions import (
    ACTIONS,
    BY_ID,
    ConsoleAction,
    Role,
    Scope,
    actions_in,
    bindings_for,
    check_keys,
    key_display,
)
from treasury_console.tui.app import ConsoleApp
from treasury_console.tui.presentation.help import help_lines
from treasury_console.tui.screens.inspect import InspectScreen
from treasury_console.tui.screens.overview import OverviewScreen
from treasury_console.tui.screens.resolution import ResolutionScreen
from treasury_console.tui.screens.text_screen import TextScreen
from treasury_console.tui.widgets.row_table import RowTable
from treasury_console.tui.widgets.text_lines import ScrollingText

DOES = {
    Scope.EVERYWHERE: (ConsoleApp,),
    Scope.OVERVIEW: (OverviewScreen,),
    Scope.TRANSACTION: (OverviewScreen, InspectScreen),
    Scope.SCREEN: (TextScreen,),
    Scope.CURSOR: (RowTable, ScrollingText),
    Scope.RESOLUTION: (ResolutionScreen,),
}
"""Who does the actions of a scope."""

every_action = pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)


def test_ids_are_unique() -> None:
    assert len(BY_ID) == len(ACTIONS)


@every_action
def test_an_action_has_all_that_is_made_from_it(action: ConsoleAction) -> None:
    for text in (action.id, action.key, action.label, action.title, action.help):
        assert text.strip() == text != ""
    assert action.help.endswith(".")
    assert action.scopes
    assert "[" not in action.title + action.help + action.label, "Textual parses these as markup"


@every_action
def test_an_action_is_done_by_the_screens_of_its_scopes_and_bound_to_its_key(action: ConsoleAction) -> None:
    for scope in action.scopes:
        for doer in DOES[scope]:
            method = getattr(doer, f"action_{action.method}", None)
            assert method is not None, f"{doer.__name__} cannot do {action.id}"
            assert inspect.getdoc(method)
            keys = {
                key
                for owner in doer.__mro__
                for binding in owner.__dict__.get("BINDINGS", [])
                if isinstance(binding, Binding) and binding.action == action.method
                for key in binding.key.split(",")
            }
            assert {action.key, *action.more_keys} <= keys


@every_action
def test_an_action_is_in_the_help_with_its_key(action: ConsoleAction) -> None:
    rows = ["".join(span.text for span in row.left) for row in help_lines({}, read_only=False)]
    assert any(action.help in row and key_display(action.key) in row.split(action.help)[0] for row in rows)


@every_action
def test_the_help_shows_the_remapped_key(action: ConsoleAction) -> None:
    rows = ["".join(span.text for span in row.left) for row in help_lines({action.id: "f12"}, read_only=False)]
    assert any("f12" in row and action.help in row for row in rows)


async def test_every_action_of_a_screen_is_in_its_palette(treasury: Treasury) -> None:
    async with at_desk(treasury) as desk:
        overview = desk.app.overview_screen
        wanted = {action.id for action in actions_in(Scope.OVERVIEW, Scope.EVERYWHERE)} - {"palette"}
        assert {action.id for action in overview.palette_actions()} == wanted
        await desk.press("i")
        await desk.until_on(InspectScreen)
        assert isinstance(desk.app.screen, InspectScreen)
        wanted = {a.id for a in actions_in(Scope.TRANSACTION, Scope.SCREEN, Scope.EVERYWHERE)} - {"palette"}
        assert {action.id for action in desk.app.screen.palette_actions()} == wanted


async def test_the_palette_finds_every_action_by_its_title(treasury: Treasury) -> None:
    async with at_desk(treasury, (120, 60)) as desk:
        await desk.press("colon")
        for action in desk.app.overview_screen.palette_actions():
            await desk.until(lambda title=action.title: title in desk.text)  # type: ignore[misc]


async def test_the_footer_shows_every_action_that_belongs_there_when_there_is_room(treasury: Treasury) -> None:
    async with at_desk(treasury, (160, 48)) as desk:
        footer = screen_lines(desk.app)[-1]
        for action in actions_in(Scope.OVERVIEW, Scope.EVERYWHERE):
            assert (f" {action.label}" in footer) is action.in_footer


def test_what_acts_on_the_treasury_needs_an_operator() -> None:
    acting = {action.id for action in ACTIONS if action.role is Role.OPERATOR}
    assert acting == {"force-commit", "force-rollback", "resume", "reconcile"}
    assert {action.id for action in ACTIONS if action.danger} == acting - {"reconcile"}


def test_no_action_has_priority_over_what_has_the_keys() -> None:
    for scope in Scope:
        assert not any(isinstance(binding, Binding) and binding.priority for binding in bindings_for(scope))


def test_every_remapped_key_is_an_id_of_a_binding() -> None:
    ids = {binding.id for scope in Scope for binding in bindings_for(scope) if isinstance(binding, Binding)}
    assert ids - {None} == set(BY_ID)


def test_the_keys_as_declared_are_free_of_doubles() -> None:
    check_keys({action.id: action.key for action in ACTIONS})


@pytest.mark.parametrize(
    "keys",
    [
        {"force-commit": "b", "force-rollback": "c"},
        {"filter": "ctrl+f", "pause": "f9", "sort": "minus", "help": "H", "palette": "@"},
    ],
)
def test_keys_can_be_swapped_and_named(keys: dict[str, str]) -> None:
    check_keys(keys)


async def test_a_remapped_quit_is_named_where_quitting_is_explained(scene: ScratchTreasury) -> None:
    async with at_desk(scene.open(keys={"quit": "f10"})) as desk:
        await desk.press("ctrl+c")
        assert desk.toasts == ["Press f10 to quit."]
