"""Property tests that try the same examples every time, so that a failure is the change's and not the day's."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st

from treasury_console.domain.errors import InvalidRequest

repeatable = settings(derandomize=True, deadline=None, max_examples=200)

any_text = st.text(st.characters(exclude_categories=()))
"""Text of any code points, unpaired surrogates and control characters included."""


def refusal_of(act: Callable[[], object]) -> str | None:
    """Return the message with which `act` is refused, or None when it is not; any other failure is the test's."""
    try:
        act()
    except InvalidRequest as refusal:
        return str(refusal)
    return None
