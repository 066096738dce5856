"""The flows inside blocks: which boxes there are, in which frames, and how they are joined."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from building import model_of, spec_of
from hypothesis import given, settings
from strategies import as_yaml, specs
from svg_parts import parts

from nestgraph.graph.build import build_graph
from nestgraph.language.spec import load
from nestgraph.language.system import System
from nestgraph.language.trainer import opened
from nestgraph.viz import draw
from nestgraph.viz.flows.block_view import block_outline
from nestgraph.viz.flows.outline import Outline, Part
from nestgraph.viz.flows.views import ViewName
from nestgraph.viz.routing.flow_layout import flow_scene

DRAFTS = Path(__file__).parents[2] / "nestgraph" / "drafts"


def outline_of(system: System) -> Outline:
    whole = opened(system)
    return block_outline(build_graph(whole, roll=True), whole)


@pytest.fixture(scope="module")
def hope() -> Outline:
    return outline_of(load("hope-tiny").system)


def part(outline: Outline, name: str) -> Part:
    return next(one for one in outline.all() if one.id == name)


def links(outline: Outline, kind: str) -> set[tuple[str, str, str]]:
    return {(one.source, one.target, one.cell) for one in outline.links if one.kind == kind}


def test_inner_blocks_are_frames_in_the_frame_of_their_layer(hope: Outline) -> None:
    layer = part(hope, "0.hope")
    assert (layer.title, layer.badge) == ("hope", "×4")
    inner = [one.title for one in layer.parts if one.parts]
    assert inner == [
        "a: self_modifying_titans",
        "b: cms_level",
        "c: cms_level",
        "out: cms_level",
    ]


def test_a_then_chain_is_one_box_with_a_line_for_each_op(hope: Outline) -> None:
    q = part(hope, "0.hope/a.q")
    assert [text for _, text in q.facts] == [
        "linear",
        "conv, width 4",
        "bias, init 0.4",
        "l2_norm, heads 4",
    ]
    assert q.members == ("0.hope/a.q.base", "0.hope/a.q.then0", "0.hope/a.q.then1")


def test_memories_that_write_alike_share_a_box(hope: Outline) -> None:
    written = part(hope, "0.hope/a.M_k.write")
    assert written.title == "M_k, M_v, M_eta, M_alpha"
    assert written.badge == "4 memories"
    assert [cell.lines[0] for cell in written.cells] == [
        "keys k",
        "values v",
        "rate eta_self",
        "retain alpha_self",
    ]
    assert links(hope, "write") == {
        ("0.hope/a.k", "0.hope/a.M_k.write", "keys"),
        ("0.hope/a.v", "0.hope/a.M_k.write", "values"),
        ("0.hope/a.k", "0.hope/a.M_memory.write", "keys"),
        ("0.hope/a.v", "0.hope/a.M_memory.write", "values"),
    }


def test_a_read_says_what_it_asks_and_when(hope: Outline) -> None:
    assert part(hope, "0.hope/a.y").facts[0] == ("", "read M_memory, after its write")
    assert part(hope, "0.hope/a.k").facts[0] == ("", "read M_k, as of its tick")
    assert part(hope, "0.hope/a.y").tone == part(hope, "0.hope/a.M_memory.write").tone


def test_memories_that_differ_in_their_rule_stand_apart() -> None:
    rules = ("rule: {rate: 0.5}", "rule: {rate: 0.25}")
    memories = "\n".join(f"  M{i}: {{keys: x, values: x, {rule}}}" for i, rule in enumerate(rules))
    nodes = "nodes:\n  y: {read: M0, query: x}\n  z: {read: M1, query: x}\n"
    system = model_of(f"memories:\n{memories}\n{nodes}  out: {{op: sum, in: [y, z]}}")
    titles = [one.title for one in outline_of(system).all() if one.kind == "write"]
    assert titles == ["M0", "M1"]


def test_a_state_crosses_to_a_later_tick_only_where_it_is_read_before_its_write() -> None:
    body = "memories:\n  M: {{keys: x, values: x}}\nnodes:\n  out: {{read: M, query: x, at: {at}}}"
    after, before = (outline_of(model_of(body.format(at=at))) for at in ("after", "before"))
    pair = {("0.b/M.write", "0.b/out", "")}
    assert links(after, "carry") == set()
    assert pair <= links(after, "flow")
    assert links(before, "carry") == pair


def test_an_optimizer_shows_the_gradient_its_memories_and_its_other_groups() -> None:
    m3 = outline_of(load(str(DRAFTS / "m3.yaml")).system)
    assert ("loss", "0.m3/grad", "") in links(m3, "task")
    assert ("0.m3/u", "0.m3/param.write", "through") in links(m3, "task")
    assert part(m3, "1.adamw").title == "adamw, for rest"
    assert ("loss", "1.adamw/grad", "") in links(m3, "task")


def test_every_node_of_the_graph_has_a_box() -> None:
    for path in sorted(DRAFTS.glob("*.yaml")):
        system = load(str(path)).system
        graph, outline = build_graph(system, roll=True), outline_of(system)
        shown = {name for one in outline.all() for name in (one.id, *one.members)}
        own = {
            name for name, node in graph.nodes(data=True) if node["kind"] in ("op", "read", "write")
        }
        sides = {source for source, _, edge in graph.edges(data=True) if edge["role"] == "from"}
        assert own - sides <= shown, path.stem
        assert all({link.source, link.target} <= shown for link in outline.links), path.stem


@settings(max_examples=40)
@given(specs())
def test_blocks_of_random_specs_are_whole_and_find_places(spec: dict[str, Any]) -> None:
    system = spec_of(as_yaml(spec)).system
    outline = outline_of(system)
    ids = [one.id for one in outline.all()]
    assert len(ids) == len(set(ids))
    assert {end for link in outline.links for end in (link.source, link.target)} <= set(ids)
    shapes = {shape.id: shape.rect for shape in flow_scene(outline).shapes}
    for frame in outline.all():
        for inner in frame.parts:
            outer, rect = shapes[frame.id], shapes[inner.id]
            assert outer.left <= rect.left
            assert rect.right <= outer.right
            assert outer.top <= rect.top
            assert rect.bottom <= outer.bottom


@pytest.mark.parametrize("path", sorted(DRAFTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_boxes_never_lie_on_each_other(path: Path) -> None:
    outline = outline_of(load(str(path)).system)
    leaves = {one.id for one in outline.all() if not one.parts}
    rects = [shape.rect for shape in flow_scene(outline).shapes if shape.id in leaves]
    for one, other in combinations(rects, 2):
        across = min(one.right, other.right) - max(one.left, other.left)
        down = min(one.bottom, other.bottom) - max(one.top, other.top)
        assert across <= 0 or down <= 0


VIEWS: tuple[ViewName, ...] = ("block", "system", "optimizer")


@pytest.mark.parametrize("view", VIEWS)
def test_no_text_leaves_its_box_in_views_of_flows(view: ViewName) -> None:
    for one in parts(str(draw(load("hope-tiny"), view=view))):
        if "node" in one.classes and one.shapes:
            assert all(one.shapes[0].holds(text.extent) for text in one.texts)


def test_a_head_of_other_classes_says_so_and_its_loss_knows_no_next_token() -> None:
    """In the blocks, and where the levels stand beside what trains them."""
    changes = {"vars.depth": 1, "model.head": {"out": 12}}
    spec = load("transformer-tiny", set=changes)
    shown = outline_of(spec.system)
    assert "linear to 12" in str(part(shown, "head"))
    assert "targets" in str(part(shown, "loss"))
    for view in ("levels", "nested", "block"):
        text = draw(spec.system, view=view, format="txt")
        assert "next token" not in text, view
