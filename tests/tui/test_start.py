"""Starting without a terminal, the command line, and the picture."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.treasuries import ScratchTreasury
from tests.tui.scenes import HOSTILE_SHOWN
from treasury_console import __version__
from treasury_console.domain.errors import ConfigurationError
from treasury_console.tui.main import run
from treasury_console.tui.stylesheets import styles_folder, stylesheet
from treasury_console.tui.themes import DARK, SIXTEEN, choose_theme


def test_without_a_terminal_it_says_so_and_names_treasury_cli(
    scene: ScratchTreasury, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--database", f"sqlite:///{scene.file('treasury')}"]) == 2
    said = capsys.readouterr()
    assert said.err == "error: treasury-console needs a terminal and there is none; use treasury-cli instead\n"
    assert said.out == ""


def test_version_and_help_import_no_textual(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from treasury_console.tui.main import run\n"
        "for option in ('--version', '--help'):\n"
        "    try: run([option])\n"
        "    except SystemExit as end: assert end.code == 0\n"
        "assert not {'textual', 'sqlalchemy', 'rich', 'pandas'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert f"treasury-console {__version__}" in done.stdout
    assert "--low-bandwidth" in done.stdout


def test_an_unknown_option_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["--no-such-option"])
    assert ended.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err


def test_the_picture_needs_no_terminal_and_names_no_font_of_the_web(scene: ScratchTreasury, tmp_path: Path) -> None:
    file = tmp_path / "console.svg"
    assert run(["--database", f"sqlite:///{scene.file('treasury')}", "--screenshot", str(file)]) == 0
    picture = file.read_text(encoding="utf-8")
    assert picture.startswith("<svg")
    assert "@font-face" not in picture
    assert "Pending" in picture
    assert HOSTILE_SHOWN.replace(" ", "&#160;").replace("&", "&amp;") in picture


def test_a_picture_that_cannot_be_written_is_a_sentence(
    scene: ScratchTreasury, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "no such folder" / "console.svg"
    assert run(["--database", f"sqlite:///{scene.file('treasury')}", "--screenshot", str(file)]) == 5
    assert "could not be written: No such file or directory" in capsys.readouterr().err


def test_a_missing_configuration_file_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--config", str(tmp_path / "none.toml"), "--screenshot", str(tmp_path / "x.svg")]) == 2
    assert "there is no configuration file" in capsys.readouterr().err


def test_the_demo_goes_with_no_other_treasury(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--demo", "--profile", "x", "--screenshot", str(tmp_path / "x.svg")]) == 2
    assert "--demo makes a treasury of its own" in capsys.readouterr().err


def test_keys_that_cannot_be_used_are_a_sentence(
    scene: ScratchTreasury, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "treasury.toml"
    config.write_text(
        f"[profiles.default]\ntreasury = 'sqlite:///{scene.file('treasury')}'\n"
        "[profiles.default.keys]\nexplode = 'x'\n",
        encoding="utf-8",
    )
    assert run(["--config", str(config), "--screenshot", str(tmp_path / "x.svg")]) == 2
    assert "names the action 'explode', which is not known" in capsys.readouterr().err


def test_the_style_sheets_are_found_and_begin_with_the_variables() -> None:
    assert (styles_folder() / "variables.tcss").is_file()
    assert stylesheet().startswith("/* Shared by every screen")
    assert "ResolutionScreen" in stylesheet()


@pytest.mark.parametrize(
    ("configured", "system", "low_bandwidth", "chosen"),
    [
        ("", "truecolor", False, DARK.name),
        ("", "256", False, DARK.name),
        ("", "standard", False, SIXTEEN.name),
        ("", None, False, SIXTEEN.name),
        ("", "truecolor", True, SIXTEEN.name),
        ("nord", "standard", False, "nord"),
    ],
)
def test_the_theme_suits_the_terminal(configured: str, system: str | None, low_bandwidth: bool, chosen: str) -> None:
    assert choose_theme(configured, system, low_bandwidth=low_bandwidth) == chosen


def test_an_unknown_theme_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="there is no theme 'pink'"):
        choose_theme("pink", "256", low_bandwidth=False)
