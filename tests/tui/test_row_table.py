"""The table: any number of rows, only those on the screen are made and sent, the cursor stays on its key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from rich.cells import cell_len
from textual import events
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.pilot import Pilot

from tests.tui.screen_text import screen_lines
from treasury_console.tui.columns import Column, place_columns
from treasury_console.tui.lines import Tone, crop_middle, line
from treasury_console.tui.presentation.rows import MadeRows, Row, RowFilter
from treasury_console.tui.stylesheets import stylesheet
from treasury_console.tui.themes import DARK
from treasury_console.tui.widgets.row_table import RowTable

COLUMNS = (
    Column("ID", least=6, cut=crop_middle),
    Column("WHO", rank=1, least=5, grows=True),
    Column("AMOUNT", right=True),
)
HEIGHT = 12
PAGE = HEIGHT - 1
MILLION = 1_000_000


class Shelf(App[None]):
    """A table alone on the screen."""

    def __init__(self) -> None:
        super().__init__()
        self.table = RowTable(COLUMNS)
        self.register_theme(DARK)
        self.theme = DARK.name

    CSS = stylesheet()

    def compose(self) -> ComposeResult:
        yield self.table


@dataclass
class Source:
    """Rows by number, and a note of those that were made."""

    numbers: Sequence[int]
    changed: dict[int, str] = field(default_factory=dict)
    made: set[int] = field(default_factory=set)

    def rows(self) -> MadeRows[int]:
        """Return the rows as they are now."""
        return MadeRows(self.numbers, self._make, lambda number: f"key{number}", widths=(10, 12, 9))

    def _make(self, number: int) -> Row:
        self.made.add(number)
        return Row(f"key{number}", (f"txn_{number}", f"agent_{number}", self.changed.get(number, f"{number}.00")))


@dataclass
class Sent:
    """The regions that the table asked to have painted."""

    regions: list[Region] = field(default_factory=list)


@asynccontextmanager
async def shelf(source: Source) -> AsyncIterator[tuple[Pilot[None], RowTable, Sent]]:
    """Show `source`; note what is sent from then on."""
    app = Shelf()
    async with app.run_test(size=(60, HEIGHT)) as pilot:
        app.table.show(source.rows())
        app.table.focus()
        await pilot.pause()
        sent = Sent()
        refresh = app.table.refresh

        def noted(*regions: Region, **options: bool) -> RowTable:
            sent.regions.extend(regions or [app.table.size.region])
            return refresh(*regions, **options)

        app.table.refresh = noted  # type: ignore[method-assign]
        yield pilot, app.table, sent


async def test_of_a_million_rows_only_those_that_can_be_seen_are_made() -> None:
    source = Source(range(MILLION))
    async with shelf(source) as (pilot, table, _):
        await pilot.press("down", "down", "pagedown", "end", "pageup", "home", "G", "k", "j")
        assert table.cursor == MILLION - 1
        assert table.position == f"{MILLION - PAGE + 1:,}-{MILLION:,} of {MILLION:,}"
        assert f"txn_{MILLION - 1}" in screen_lines(pilot.app)[-1]
        assert len(source.made) < 8 * PAGE


async def test_a_changed_row_sends_only_its_changed_cells() -> None:
    source = Source(range(100))
    async with shelf(source) as (pilot, table, sent):
        source.changed[3] = "3.99"
        table.show(source.rows())
        await pilot.pause()
        [region] = sent.regions
        assert (region.y, region.height, region.width) == (4, 1, len("99"))
        assert "3.99" in screen_lines(pilot.app)[4]


async def test_an_unchanged_table_and_a_change_off_the_screen_send_nothing() -> None:
    source = Source(range(100))
    async with shelf(source) as (_, table, sent):
        table.show(source.rows())
        source.changed[50] = "0.01"
        table.show(source.rows())
        assert sent.regions == []


async def test_moving_the_cursor_sends_two_rows() -> None:
    async with shelf(Source(range(100))) as (pilot, _, sent):
        await pilot.press("down")
        assert sorted(region.y for region in sent.regions) == [1, 2]


async def test_the_cursor_stays_on_its_key_at_its_place_when_rows_before_it_go() -> None:
    source = Source(range(100))
    async with shelf(source) as (pilot, table, _):
        table.move_to(50)
        await pilot.pause()
        before = next(y for y, text in enumerate(screen_lines(pilot.app)) if text.startswith(">"))
        source.numbers = range(20, 100)
        table.show(source.rows())
        await pilot.pause()
        assert table.cursor_row is not None
        assert (table.cursor, table.cursor_row.key) == (30, "key50")
        assert screen_lines(pilot.app)[before].startswith("> txn_50")


async def test_when_the_cursors_row_goes_the_next_one_takes_its_place() -> None:
    source = Source([1, 2, 3, 4])
    async with shelf(source) as (_, table, _sent):
        table.move_to(1)
        source.numbers = [1, 3, 4]
        table.show(source.rows())
        assert table.cursor_row is not None
        assert table.cursor_row.key == "key3"
        source.numbers = []
        table.show(source.rows(), [line("nothing here")])
        assert table.cursor_row is None
        source.numbers = [9]
        table.show(source.rows())
        assert table.cursor_row is not None
        assert table.cursor_row.key == "key9"


async def test_a_key_far_away_is_found_again() -> None:
    source = Source(range(5_000))
    async with shelf(source) as (_, table, _sent):
        table.move_to(10)
        source.numbers = [*range(2_000, 5_000), 10]
        table.show(source.rows())
        assert table.cursor_row is not None
        assert (table.cursor, table.cursor_row.key) == (3_000, "key10")
        assert len(source.made) < 100


async def test_without_rows_the_notice_is_shown() -> None:
    async with shelf(Source([])) as (pilot, table, _):
        table.show(Source([]).rows(), [line("Nothing is pending.")])
        await pilot.press("down", "up", "pagedown", "end", "home")
        assert "Nothing is pending." in screen_lines(pilot.app)[1]
        assert table.cursor_row is None
        assert table.position == ""


async def test_a_click_selects_its_row_and_the_wheel_moves() -> None:
    async with shelf(Source(range(100))) as (pilot, table, _):
        await pilot.click(offset=(5, 4))
        assert table.cursor == 3
        await pilot._post_mouse_events([events.MouseScrollDown], table, offset=(5, 5))
        await pilot.pause()
        assert table.cursor == 6


def test_cells_of_wide_characters_stay_in_their_columns() -> None:
    column = Column("WHO", least=5, grows=True)
    for width in range(1, 12):
        assert cell_len(column.cell("日本語_agent", width)) == width


@pytest.mark.parametrize("room", range(10, 60))
def test_columns_fit_and_amounts_are_never_cut(room: int) -> None:
    widest = (10, 20, 12)
    places = place_columns(COLUMNS, widest, room)
    shown = {place.index: place.width for place in places}
    assert shown[2] == 12
    if room >= 6 + 1 + 12:
        last = places[-1]
        assert last.start + last.width <= room
    if 1 in shown:
        assert shown[1] >= 5


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", {1, 2, 3}),
        ("agent_2", {2}),
        ("AGENT_2 txn", {2}),
        ("agent !2", {1, 3}),
        ("!", {1, 2, 3}),
        ("agent_1 agent_2", set()),
        ("hidden_3", {3}),
    ],
)
def test_a_filter_takes_rows_with_all_wanted_words_and_no_unwanted_one(text: str, passes: set[int]) -> None:
    rows = MadeRows(
        [1, 2, 3],
        lambda number: Row(str(number), (f"txn_{number}", f"agent_{number}"), (Tone.PLAIN,), f"hidden_{number}"),
        str,
    )
    kept = RowFilter.parse(text).apply(rows)
    assert {kept.entry_at(index) for index in range(len(kept))} == passes
