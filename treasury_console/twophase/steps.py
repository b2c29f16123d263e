"""The steps at which a coordinator or an operator can die, named so that a test or the demo can make it die there."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """A point between two effects. BEFORE_* come before an effect that the matching one says is durable."""

    CREATED = "created"
    BEFORE_PREPARE = "before-prepare"
    PREPARED = "prepared"
    VOTES_LOGGED = "votes-logged"
    BEFORE_DECISION = "before-decision"
    DECIDED = "decided"
    BEFORE_APPLY = "before-apply"
    APPLIED = "applied"
    BEFORE_CONFIRM = "before-confirm"
    CONFIRMED = "confirmed"
    INTENT_LOGGED = "intent-logged"
    FENCED = "fenced"
    VERIFIED = "verified"
    OUTCOME_LOGGED = "outcome-logged"


StepHook = Callable[[Step, str], None]
"""Called with the step and the participant it concerns (or "")."""


def no_hook(_step: Step, _participant: str) -> None:
    """Do nothing: the hook of production."""
