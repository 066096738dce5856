"""The pictures themselves: golden SVGs of the zoo, text inside boxes, wires beside them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
from building import spec_of
from hypothesis import given, settings
from strategies import as_yaml, specs
from svg_parts import Extent, parts, with_class

from nestgraph.analysis.levels import levels
from nestgraph.graph.build import build_graph
from nestgraph.language import zoo
from nestgraph.language.spec import load
from nestgraph.language.system import System
from nestgraph.viz import draw
from nestgraph.viz.flows.build import build_view
from nestgraph.viz.flows.views import ViewName
from nestgraph.viz.routing.layout import Picture, PlacedWire, arranged
from nestgraph.viz.scene.shapes import Rect
from nestgraph.viz.scene.theme import STROKES

DRAFTS_FOLDER = Path(__file__).parent.parent / "nestgraph" / "drafts"
DRAFTS = sorted(DRAFTS_FOLDER.glob("*.yaml"))
ALL = [*zoo.names(), *map(str, DRAFTS)]


def svg_of(system: System) -> str:
    picture = draw(system)
    assert isinstance(picture, str)
    return picture


def picture_of(system: System) -> Picture:
    return arranged(build_view(build_graph(system, roll=True)))


@pytest.mark.parametrize(
    ("name", "view", "form"),
    [
        ("hope-tiny", "levels", "svg"),
        ("hope-tiny", "levels", "dot"),
        ("hope-tiny", "levels", "pdf"),
        ("hope-tiny", "levels", "txt"),
        ("hope-tiny", "levels", "mmd"),
        ("hope-tiny", "block", "svg"),
        ("hope-tiny", "block", "mmd"),
        ("hope-tiny", "clock", "txt"),
        ("transformer-tiny", "levels", "svg"),
        ("titans-mac", "levels", "svg"),
        ("titans-mac", "block", "svg"),
        ("samba", "levels", "svg"),
        ("rwkv-7", "block", "svg"),
        ("m3", "optimizer", "svg"),
        ("m3", "clock", "svg"),
    ],
)
def test_pictures_stay_as_they_are(
    name: str, view: ViewName, form: str, golden: Callable[[str, str], None]
) -> None:
    path = DRAFTS_FOLDER / f"{name}.yaml"
    picture = draw(load(name if name in zoo.names() else path), format=form, view=view)
    text = picture.decode("latin-1") if isinstance(picture, bytes) else str(picture)
    golden(f"pictures/{name}-{view}.{form}", text)


@pytest.mark.parametrize("name", ALL, ids=lambda name: Path(name).stem)
def test_no_text_leaves_its_box(name: str) -> None:
    assert_texts_inside(svg_of(load(name).system))


def assert_texts_inside(svg: str) -> None:
    """Assert that each text lies in the smallest shape around its start: a cell, a box, a frame, a
    level.
    """
    everything = parts(svg)
    frames = [shape for part in everything if "cluster" in part.classes for shape in part.shapes]
    for node in everything:
        if "node" not in node.classes or {"legend", "text"} & node.classes:
            continue
        for text in node.texts:
            around = [shape for shape in (*node.shapes, *frames) if shape.starts(text.extent)]
            holder = min(around, key=lambda shape: shape.area)
            assert holder.holds(text.extent), f"`{text.content}` leaves its box"


@pytest.mark.parametrize("name", ALL, ids=lambda name: Path(name).stem)
def test_no_text_lies_on_another(name: str) -> None:
    texts = [text for part in with_class(svg_of(load(name).system), "node") for text in part.texts]
    for one, other in combinations(texts, 2):
        assert not _overlap(one.extent, other.extent), f"`{one.content}` on `{other.content}`"


def _overlap(one: Extent, other: Extent) -> bool:
    return (
        min(one.right, other.right) - max(one.left, other.left) > 0.5
        and min(one.bottom, other.bottom) - max(one.top, other.top) > 0.5
    )


@pytest.mark.parametrize("name", ALL, ids=lambda name: Path(name).stem)
def test_levels_stand_below_each_other_in_their_order(name: str) -> None:
    system = load(name).system
    bands = with_class(svg_of(system), "level")
    assert [band.id for band in bands] == [f"level {row.period}" for row in levels(system)]
    extents = [band.shapes[0] for band in bands]
    assert all(upper.bottom < lower.top for upper, lower in pairwise(extents))
    assert len({(extent.left, extent.right) for extent in extents}) == 1


@pytest.mark.parametrize("name", ["hope-tiny", "transformer-tiny"])
def test_titles_of_levels_tell_rank_name_period_and_frequency(name: str) -> None:
    system = load(name).system
    titles = with_class(svg_of(system), "title")
    told = [[text.content for text in title.texts] for title in titles if len(title.texts) > 1]
    assert told == [
        [f"Level {row.rank}", row.name, row.period, f"frequency {row.frequency}"]
        for row in levels(system)
    ]


def test_hope_shows_every_kind_of_edge_in_a_style_of_its_own() -> None:
    svg = svg_of(load("hope-tiny").system)
    kinds = STROKES.keys() - {"carry"}  # which the views of flows show
    drawn = {kind: with_class(svg, "edge", kind) for kind in kinds}
    assert all(drawn.values())
    styles = {kind: {edge.strokes for edge in edges} for kind, edges in drawn.items()}
    assert all(len(looks) == 1 for looks in styles.values())
    assert len({next(iter(looks)) for looks in styles.values()}) == len(kinds)


@pytest.mark.parametrize("name", ["hope-tiny", "transformer-tiny"])
def test_the_legend_explains_the_kinds_that_are_shown(name: str) -> None:
    svg = svg_of(load(name).system)
    shown = {kind for kind in STROKES if with_class(svg, "edge", kind)}
    samples = {kind for kind in STROKES if with_class(svg, "edge", kind, "legend")}
    texts = {text.content for part in with_class(svg, "legend", "node") for text in part.texts}
    assert samples == shown
    assert texts == {STROKES[kind].meaning for kind in shown}


@pytest.mark.parametrize("name", ALL, ids=lambda name: Path(name).stem)
def test_wires_keep_clear_of_boxes_and_of_each_other(name: str) -> None:
    assert_wires_clear(picture_of(load(name).system))


@settings(max_examples=60)
@given(specs())
def test_wires_of_random_specs_keep_clear_too(spec: dict[str, Any]) -> None:
    """In a crowd two wires of a kind that end in one cell may arrive as one: nothing is lost."""
    assert_wires_clear(picture_of(spec_of(as_yaml(spec)).system), may_meet=True)


def assert_wires_clear(picture: Picture, *, may_meet: bool = False) -> None:
    rects = list(_rects(picture))
    for wire in picture.wires:
        for stretch in pairwise(wire.points):
            crossed = [name for name, rect in rects if _enters(stretch, rect)]
            assert not crossed, f"{wire.wire} runs through {crossed}"
    for one, other in combinations(picture.wires, 2):
        if may_meet and _arrival(one) == _arrival(other):
            continue
        if (one.wire.source, one.wire.kind) != (other.wire.source, other.wire.kind):
            assert not _share(one, other), f"{one.wire} lies on {other.wire}"


def _arrival(placed: PlacedWire) -> tuple[str, str, str | None]:
    return placed.wire.kind, placed.wire.target, placed.wire.cell


def _rects(picture: Picture) -> list[tuple[str, Rect]]:
    groups = [group for band in picture.bands for group in band.groups]
    boxes = [(box.size.title, box.rect) for group in groups for box in group.boxes]
    return boxes + [("a strip", group.strip) for group in groups if group.strip is not None]


Stretch = tuple[tuple[float, float], tuple[float, float]]


def _enters(stretch: Stretch, rect: Rect) -> bool:
    (x, y), (u, v) = stretch
    return (
        max(x, u) > rect.left + 1
        and min(x, u) < rect.right - 1
        and max(y, v) > rect.top + 1
        and min(y, v) < rect.bottom - 1
    )


def _share(one: PlacedWire, other: PlacedWire) -> bool:
    """Return whether two wires run along the same line for a while."""
    return any(
        _along(a, b, across)
        for a in pairwise(one.points)
        for b in pairwise(other.points)
        for across in (0, 1)
    )


def _along(one: Stretch, other: Stretch, across: int) -> bool:
    ends = [point[across] for stretch in (one, other) for point in stretch]
    if max(ends) - min(ends) > 3:
        return False
    (a, b), (c, d) = (sorted(point[1 - across] for point in stretch) for stretch in (one, other))
    return min(b, d) - max(a, c) > 1


def test_the_same_spec_gives_the_same_bytes() -> None:
    system = load("hope-tiny").system
    assert draw(system, format="png") == draw(system, format="png")
    assert draw(system, format="dot") == draw(load("hope-tiny").system, format="dot")
