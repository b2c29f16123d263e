"""Tables: aligned in terminal columns, harmless, no wider than they must be."""

from __future__ import annotations

import click
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.running import CommandLine
from treasury_console.cli.output import GAP, Painted, display_width, table, worst, wrapped
from treasury_console.domain.errors import ExitStatus

cells = st.text(st.characters(codec="utf-8", exclude_characters="|"), max_size=12)


def test_a_wide_cell_pushes_its_column_out_by_two_spaces() -> None:
    assert table(("A", "B"), [("x" * 16, "y")], (16,)) == f"A{' ' * 17}B\n{'x' * 16}  y"


def test_a_cell_that_just_fits_keeps_the_runbooks_distance() -> None:
    assert table(("A", "B"), [("x" * 15, "y")], (16,)) == f"A{' ' * 15}B\n{'x' * 15} y"


def test_colour_does_not_disturb_the_columns() -> None:
    painted = table(("A", "B"), [(Painted("red", "red"), "y"), ("plain", "z")])
    assert click.unstyle(painted) == table(("A", "B"), [("red", "y"), ("plain", "z")])


@given(st.lists(st.tuples(cells, cells), max_size=5))
def test_the_second_column_begins_in_one_place_whatever_the_cells_are(rows: list[tuple[str, str]]) -> None:
    header, *lines = table(("FIRST", "|SECOND"), [(first, f"|{second}") for first, second in rows]).split("\n")
    assert len(lines) == len(rows)
    begins = {display_width(line[: line.index("|")]) for line in (header, *lines)}
    assert len(begins) == 1
    assert begins.pop() >= len("FIRST") + GAP


def test_wide_and_combining_characters_are_counted_as_a_terminal_counts_them() -> None:
    assert display_width("日本") == 4
    assert display_width("e\u0301") == 1


def test_wrapped_text_keeps_its_width_and_its_label() -> None:
    lines = wrapped("word " * 40, label="  label", indent=10, width=40).split("\n")
    assert lines[0].startswith("  label   word")
    assert all(line.startswith(" " * 10) for line in lines[1:])
    assert max(map(len, lines)) <= 40
    assert wrapped("", label="  label", indent=10) == "  label"


def test_the_worst_status_is_wrong_money() -> None:
    assert worst([]) is ExitStatus.DONE
    assert worst([ExitStatus.PENDING, ExitStatus.DONE]) is ExitStatus.PENDING
    assert worst([ExitStatus.PENDING, ExitStatus.UNREACHABLE, ExitStatus.DISCREPANCY]) is ExitStatus.DISCREPANCY


def test_the_evidence_fits_80_columns_however_long_the_names_are(line: CommandLine) -> None:
    long = "agent_" + "x" * 120
    line.open_funded(long)
    txn_id = line.make_stuck(long, "agent_2", "10", minutes=6)
    page = line.run("transactions", "inspect", "--txn-id", txn_id).stdout
    assert max(map(len, page.splitlines())) <= 80
    assert long in "".join(row.strip() for row in page.splitlines())


def test_the_wide_list_adds_its_columns_and_the_plain_one_has_five(line: CommandLine) -> None:
    line.make_stuck("agent_1", "agent_2", "10", minutes=6)
    header, row = line.run("transactions", "list", "--wide").stdout.splitlines()
    assert header.split()[5:] == ["CURRENCY", "COORDINATOR", "VERDICT"]
    assert row.endswith("10.00   USD       not alive    commit or rollback")
    assert len(line.run("transactions", "list").stdout.splitlines()[0].split()) == 5
