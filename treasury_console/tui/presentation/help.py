"""The help screen as lines: every key from the registry, then what the words on the screens mean."""

from __future__ import annotations

from collections.abc import Mapping

from treasury_console.tui.actions import Role, Scope, actions_in, key_display, key_of
from treasury_console.tui.lines import Line, Span, Tone, line
from treasury_console.tui.presentation.text import heading

_KEY_WIDTH = 12
_WORD_WIDTH = 20

_VERDICTS = (
    ("commit or rollback", "Every participant is prepared and nothing is decided; either is atomic. Rollback is the "
     "protocol's own answer; commit pays twice if the client sent the transfer again."),
    ("commit only", "A branch has committed already; committing the rest restores atomicity."),
    ("rollback only", "Some participant is not prepared and none has committed."),
    ("resume", "The decision is on record; applying it finishes the transaction."),
    ("wait", "Nothing may be forced now: inspect it for the reason, most often a coordinator that is alive."),
    ("damaged", "Branches ended against each other or against the decision; only a compensating transfer mends it."),
)  # fmt: skip

_STATES = (
    ("PREPARING", "Votes are being collected, or a participant did not prepare."),
    ("PREPARED", "Every participant voted yes and waits for the decision: in doubt."),
    ("COMMITTING", "Commit is decided (or a branch committed); some branch has not confirmed."),
    ("ABORTING", "Abort is decided; some branch has not confirmed."),
    ("HEURISTIC", "Branches contradict each other or the decision."),
)


def help_lines(keys: Mapping[str, str], *, read_only: bool) -> list[Line]:
    """Return the keys in force (`keys` as remapped by the profile) and the words."""
    rows: list[Line] = []
    for scope in Scope:
        rows += [heading(scope.value), *_key_lines(scope, keys, read_only=read_only), line()]
    return [
        *rows,
        heading("Verdicts"),
        *[_word(word, meaning) for word, meaning in _VERDICTS],
        line(),
        heading("States"),
        *[_word(word, meaning) for word, meaning in _STATES],
    ]


def _key_lines(scope: Scope, keys: Mapping[str, str], *, read_only: bool) -> list[Line]:
    rows = []
    for action in actions_in(scope):
        if scope is Scope.OVERVIEW and Scope.TRANSACTION in action.scopes:
            continue  # Listed once, with the transaction's.
        shown = " ".join(key_display(key) for key in (key_of(action, keys), *action.more_keys))
        refused = read_only and action.role is Role.OPERATOR
        rows.append(
            line(
                Span(f"  {shown:<{_KEY_WIDTH}}", Tone.DIM if refused else Tone.STRONG),
                Span(action.help, Tone.DIM if refused else Tone.PLAIN),
                Span(" (not in read-only mode)" if refused else "", Tone.DIM),
                indent=_KEY_WIDTH + 2,
            )
        )
    return rows


def _word(word: str, meaning: str) -> Line:
    return line(Span(f"  {word:<{_WORD_WIDTH}}", Tone.STRONG), meaning, indent=_WORD_WIDTH + 2)
