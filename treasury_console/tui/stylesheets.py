"""The style sheets: where they are, and all of them as one, so that the shared variables reach every screen."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent
_VARIABLES = "variables.tcss"


def styles_folder() -> Path:
    """Return the folder of the style sheets: inside the package when installed, `styles/` of a checkout otherwise."""
    installed = _HERE / "styles"
    return installed if installed.is_dir() else _HERE.parent.parent / "styles"


def stylesheet() -> str:
    """Return every style sheet, the variables first."""
    folder = styles_folder()
    files = sorted(folder.glob("*.tcss"), key=lambda file: (file.name != _VARIABLES, file.name))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)
