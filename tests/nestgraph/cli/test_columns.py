"""Rows under each other."""

from __future__ import annotations

from nestgraph.cli.columns import columns


def test_cells_of_a_column_begin_at_one_place() -> None:
    assert columns([("a", "bb"), ("ccc", 1)]) == "a    bb\nccc  1"


def test_rows_may_be_short_and_no_line_ends_in_blanks() -> None:
    assert columns([("a", ""), ("b",)], indent=2) == "  a\n  b"


def test_no_rows_are_no_text() -> None:
    assert columns([]) == ""
