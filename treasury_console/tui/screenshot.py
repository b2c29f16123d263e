"""A picture of the first screen, drawn without a terminal."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from treasury_console.domain.errors import Unreachable
from treasury_console.domain.text import safe_text
from treasury_console.operations.treasury import Treasury
from treasury_console.tui.app import ConsoleApp

_FONT_FACE = re.compile(r"@font-face\s*\{[^}]*\}\s*")


def write_screenshot(treasury: Treasury, file: Path, size: tuple[int, int]) -> None:
    """Write the overview at `size` as SVG into `file`; raise Unreachable if either cannot be done.

    The picture names no font of the web: it is shown in the reader's own fixed-width one.
    """
    app = ConsoleApp(treasury, true_colour=True)
    pictures: list[str] = []

    async def draw(pilot: Pilot[Any]) -> None:
        await app.first_shown.wait()
        await pilot.pause()
        pictures.append(app.export_screenshot(title="treasury-console"))
        app.exit()

    app.run(headless=True, size=size, auto_pilot=draw)
    if not pictures or app.failure is not None:
        raise Unreachable(f"the screen could not be drawn: {app.failure or 'the app ended early'}")
    try:
        file.write_text(_FONT_FACE.sub("", pictures[0]), encoding="utf-8")
    except OSError as error:
        raise Unreachable(f"{safe_text(str(file), 120)} could not be written: {error.strerror}") from None
