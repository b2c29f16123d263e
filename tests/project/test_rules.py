"""Rules of the project that a test can hold."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MACHINE_PATHS = re.compile(
    r"(?<![\w.~])/(?:root|work|home/[a-z]\w*|Users/[A-Z]\w*|builds?/[a-z]\w*)/(?=\w)|\b[A-Z]:\\Users\\"
)


def tracked_files() -> list[Path]:
    """Return the files that are, or are about to be, under version control."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(
        [git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_imports_run_the_way_the_contracts_say() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint_imports, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_the_contracts_are_really_checked(tmp_path: Path) -> None:
    """A domain module that imports the ledger must break a contract, or the test above proves nothing."""
    shutil.copytree(ROOT / "treasury_console", tmp_path / "treasury_console")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    culprit = tmp_path / "treasury_console" / "domain" / "text.py"
    culprit.write_text("import sqlalchemy\nfrom treasury_console.ledger import columns\n")
    lint_imports = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint_imports, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Imports run one way BROKEN" in done.stdout
    assert "The domain is standard library alone BROKEN" in done.stdout


def test_nothing_names_the_machine_it_was_written_on() -> None:
    named = []
    for file in tracked_files():
        text = file.read_text(encoding="utf-8", errors="ignore")
        named += [f"{file.relative_to(ROOT)}: {found.group()}" for found in MACHINE_PATHS.finditer(text)]
    assert named == []


def test_campaigns_are_left_out_unless_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(
        "import pytest\n\n@pytest.mark.campaign\ndef test_long(): ...\n\ndef test_short(): ...\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = campaign: long\npythonpath = " + str(ROOT) + "\n")

    def collected(*options: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "tests.conftest", *options],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return set(re.findall(r"::(\w+)", done.stdout))

    assert collected() == {"test_short"}
    assert collected("-m", "campaign") == {"test_long"}
    assert collected("-m", "campaign or not campaign") == {"test_long", "test_short"}
