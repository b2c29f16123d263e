"""The incident ID that approves a forced resolution."""

from __future__ import annotations

import re
from dataclasses import dataclass

from treasury_console.domain.errors import InvalidRequest
from treasury_console.domain.text import safe_text

DEFAULT_INCIDENT_PATTERN = r"INC-[0-9]+"
MAX_INCIDENT_LENGTH = 64


@dataclass(frozen=True, slots=True)
class IncidentPattern:
    """What an incident ID looks like: a regular expression that must match it whole."""

    pattern: str = DEFAULT_INCIDENT_PATTERN

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise InvalidRequest(f"the incident pattern {safe_text(self.pattern, 60)!r} is wrong: {error}") from None

    def matches(self, incident_id: str) -> bool:
        """Say whether `incident_id` is well formed."""
        return len(incident_id) <= MAX_INCIDENT_LENGTH and re.fullmatch(self.pattern, incident_id) is not None

    def check(self, incident_id: str) -> str:
        """Return `incident_id` if it is well formed, else raise InvalidRequest."""
        if not self.matches(incident_id):
            example = "INC-12345" if self.pattern == DEFAULT_INCIDENT_PATTERN else f"the pattern {self.pattern}"
            raise InvalidRequest(f"{safe_text(incident_id, 40)!r} is not an incident ID; it must look like {example}")
        return incident_id
