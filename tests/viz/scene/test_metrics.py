"""Widths of text, by the metrics of Helvetica."""

from __future__ import annotations

import html
import json
import string

import pytest

from nestgraph.viz.routing.engine import lay_out
from nestgraph.viz.scene.metrics import shorten, text_width, wrap, wrap_list

PRINTABLE = string.printable[:95].replace(" ", "")


@pytest.mark.parametrize("bold", [False, True])
def test_widths_are_those_of_the_renderer(bold: bool) -> None:
    # One node a letter, ten times over; `plain` tells the size of each in inches.
    mark = ("<B>", "</B>") if bold else ("", "")
    texts = [html.escape(letter * 10).replace("\\", "&#92;&#92;") for letter in PRINTABLE]
    nodes = [
        f'n{index} [label=<<FONT POINT-SIZE="20">{mark[0]}{text}{mark[1]}</FONT>>]'
        for index, text in enumerate(texts)
    ]
    source = f"graph {{ node [shape=plain fontname=Helvetica] {' '.join(nodes)} }}"
    placed = json.loads(lay_out(source))["objects"]
    widths = {node["name"]: float(node["width"]) * 72 for node in placed}
    for index, letter in enumerate(PRINTABLE):
        measured = text_width(letter * 10, 20, bold=bold)
        assert widths[f"n{index}"] == pytest.approx(measured, abs=0.5), letter


def test_letters_that_are_not_known_are_as_wide_as_they_can_be() -> None:
    assert text_width("記憶", 10) == 20
    assert text_width("∞", 10) < 10


def test_text_that_fits_is_left_alone() -> None:
    assert shorten("memory", text_width("memory", 10), 10) == "memory"


@pytest.mark.parametrize("text", ["memory" * 9, "記憶" * 40, "i" * 10_000])
def test_text_that_is_too_wide_is_cut_to_fit(text: str) -> None:
    cut = shorten(text, 60, 10)
    assert cut.endswith("...")
    assert text.startswith(cut.removesuffix("..."))
    assert text_width(cut, 10) <= 60


def test_lines_break_at_spaces_and_fit() -> None:
    text = "one memory compresses its own context flow on its own clock"
    lines = wrap(text, 90, 10, lines=9)
    assert " ".join(lines) == text
    assert all(text_width(line, 10) <= 90 for line in lines)


def test_what_does_not_fit_into_the_lines_is_cut() -> None:
    lines = wrap("word " * 100, 60, 10, lines=3)
    assert len(lines) == 3
    assert lines[-1].endswith("...")


def test_items_of_a_list_stay_whole() -> None:
    lines = wrap_list("mlp, 2 layers x4, residual, 4 heads", 95, 10)
    assert lines == ("mlp, 2 layers x4,", "residual, 4 heads")


def test_an_item_wider_than_a_line_is_broken_at_spaces() -> None:
    lines = wrap_list("rate delta per value and more", 60, 10)
    assert len(lines) > 1
    assert all(text_width(line, 10) <= 60 for line in lines)
