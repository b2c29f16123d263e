"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    TextType = click.ParamType[str]
else:
    TextType = click.ParamType  # not subscriptable in every supported version

_Command = TypeVar("_Command", bound=Callable[..., Any])

TABLE, JSON = "table", "json"


class OutsideText(TextType):
    """Text from the command line that can be stored: bytes that are not UTF-8 are refused."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, or fail with a sentence."""
        text = str(value)
        if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
            self.fail("it contains bytes that are not UTF-8", param, ctx)
        return text


TEXT = OutsideText()


def format_option(command: _Command) -> _Command:
    """Add `--format table|json`."""
    return click.option(
        "--format",
        "output_format",
        type=click.Choice([TABLE, JSON]),
        default=TABLE,
        show_default=True,
        help="A table for people, or one JSON document.",
    )(command)


def agent_option(command: _Command) -> _Command:
    """Add `--agent-id A`, required."""
    return click.option("--agent-id", type=TEXT, required=True, metavar="AGENT", help="The agent.")(command)


def transaction_option(command: _Command) -> _Command:
    """Add `--txn-id T`, required."""
    return click.option("--txn-id", type=TEXT, required=True, metavar="TXN", help="The transaction.")(command)
