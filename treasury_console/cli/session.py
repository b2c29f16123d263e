"""What the global options say: which treasury a command works on, and how."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from treasury_console.configuration import Settings
    from treasury_console.operations.treasury import Treasury


class Session:
    """The global options of one run; loads nothing before it is asked to."""

    def __init__(
        self, *, config: str | None, profile: str | None, database_url: str | None, read_only: bool = False
    ) -> None:
        self.config = config
        self.profile = profile
        self.database_url = database_url
        self.read_only = read_only

    @property
    def colour(self) -> bool:
        """Whether the environment permits colour; whether the stream is a terminal is asked when it is written."""
        return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def settings(self) -> Settings:
        """Return the settings in force; raise ConfigurationError when they cannot be used."""
        from pathlib import Path

        from treasury_console.configuration import load_settings

        settings = load_settings(
            file=Path(self.config) if self.config else None, profile=self.profile, database_url=self.database_url
        )
        if not self.read_only:
            return settings
        from dataclasses import replace

        return replace(settings, read_only=True, sources={**settings.sources, "read_only": "--read-only"})

    @contextmanager
    def treasury(self) -> Iterator[Treasury]:
        """Yield the treasury, closed afterwards.

        Raise ConfigurationError when it is not configured or not initialised, Unreachable when it does not answer.
        """
        from treasury_console.operations.treasury import open_treasury

        with open_treasury(self.settings()) as treasury:
            yield treasury
