"""From results of operations to words: amounts, ages, statuses, and what is unknown."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.treasuries import NOON, ScratchTreasury
from tests.tui.piloting import at_desk
from tests.tui.scenes import BOTH_PREPARED
from treasury_console.domain.drift import Check, Finding
from treasury_console.domain.money import Currencies
from treasury_console.domain.resolution import Action
from treasury_console.ledger.carbon import RegionSync
from treasury_console.ledger.runs import RunRecord, latest_run
from treasury_console.operations.force import Approval, Resolution, force
from treasury_console.operations.overview import CarbonOverview, DriftOverview, read_overview
from treasury_console.operations.reconciliation import reconcile_full
from treasury_console.operations.treasury import Treasury
from treasury_console.tui.lines import Line, Span, Tone, crop, crop_middle, line, wrap, wrap_all
from treasury_console.tui.presentation import resolution as words
from treasury_console.tui.presentation.carbon import carbon_notice, carbon_rows, carbon_title
from treasury_console.tui.presentation.drift import drift_rows, drift_title, finding_lines
from treasury_console.tui.presentation.header import Situation, header_line
from treasury_console.tui.presentation.pending import pending_rows, pending_title
from treasury_console.tui.presentation.text import age, money

CURRENCIES = Currencies()


def told(lines: list[Line] | Line, width: int = 200) -> str:
    """Return lines as text."""
    rows = wrap_all([lines] if isinstance(lines, Line) else lines, width)
    return "\n".join("".join(span.text for span in row) for row in rows)


def said(spans: list[Span]) -> str:
    """Return spans as text."""
    return "".join(span.text for span in spans)


@pytest.mark.parametrize(
    ("passed", "text"),
    [
        (timedelta(seconds=-5), "<1m"),
        (timedelta(seconds=59), "<1m"),
        (timedelta(seconds=60), "1m"),
        (timedelta(seconds=119), "1m"),
        (timedelta(minutes=12), "12m"),
        (timedelta(hours=3, minutes=5), "3h"),
        (timedelta(days=9), "9d"),
    ],
)
def test_ages_change_at_most_once_a_minute(passed: timedelta, text: str) -> None:
    assert age(NOON - passed, NOON) == text


def test_an_amount_in_a_currency_that_the_configuration_lacks_is_not_guessed_at() -> None:
    assert money(CURRENCIES, 1050, "USD") == "10.50"
    assert money(CURRENCIES, 1050, "XYZ") == "1050 minor units"


def test_a_transaction_in_an_unknown_currency_is_shown_all_the_same(scene: ScratchTreasury, treasury: Treasury) -> None:
    scene.execute("treasury", "UPDATE transactions SET currency = 'XYZ'")
    overview = read_overview(treasury)
    rows = pending_rows(overview.pending, NOON, CURRENCIES, timedelta(minutes=5))
    assert rows[BOTH_PREPARED].cells[4:6] == ("10000 minor units", "XYZ")


def test_the_title_counts_what_is_stuck(treasury: Treasury) -> None:
    pending = read_overview(treasury).pending
    assert pending_title(pending, NOON, timedelta(minutes=5)).text == "5 pending, 4 STUCK, oldest 3h"
    assert pending_title(pending, NOON, timedelta(days=1)).text == "5 pending, none stuck"
    assert pending_title((), NOON, timedelta(minutes=5)).text == "none"


def region(name: str, **changes: object) -> RegionSync:
    """Return the sync state of a region that is up to date."""
    fields = {
        "region": name,
        "model": "2023-03-01",
        "covered_to": NOON - timedelta(hours=1),
        "last_ok": NOON - timedelta(minutes=10),
        "last_error": None,
        "next_sync": NOON + timedelta(minutes=20),
    }
    return RegionSync(**fields | changes)  # type: ignore[arg-type]


def test_carbon_syncs_say_how_far_they_reach_and_what_is_wrong() -> None:
    carbon = CarbonOverview(
        (
            region("CAISO_NORTH"),
            region("ERCOT", next_sync=NOON - timedelta(minutes=1)),
            region("PJM", last_error="429 too many requests\x1b[2J"),
            region("DE", covered_to=None, last_ok=None, next_sync=None),
        )
    )
    rows = carbon_rows(carbon, NOON)
    assert [rows[index].cells for index in range(len(rows))] == [
        ("CAISO_NORTH", "60m", "10m", "OK"),
        ("ERCOT", "60m", "10m", "LATE"),
        ("PJM", "60m", "10m", r"FAILED 429 too many requests\x1b[2J"),
        ("DE", "-", "never", "never synced"),
    ]
    assert said(carbon_title(carbon, NOON)) == "1 FAILING of 4 regions"
    assert said(carbon_title(CarbonOverview(carbon.regions[:2]), NOON)) == "1 LATE, 2 regions"
    assert said(carbon_title(CarbonOverview(carbon.regions[:1]), NOON)) == "OK, 1 region"
    assert "No region passes" in told(carbon_notice(carbon, filtered=True))


async def test_regions_that_were_synced_are_on_the_overview(scene: ScratchTreasury, treasury: Treasury) -> None:
    columns = [name for _, name, *_ in scene.query("treasury", "PRAGMA table_info(carbon_sync)")]
    values = {"region": "CAISO_NORTH", "signal": "co2_moer", "model": "2023-03-01"}
    known = ", ".join(name for name in columns if name in values)
    scene.execute(
        "treasury",
        f"INSERT INTO carbon_sync ({known}) VALUES (?, ?, ?)",
        parameters=[values[name] for name in columns if name in values],
    )
    async with at_desk(treasury, (120, 36)) as desk:
        assert "CAISO_NORTH" in desk.text
        assert "never synced" in desk.text


def run_record(treasury: Treasury) -> RunRecord:
    """Return the record of a run made now."""
    reconcile_full(treasury)
    with treasury.store.snapshot() as connection:
        run = latest_run(connection)
    assert run is not None
    return run


def test_a_finding_that_counts_entries_is_not_shown_as_money(treasury: Treasury) -> None:
    finding = Finding(Check.COMPLETENESS, "agent_1", "USD", expected=12, actual=1)
    rows = drift_rows(DriftOverview(run_record(treasury), (finding,)), CURRENCIES)
    assert rows[0].cells[2:5] == ("12 entries", "1 entry", "-11 entries")


def test_a_finding_without_an_agent_names_its_transaction_or_all_agents(treasury: Treasury) -> None:
    run = run_record(treasury)
    findings = (
        Finding(Check.TRANSACTION, "", "USD", expected=0, actual=5, subject="txn_1"),
        Finding(Check.GLOBAL, "", "USD", expected=0, actual=5),
    )
    rows = drift_rows(DriftOverview(run, findings), CURRENCIES)
    assert [rows[index].cells[0] for index in range(2)] == ["txn_1", "(all agents)"]
    assert "The amounts above are all there is." in told(finding_lines(findings[1], run, CURRENCIES, NOON))


def test_the_age_of_a_run_is_told(scene: ScratchTreasury, treasury: Treasury) -> None:
    drift = DriftOverview(run_record(treasury), ())
    assert said(drift_title(drift, NOON)) == "PENDING, just now"
    assert said(drift_title(drift, NOON + timedelta(hours=5))) == "PENDING, 5h ago"
    assert said(drift_title(DriftOverview(None, ()), NOON)) == "no run yet"


def test_the_header_carries_every_stamp(scene: ScratchTreasury) -> None:
    settings = scene.open(read_only=True, banner="PRODUCTION").settings
    situation = Situation(
        NOON, agents=5, paused=True, stale_since=NOON, stale_reason="gone", silent=("shard-1",), busy="a force"
    )
    header = told(header_line(settings, situation), 120)
    for stamp in ("PRODUCTION", "default", "5 agents", "a force", "shard-1 SILENT", "STALE since 12:00 UTC", "PAUSED"):
        assert stamp in header
    assert header.endswith(" READ-ONLY   12:00 UTC ")


def resolved(scene: ScratchTreasury, treasury: Treasury) -> Resolution:
    """Return the result of a rollback while one shard is away."""
    txn_id = read_overview(treasury).pending[BOTH_PREPARED].txn_id
    scene.take_away("shard-2")
    try:
        return force(treasury, txn_id, Action.FORCE_ROLLBACK, Approval("INC-1"))
    finally:
        scene.bring_back("shard-2")


def test_a_result_that_is_not_final_says_so_and_claims_no_verified_balance(
    scene: ScratchTreasury, treasury: Treasury
) -> None:
    resolution = resolved(scene, treasury)
    result = told(words.result_lines(resolution, CURRENCIES))
    assert result.startswith("ABORTING")
    assert "NOT VERIFIED" in result
    assert "Balances VERIFIED" not in result
    assert "agent_2 on shard-2: unknown" in result
    assert "Not final yet:" in told(words.result_question(resolution))


def test_text_wraps_under_its_indent_and_loses_nothing() -> None:
    source = line(Span("label   ", Tone.DIM), "one two three four five six seven", indent=8)
    rows = wrap(source, 20)
    assert told(source, 20) == "label   one two\n        three four\n        five six\n        seven"
    assert all(sum(len(span.text) for span in row) <= 20 for row in rows)


def test_a_word_longer_than_the_line_is_cut_into_pieces() -> None:
    assert told(line("a" * 25), 10) == "a" * 10 + "\n" + "a" * 10 + "\n" + "a" * 5


@pytest.mark.parametrize(
    ("text", "width", "cropped"),
    [
        ("agent_1", 7, "agent_1"),
        ("agent_1", 6, "agent…"),
        ("agent_1", 1, "…"),
        ("agent_1", 0, ""),
        ("日本語", 5, "日本…"),
    ],
)
def test_what_does_not_fit_ends_in_an_ellipsis(text: str, width: int, cropped: str) -> None:
    assert crop(text, width) == cropped


def test_an_identifier_keeps_its_end() -> None:
    assert crop_middle("txn_01kdq7ffn0sqcf2tpz", 13) == "txn_…sqcf2tpz"
    assert crop_middle("txn_1", 13) == "txn_1"
