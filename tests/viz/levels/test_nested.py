"""The levels of a model with those of its optimizer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from building import model_of

from nestgraph.analysis.levels import nested_levels
from nestgraph.language.spec import load
from nestgraph.viz import DrawError, draw
from nestgraph.viz.flows.view import View
from nestgraph.viz.levels.nested import nested_view
from nestgraph.viz.routing.layout import arranged

DRAFTS = Path(__file__).parents[2] / "nestgraph" / "drafts"


@pytest.fixture(scope="module")
def view() -> View:
    clocks = {"vars.chunk": 8, "vars.mid": 4, "vars.slow": 16}
    return nested_view(load("hope-tiny", set={"training.optimizer": "m3", **clocks}).system)


def titles(view: View) -> dict[int, list[str]]:
    return {
        band.row.rank: [box.title for group in band.groups for box in group.boxes]
        for band in view.bands
    }


def test_memories_of_both_stand_in_the_order_of_their_clocks(view: View) -> None:
    assert [band.row.period for band in view.bands] == [
        "every 1600 steps",
        "every 400 steps",
        "every 100 steps",
        "every 16 steps",
        "every 4 steps",
        "every step",
        "every 8 tokens",
    ]
    adamw = ["first", "second", "param"]
    m3 = ["M1", "V", "param"]
    assert [titles(view)[rank] for rank in (1, 2, 3)] == [["M2"]] * 3
    assert titles(view)[4] == ["out.M", *m3]
    assert titles(view)[5] == ["c.M", *m3]
    around = ["task loss", "parameters", "schedule"]
    assert titles(view)[6] == ["b.M", *around, *m3, *adamw, *adamw]


def test_the_loss_feeds_the_optimizer_and_what_learns_moves_the_parameters(view: View) -> None:
    fed = {wire.target for wire in view.wires if wire.source == "loss" and wire.kind == "write"}
    averages = {f"optimizer/{i}.adamw/{name}" for i in (1, 2) for name in ("first", "second")}
    groups = ("0.m3", "3.m3", "4.m3")
    m3 = {f"optimizer/{group}/{name}" for group in groups for name in ("M1", "M2", "V")}
    assert fed == m3 | averages
    moved = {wire.source for wire in view.wires if wire.target == "parameters"}
    assert moved == {f"optimizer/{name}/param" for name in ("0.m3", "1.adamw", "2.adamw")}


def test_param_points_at_the_memories_that_it_moves(view: View) -> None:
    arrows = {(wire.source, wire.target) for wire in view.wires if wire.kind == "task"}
    for group, memory in (("0.m3", "b.M"), ("3.m3", "c.M"), ("4.m3", "out.M")):
        targets = {target for source, target in arrows if source == f"optimizer/{group}/param"}
        assert targets - {"parameters"} == {f"0.hope/{memory}"}
        assert ("loss", f"0.hope/{memory}") not in arrows


def test_the_learning_rate_comes_from_the_schedule(view: View) -> None:
    (box,) = (box for group in view.groups for box in group.boxes if box.id == "schedule")
    assert box.facts == (("", "0.001 to 0.0001"), ("", "100 steps to warm up"))
    rates = [w for w in view.wires if w.kind == "rate" and w.target.startswith("optimizer/")]
    assert {wire.source for wire in rates} == {"schedule"}
    assert {wire.target for wire in rates} == {
        f"optimizer/{group}/param" for group in ("0.m3", "1.adamw", "2.adamw", "3.m3", "4.m3")
    }


def test_what_a_layer_was_fed_comes_from_the_context_flow_and_not_from_the_loss() -> None:
    view = nested_view(load("transformer-tiny", {"training.optimizer": "dgd"}).system)
    keys = [w for w in view.wires if w.target == "optimizer/0.dgd/param" and w.kind == "write"]
    assert [wire.source for wire in keys] == ["stream"]


def test_every_wire_has_ends_and_finds_its_way(view: View) -> None:
    ends = {name for group in view.groups for name in (group.id, *(b.id for b in group.boxes))}
    assert {end for wire in view.wires for end in (wire.source, wire.target)} <= ends | {"stream"}
    assert len(arranged(view).wires) >= len(view.wires)


def test_names_that_model_and_optimizer_share_stay_apart() -> None:
    m3 = load(str(DRAFTS / "m3.yaml")).system
    body = "memories:\n  M1: {keys: x, values: x}\nnodes: {out: {read: M1, query: x}}"
    model = model_of(body).model
    assert model is not None
    block = replace(model.layers[0], path="0.m3")
    bare = model_of(body)
    training = replace(bare.training, system=m3)
    same = replace(bare, model=replace(model, layers=(block,)), training=training)
    ids = [box.id for group in nested_view(same).groups for box in group.boxes]
    assert len(ids) == len(set(ids))
    assert {"0.m3/M1", "optimizer/0.m3/M1"} <= set(ids)


def test_every_model_has_an_optimizer_to_nest() -> None:
    assert "second" in str(draw(load("transformer-tiny"), format="txt", view="nested"))


def test_what_has_no_optimizer_of_its_own_is_told_so() -> None:
    with pytest.raises(DrawError, match="nothing to nest"):
        draw(load(str(DRAFTS / "m3.yaml")), view="nested")


def test_the_picture_holds_what_the_level_table_holds() -> None:
    system = load("hope-tiny", {"training.optimizer": "m3-ema"}).system
    bands = nested_view(system).bands
    drawn = [{box.id for group in band.groups for box in group.boxes} for band in bands]
    rows = nested_levels(system)
    assert [band.row.period for band in bands] == [row.period for row in rows]
    for ids, row in zip(drawn, rows, strict=True):
        assert {name for name in ids if name.startswith("optimizer/")} == set(row.optimizer)
