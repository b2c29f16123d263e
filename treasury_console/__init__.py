"""The operations console of a treasury of AI agents: see what is stuck, force it safely, prove the money is right.

`open_treasury` is the way in for programs; `treasury-cli` and `treasury-console` are the ways in for people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["__version__", "open_treasury"]

if TYPE_CHECKING:
    from treasury_console.api import open_treasury


def __getattr__(name: str) -> object:
    if name == "open_treasury":
        from treasury_console.api import open_treasury

        return open_treasury
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
