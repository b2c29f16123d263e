"""The screen as lines of text, to look at in a test."""

from __future__ import annotations

from textual.app import App


def screen_lines(app: App[None]) -> list[str]:
    """Return what is on the screen, line by line, blanks at the end of a line gone."""
    strips = app.screen._compositor.render_strips()
    return [strip.text.rstrip() for strip in strips]


def screen_text(app: App[None]) -> str:
    """Return what is on the screen."""
    return "\n".join(screen_lines(app))


def line_with(app: App[None], *words: str) -> str:
    """Return the only line that has all of `words`."""
    found = [line for line in screen_lines(app) if all(word in line for word in words)]
    assert len(found) == 1, f"{len(found)} lines have {words}:\n{screen_text(app)}"
    return found[0]
