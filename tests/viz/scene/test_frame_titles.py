"""Titles of frames: at the left, unless a line runs through there."""

from __future__ import annotations

from itertools import pairwise

import pytest

from nestgraph.graph.build import build_graph
from nestgraph.language.spec import load
from nestgraph.language.trainer import opened
from nestgraph.viz.flows.block_view import block_outline
from nestgraph.viz.routing.flow_layout import flow_scene
from nestgraph.viz.scene.frame_titles import clear
from nestgraph.viz.scene.metrics import text_width
from nestgraph.viz.scene.shapes import Line, Point, Rect, Scene, Text

FRAME = Rect(left=100, top=50, width=200, height=300)
TITLE = Text(content="frame", left=110, top=54, height=16, size=10)


def straight(start: Point, end: Point) -> Line:
    return Line(
        kind="flow", source="a", target="b", path=(start, start, end, end), start=start, end=end
    )


def left(*lines: Line) -> float:
    return clear(TITLE, 60, FRAME, lines).left


def test_a_title_stays_where_no_line_comes_near() -> None:
    below, beside = straight((0, 71), (400, 71)), straight((180, 0), (180, 400))

    assert left() == left(below) == left(beside) == TITLE.left


def test_it_makes_way_for_lines_from_the_left_to_the_right() -> None:
    first, second = straight((120, 0), (120, 400)), straight((150, 0), (150, 400))

    assert left(first) == 125
    assert left(second, first) == 155


def test_it_takes_a_gap_that_is_wide_enough() -> None:
    lines = [straight((x, 0), (x, 400)) for x in (120, 180, 251)]

    assert left(*lines) == 185  # 60 wide, and 5 clear before 251
    assert left(*lines, straight((240, 0), (240, 400))) == TITLE.left  # nowhere: as it was


def test_a_slanted_line_takes_what_it_crosses_at_the_height_of_the_title() -> None:
    slanted = straight((110, 44), (150, 84))  # from (120, 54) to (136, 70)

    assert 135 < left(slanted) < 145


def crossed(scene: Scene) -> list[str]:
    """Return ids of frames whose titles a line runs through, by points along each line."""
    found = []
    for frame in (shape for shape in scene.shapes if shape.frame):
        (title,) = frame.texts
        right = title.left + text_width(title.content, title.size, bold=title.bold)
        inside = [
            (x, y)
            for line in scene.lines
            for x, y in points(line)
            if title.left <= x <= right and title.top + 4 <= y <= title.top + title.height - 4
        ]
        found += [frame.id] if inside else []
    return found


def points(line: Line) -> list[Point]:
    """De Casteljau's points of a line, 200 a spline."""
    found = []
    for at in range(0, len(line.path) - 1, 3):
        for step in range(201):
            held = list(line.path[at : at + 4])
            while len(held) > 1:
                held = [
                    (a + (c - a) * step / 200, b + (d - b) * step / 200)
                    for (a, b), (c, d) in pairwise(held)
                ]
            found += held
    return found


@pytest.mark.parametrize("name", ["hope-tiny", "cms-nested", "titans-mac-tiny", "samba-tiny"])
def test_no_line_runs_through_a_title_of_a_shipped_system(name: str) -> None:
    whole = opened(load(name).system)
    scene = flow_scene(block_outline(build_graph(whole, roll=True), whole))

    assert any(shape.frame for shape in scene.shapes)
    assert crossed(scene) == []
