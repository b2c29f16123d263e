"""The line at the top of every screen: which treasury this is, and what is special about this moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from treasury_console.configuration import Settings
from treasury_console.tui.lines import Line, Span, Tone, line
from treasury_console.tui.presentation.text import clock, count, name, utc

PROGRAM = "treasury-console"


@dataclass(frozen=True, slots=True)
class Situation:
    """What the header tells. `stale_since` is when the treasury last could be read, once it no longer can."""

    now: datetime
    agents: int | None = None
    paused: bool = False
    stale_since: datetime | None = None
    stale_reason: str = ""
    silent: tuple[str, ...] = ()
    busy: str = ""


def header_line(settings: Settings, situation: Situation, crumb: str = "") -> Line:
    """Return the header; `crumb` names the screen behind the overview."""
    left = [
        Span(f" {name(settings.banner or PROGRAM)} ", Tone.HEADING),
        Span(f" {name(settings.profile)}", Tone.STRONG),
    ]
    if crumb:
        left.append(Span(f" > {crumb}", Tone.PLAIN))
    elif situation.agents is not None:
        left.append(Span(f"  {count(situation.agents, 'agent')}", Tone.DIM))
    return line(*left, right=[*_badges(settings, situation), Span(f" {clock(situation.now)} ", Tone.DIM)])


def stale_line(situation: Situation) -> Line:
    """Return why what is shown is old."""
    since = situation.stale_since or situation.now
    return line(
        Span(" STALE ", Tone.ALARM),
        Span(f" since {utc(since)}: {name(situation.stale_reason)}; trying again.", Tone.WARN),
        indent=8,
    )


def _badges(settings: Settings, situation: Situation) -> list[Span]:
    badges: list[Span] = []
    if situation.busy:
        badges += [Span(name(situation.busy), Tone.ACCENT), Span(" ")]
    for shard in situation.silent:
        badges += [Span(f" {name(shard)} SILENT ", Tone.ALARM), Span(" ")]
    if situation.stale_since is not None:
        badges += [Span(f" STALE since {clock(situation.stale_since)} ", Tone.ALARM), Span(" ")]
    if situation.paused:
        badges += [Span(" PAUSED ", Tone.BADGE), Span(" ")]
    if settings.read_only:
        badges += [Span(" READ-ONLY ", Tone.BADGE), Span(" ")]
    return badges
