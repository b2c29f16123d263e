"""The wheel carries everything the programs need, and nothing that is not the program's."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email import message_from_string
from pathlib import Path

import pytest

import treasury_console

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel, built from the tree as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [file] = folder.glob("*.whl")
    with zipfile.ZipFile(file) as opened:
        yield opened


def test_the_wheel_has_every_module_and_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    package = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "treasury_console").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert package <= set(wheel.namelist())


def test_the_wheel_has_the_style_sheets_where_the_console_looks_for_them(wheel: zipfile.ZipFile) -> None:
    styles = {file.name: file.read_bytes() for file in (ROOT / "styles").glob("*.tcss")}
    assert styles, "the console has style sheets"
    packed = {
        name.removeprefix("treasury_console/tui/styles/"): wheel.read(name)
        for name in wheel.namelist()
        if name.startswith("treasury_console/tui/styles/")
    }
    assert packed == styles


@pytest.mark.parametrize("kind", ["treasury", "shard"])
def test_the_wheel_has_the_migrations_whole(wheel: zipfile.ZipFile, kind: str) -> None:
    folder = f"treasury_console/ledger/migrations/{kind}/"
    packed = {name.removeprefix(folder) for name in wheel.namelist() if name.startswith(folder)}
    assert {"env.py", "script.py.mako"} <= packed
    versions = {file.name for file in (ROOT / folder / "versions").glob("*.py")}
    assert versions
    assert {f"versions/{name}" for name in versions} <= packed


def test_the_wheel_is_typed_and_licensed(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert "treasury_console/py.typed" in names
    [licence] = [name for name in names if name.endswith("/licenses/LICENSE")]
    assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()


def test_the_wheel_has_nothing_that_is_not_the_package(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert tops == {"treasury_console", f"treasury_console-{treasury_console.__version__}.dist-info"}
    assert not [name for name in wheel.namelist() if "__pycache__" in name or name.endswith(".pyc")]


def test_the_wheel_has_both_programs_and_the_version_of_the_package(wheel: zipfile.ZipFile) -> None:
    [entry_points] = [name for name in wheel.namelist() if name.endswith("/entry_points.txt")]
    scripts = dict(re.findall(r"^(\S+) = (\S+)$", wheel.read(entry_points).decode(), re.MULTILINE))
    assert scripts == {
        "treasury-cli": "treasury_console.cli.main:main",
        "treasury-console": "treasury_console.tui.main:main",
    }
    [metadata] = [name for name in wheel.namelist() if name.endswith("/METADATA")]
    facts = message_from_string(wheel.read(metadata).decode())
    assert facts["Version"] == treasury_console.__version__
    assert facts["Requires-Python"] == ">=3.11"


def test_what_the_wheel_requires_does_not_include_what_is_optional(wheel: zipfile.ZipFile) -> None:
    [metadata] = [name for name in wheel.namelist() if name.endswith("/METADATA")]
    facts = message_from_string(wheel.read(metadata).decode())
    always = {
        re.split(r"[^A-Za-z0-9_-]", requirement)[0]
        for requirement in facts.get_all("Requires-Dist", [])
        if "extra ==" not in requirement
    }
    assert always.isdisjoint({"psycopg", "httpx", "pandas", "pytest", "hypothesis", "hatchling"})
