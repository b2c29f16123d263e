"""Two sober themes: one of colours that a 256-colour terminal shows exactly, one of the terminal's own 16."""

from __future__ import annotations

from textual.theme import BUILTIN_THEMES, Theme

from treasury_console.domain.errors import ConfigurationError
from treasury_console.domain.text import safe_text

DARK = Theme(
    name="treasury",
    primary="#5fafff",
    secondary="#5fd7d7",
    warning="#ffaf00",
    error="#ff5f5f",
    success="#87d75f",
    accent="#5fafff",
    foreground="#e4e4e4",
    background="#121212",
    surface="#1c1c1c",
    panel="#262626",
    dark=True,
    variables={
        "dim-text": "#9e9e9e",
        "cursor-text": "#ffffff",
        "cursor-back": "#005f87",
        "resting-cursor-back": "#303030",
        "badge-text": "#121212",
        "badge-back": "#afafaf",
        "alarm-text": "#121212",
        "alarm-back": "#ff5f5f",
        "input-cursor-background": "#e4e4e4",
        "input-cursor-foreground": "#121212",
    },
)

SIXTEEN = Theme(
    name="treasury-16",
    ansi=True,
    primary="ansi_cyan",
    secondary="ansi_cyan",
    warning="ansi_yellow",
    error="ansi_red",
    success="ansi_green",
    accent="ansi_cyan",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    dark=True,
    variables={
        **BUILTIN_THEMES["ansi-dark"].variables,
        "dim-text": "ansi_default",
        "cursor-text": "ansi_black",
        "cursor-back": "ansi_cyan",
        "resting-cursor-back": "ansi_default",
        "badge-text": "ansi_black",
        "badge-back": "ansi_white",
        "alarm-text": "ansi_black",
        "alarm-back": "ansi_red",
    },
)

OWN_THEMES = (DARK, SIXTEEN)

_FEW_COLOURS = {None, "standard", "windows"}


def choose_theme(configured: str, colour_system: str | None, *, low_bandwidth: bool) -> str:
    """Return the theme: the configured one, or the one that suits the terminal's colours.

    Raise ConfigurationError for a theme that does not exist. Few colours take about half the bytes.
    """
    known = {theme.name for theme in OWN_THEMES} | set(BUILTIN_THEMES)
    if configured and configured not in known:
        raise ConfigurationError(
            f"there is no theme {safe_text(configured, 40)!r}; there are {', '.join(sorted(known))}"
        )
    if configured:
        return configured
    return SIXTEEN.name if low_bandwidth or colour_system in _FEW_COLOURS else DARK.name


def variable_defaults() -> dict[str, str]:
    """Return the variables that a theme from elsewhere does not define."""
    return dict(DARK.variables)
