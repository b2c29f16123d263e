"""Fixtures that every test can use, and what is left out unless it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from tests.treasuries import ManualClock, ScratchTreasury, make_empty, make_funded, scratch_copy, scratch_folder
from treasury_console.operations.treasury import Treasury

hypothesis_settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
hypothesis_settings.load_profile("repeatable")

DATABASES = ("sqlite",)
"""The kinds of database that every test with a treasury runs on."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out campaigns unless `-m` mentions them."""
    if "campaign" in (config.getoption("markexpr") or ""):
        return
    campaigns = [item for item in items if item.get_closest_marker("campaign") is not None]
    if campaigns:
        config.hook.pytest_deselected(items=campaigns)
        items[:] = [item for item in items if item not in campaigns]


@pytest.fixture(params=DATABASES, scope="session")
def database(request: pytest.FixtureRequest) -> str:
    """The kind of database the test runs on."""
    return str(request.param)


@pytest.fixture(scope="session")
def empty_template(database: str) -> Iterator[Path]:
    """An initialised treasury without agents, made once and copied by every test that wants one."""
    assert database == "sqlite"
    with scratch_folder() as folder:
        make_empty(folder)
        yield folder


@pytest.fixture(scope="session")
def funded_template(database: str) -> Iterator[Path]:
    """A treasury with the usual agents, made once and copied by every test that wants one."""
    assert database == "sqlite"
    with scratch_folder() as folder:
        make_funded(folder)
        yield folder


@pytest.fixture
def empty(empty_template: Path) -> Iterator[ScratchTreasury]:
    """A treasury of the test's own without agents."""
    with scratch_copy(empty_template) as scratch:
        yield scratch


@pytest.fixture
def scratch(funded_template: Path) -> Iterator[ScratchTreasury]:
    """A treasury of the test's own with the usual agents, 1000.00 USD each."""
    with scratch_copy(funded_template) as scratch:
        yield scratch


@pytest.fixture
def clock(scratch: ScratchTreasury) -> ManualClock:
    """The clock of `scratch` and of every handle on it; it shows noon of 2025-12-30 UTC."""
    return scratch.clock


@pytest.fixture
def treasury(scratch: ScratchTreasury) -> Treasury:
    """A handle on `scratch`."""
    return scratch.open()
