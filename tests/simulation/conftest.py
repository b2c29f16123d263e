"""The world that schedules run in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .runner import Runner
from .world import World


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """A simulated world, shared by the tests of a module; every schedule begins by winding it back."""
    with World() as world:
        yield Runner(world)
