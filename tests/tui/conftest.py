"""A treasury with stuck transfers for every test, and handles on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.treasuries import NOON, ScratchTreasury, scratch_copy, scratch_folder
from tests.tui.scenes import make_scene
from treasury_console.operations.treasury import Treasury


@pytest.fixture(scope="session")
def scene_template() -> Iterator[Path]:
    """The scene, made once and copied by every test."""
    with scratch_folder() as folder:
        make_scene(folder)
        yield folder


@pytest.fixture
def scene(scene_template: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScratchTreasury]:
    """A treasury of the test's own with stuck transfers, at noon; failures are reported into its folder."""
    with scratch_copy(scene_template) as scratch:
        assert scratch.clock() == NOON
        monkeypatch.setenv("XDG_STATE_HOME", str(scratch.folder / "state"))
        yield scratch


@pytest.fixture
def treasury(scene: ScratchTreasury) -> Treasury:
    """An operator's handle on the scene."""
    return scene.open()


@pytest.fixture
def read_only(scene: ScratchTreasury) -> Treasury:
    """A handle on the scene that refuses to write."""
    return scene.open(read_only=True)
