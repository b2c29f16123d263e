"""The decision table, cell by cell, against an oracle written from the design alone (invariant I12)."""

from __future__ import annotations

from math import comb

import pytest

from treasury_console.domain.resolution import judge

from .resolution_cells import (
    CELLS,
    CONTEXTS,
    SIGHTINGS,
    contradicting,
    disagreements,
    in_every_context,
    ordered,
    orphans,
    report,
    unordered,
)


def _multisets(size: int) -> int:
    return comb(len(CELLS) + size - 1, size)


def test_the_table_has_the_dimensions_the_design_gives_it() -> None:
    assert len(CONTEXTS) == 3 * 3 * 3
    assert len(CELLS) == 5 * 3
    assert len(SIGHTINGS) == 2**3


@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_ordered_combination_of_branches_is_ruled_as_the_table_says(size: int) -> None:
    compared, found = disagreements(judge, in_every_context(ordered(size)))
    assert compared == len(CONTEXTS) * len(CELLS) ** size
    assert not found, report(found)


def test_every_combination_of_four_branches_is_ruled_as_the_table_says() -> None:
    compared, found = disagreements(judge, in_every_context(unordered(4)))
    assert compared == len(CONTEXTS) * _multisets(4) == 82_620
    assert not found, report(found)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_one_branch_that_contradicts_its_record_quarantines_the_transaction(size: int) -> None:
    compared, found = disagreements(judge, in_every_context(contradicting(size)))
    assert compared == len(CONTEXTS) * size * _multisets(size)
    assert not found, report(found)


def test_a_transaction_without_branches_is_refused_everything() -> None:
    compared, found = disagreements(judge, in_every_context([()]))
    assert compared == len(CONTEXTS)
    assert not found, report(found)


def test_every_orphan_is_ruled_as_row_18_says() -> None:
    compared, found = disagreements(judge, orphans())
    sighted = 1 + _multisets(1) + _multisets(1) + _multisets(2) + 2 * _multisets(2)
    assert compared == len(CONTEXTS) * len(SIGHTINGS) * sighted == 84_456
    assert not found, report(found)


def test_no_cell_is_counted_twice() -> None:
    cells = list(in_every_context([*ordered(1), *ordered(2), *contradicting(1), *contradicting(2)]))
    assert len(set(cells)) == len(cells) == len(CONTEXTS) * (15 + 225 + 15 + 240)
