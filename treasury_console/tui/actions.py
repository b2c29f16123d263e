"""Every action of the console, declared once.

Key bindings, the footer, the command palette, the help screen, read-only mode and key remapping (`keys` in a profile:
action id -> key) are all made from this list. An action's id with underscores is the name of the method that does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from textual.binding import Binding, BindingType
from textual.keys import REPLACED_KEYS, Keys, format_key, key_to_character

from treasury_console.domain.errors import ConfigurationError
from treasury_console.domain.text import safe_text


class Scope(StrEnum):
    """Where an action can be asked for; the value heads its section of the help screen."""

    TRANSACTION = "The transaction that is selected or inspected"
    OVERVIEW = "Overview"
    RESOLUTION = "Guided resolution"
    SCREEN = "Any screen behind the overview"
    CURSOR = "Moving"
    EVERYWHERE = "Everywhere"


class Role(StrEnum):
    """What a person must be allowed to do."""

    VIEWER = "viewer"
    OPERATOR = "operator"  # changes the treasury or its audit log; refused in read-only mode


@dataclass(frozen=True, slots=True)
class ConsoleAction:
    """An action: `label` for the footer, `title` for the palette, `help` for the help screen.

    `more_keys` always work besides `key`, also when `key` is remapped. `rank` says how soon the footer drops the action
    for want of room (0: never). `danger` marks what can do harm: it is never
    done at once, and never on a terminal too small to show what it would do.
    """

    id: str
    key: str
    label: str
    title: str
    help: str
    scopes: frozenset[Scope]
    more_keys: tuple[str, ...] = ()
    role: Role = Role.VIEWER
    danger: bool = False
    in_footer: bool = True
    rank: int = 1

    @property
    def method(self) -> str:
        """The name that Textual calls: `action_` and this."""
        return self.id.replace("-", "_")


def _scopes(*scopes: Scope) -> frozenset[Scope]:
    return frozenset(scopes)


_TRANSACTIONS = _scopes(Scope.OVERVIEW, Scope.TRANSACTION)

ACTIONS: tuple[ConsoleAction, ...] = (
    ConsoleAction(
        "inspect",
        "i",
        "inspect",
        "Inspect",
        "Show the evidence about the selected transaction, or about the selected drift.",
        _scopes(Scope.OVERVIEW),
        more_keys=("enter",),
    ),
    ConsoleAction(
        "force-commit",
        "c",
        "commit",
        "Force-commit the transaction",
        "Force the transaction to commit: evidence, approval, typed confirmation, verified balances.",
        _TRANSACTIONS,
        role=Role.OPERATOR,
        danger=True,
        rank=0,
    ),
    ConsoleAction(
        "force-rollback",
        "b",
        "rollback",
        "Force-rollback the transaction",
        "Force the transaction to roll back, with the same steps.",
        _TRANSACTIONS,
        role=Role.OPERATOR,
        danger=True,
        rank=0,
    ),
    ConsoleAction(
        "resume",
        "u",
        "resume",
        "Resume: apply the recorded decision",
        "Apply the decision that is already recorded; needs no approval.",
        _TRANSACTIONS,
        role=Role.OPERATOR,
        danger=True,
        rank=1,
    ),
    ConsoleAction(
        "verify",
        "v",
        "verify",
        "Verify balances",
        "Prove that balance, journal and holds agree: of the transaction's participants, or of the drifting agent.",
        _TRANSACTIONS,
    ),
    ConsoleAction(
        "reconcile",
        "r",
        "reconcile",
        "Reconcile the whole treasury",
        "Check every balance, hold and transaction as of now, and record the run.",
        _scopes(Scope.OVERVIEW),
        role=Role.OPERATOR,
    ),
    ConsoleAction(
        "filter",
        "slash",
        "filter",
        "Filter the rows of the pane",
        "Show only rows with all of the words in any column; !word hides rows with it; esc shows all again.",
        _scopes(Scope.OVERVIEW),
        rank=2,
    ),
    ConsoleAction(
        "sort",
        "o",
        "sort",
        "Sort the rows of the pane by the next column",
        "Order the rows of the pane by the next column; the pane's title says by which.",
        _scopes(Scope.OVERVIEW),
        in_footer=False,
    ),
    ConsoleAction(
        "next-pane",
        "tab",
        "next pane",
        "Go to the next pane",
        "Go to the next pane.",
        _scopes(Scope.OVERVIEW),
        in_footer=False,
    ),
    ConsoleAction(
        "previous-pane",
        "shift+tab",
        "previous pane",
        "Go to the previous pane",
        "Go to the previous pane.",
        _scopes(Scope.OVERVIEW),
        in_footer=False,
    ),
    ConsoleAction(
        "clear",
        "escape",
        "clear filter",
        "Clear the filter",
        "Clear the pane's filter.",
        _scopes(Scope.OVERVIEW),
        in_footer=False,
    ),
    ConsoleAction(
        "pause",
        "p",
        "pause",
        "Pause or go on refreshing",
        "Stop reading the treasury, so that rows stay where they are; again to go on.",
        _scopes(Scope.EVERYWHERE),
        rank=3,
    ),
    ConsoleAction(
        "palette",
        "colon",
        "commands",
        "Commands",
        "Find an action by its name.",
        _scopes(Scope.EVERYWHERE),
        rank=5,
    ),
    ConsoleAction(
        "help",
        "question_mark",
        "help",
        "Help",
        "Show the keys, and what states and verdicts mean.",
        _scopes(Scope.EVERYWHERE),
        rank=0,
    ),
    ConsoleAction(
        "back",
        "escape",
        "back",
        "Back",
        "Go back to the screen before.",
        _scopes(Scope.SCREEN),
        rank=0,
    ),
    ConsoleAction(
        "quit",
        "q",
        "quit",
        "Quit",
        "Leave the console.",
        _scopes(Scope.EVERYWHERE),
        rank=0,
    ),
    ConsoleAction(
        "go-on",
        "enter",
        "go on",
        "Go on",
        "Go on to the next step of the guided resolution, or leave it when it is over.",
        _scopes(Scope.RESOLUTION),
        rank=0,
    ),
    ConsoleAction(
        "cancel",
        "escape",
        "cancel",
        "Cancel",
        "Leave the guided resolution; nothing has been done until its last step.",
        _scopes(Scope.RESOLUTION),
        rank=0,
    ),
    ConsoleAction(
        "cursor-up", "up", "up", "Up", "One row up.", _scopes(Scope.CURSOR), more_keys=("k",), in_footer=False
    ),
    ConsoleAction(
        "cursor-down", "down", "down", "Down", "One row down.", _scopes(Scope.CURSOR), more_keys=("j",), in_footer=False
    ),
    ConsoleAction("page-up", "pageup", "page up", "Page up", "One page up.", _scopes(Scope.CURSOR), in_footer=False),
    ConsoleAction(
        "page-down", "pagedown", "page down", "Page down", "One page down.", _scopes(Scope.CURSOR), in_footer=False
    ),
    ConsoleAction(
        "first",
        "home",
        "first",
        "First row",
        "To the first row.",
        _scopes(Scope.CURSOR),
        more_keys=("g",),
        in_footer=False,
    ),
    ConsoleAction(
        "last", "end", "last", "Last row", "To the last row.", _scopes(Scope.CURSOR), more_keys=("G",), in_footer=False
    ),
)

BY_ID: Mapping[str, ConsoleAction] = {action.id: action for action in ACTIONS}
BY_METHOD: Mapping[str, ConsoleAction] = {action.method: action for action in ACTIONS}

_KEY_NAMES = {"escape": "esc", "pageup": "pgup", "pagedown": "pgdn", "enter": "enter", "up": "up", "down": "down"}
_KEY_NAMES |= {"tab": "tab", "home": "home", "end": "end", "shift": "shift", "ctrl": "ctrl", "alt": "alt"}
_NAMED_KEYS = {key.value for key in Keys} | set(REPLACED_KEYS)
_TOGETHER = (
    (Scope.OVERVIEW, Scope.EVERYWHERE, Scope.CURSOR),
    (Scope.TRANSACTION, Scope.SCREEN, Scope.EVERYWHERE, Scope.CURSOR),
    (Scope.RESOLUTION, Scope.CURSOR),
)
_NEVER_FOR_DANGER = {"enter", "return", "space", "tab", "escape"}


def actions_in(*scopes: Scope) -> list[ConsoleAction]:
    """Return the actions of any of `scopes`, in the order of the list."""
    return [action for action in ACTIONS if action.scopes & set(scopes)]


def bindings_for(*scopes: Scope) -> list[BindingType]:
    """Return the key bindings of `scopes`, their ids those that `keys` in a profile remaps."""
    bindings: list[BindingType] = []
    for action in actions_in(*scopes):
        bindings.append(Binding(action.key, action.method, action.label, id=action.id, show=action.in_footer))
        bindings += [Binding(key, action.method, action.label, show=False) for key in action.more_keys]
    return bindings


def key_display(key: str) -> str:
    """Return a key as people call it: "slash" is "/", "escape" is "esc"."""
    return "+".join(_KEY_NAMES.get(part) or format_key(part) for part in key.split("+")) if len(key) > 1 else key


def key_of(action: ConsoleAction, keys: Mapping[str, str]) -> str:
    """Return the key of `action` with the profile's `keys` applied."""
    return keys.get(action.id, action.key)


def check_keys(keys: Mapping[str, str]) -> None:
    """Raise ConfigurationError for a remapping that cannot be used: unknown, doubled or unsafe."""
    for action_id, key in keys.items():
        if action_id not in BY_ID:
            known = ", ".join(BY_ID)
            raise ConfigurationError(
                f"keys names the action {safe_text(action_id, 40)!r}, which is not known; known are {known}"
            )
        if not _is_key(key):
            raise ConfigurationError(
                f"keys gives {action_id} the key {safe_text(key, 40)!r}, which is no key; "
                "use a character or a name such as f5, slash or ctrl+r"
            )
        if BY_ID[action_id].danger and key in _NEVER_FOR_DANGER:
            raise ConfigurationError(f"keys gives {action_id} the key {key}, which is too easily pressed for a force")
    for scopes in _TOGETHER:
        _refuse_double_keys(keys, actions_in(*scopes))


def _refuse_double_keys(keys: Mapping[str, str], together: Iterable[ConsoleAction]) -> None:
    taken: dict[str, str] = {}
    for action in together:
        for key in (key_of(action, keys), *action.more_keys):
            other = taken.setdefault(_normal(key), action.id)
            if other != action.id and (action.id in keys or other in keys):
                raise ConfigurationError(
                    f"keys gives {action.id} and {other} the same key {safe_text(key, 40)!r}; give one another"
                )


def _is_key(key: str) -> bool:
    if len(key) == 1:
        return key.isprintable() and key not in {" ", ","}  # Textual reads a comma as the end of a key.
    *modifiers, name = key.split("+")
    return set(modifiers) <= {"ctrl", "shift", "alt"} and (
        len(name) == 1 or name in _NAMED_KEYS or key_to_character(name) is not None
    )


def _normal(key: str) -> str:
    return format_key(key) if len(key) > 1 else key
