"""The levels of a model with those of its optimizer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from building import model_of

from nestgraph.levels import nested_levels
from nestgraph.spec import load
from nestgraph.trainer import trainer_of
from nestgraph.viz import DrawError, draw
from nestgraph.viz.layout import arranged
from nestgraph.viz.nested import nested_view
from nestgraph.viz.view import View

DRAFTS = Path(__file__).parent.parent / "nestgraph" / "drafts"


@pytest.fixture(scope="module")
def view() -> View:
    clocks = {"vars.chunk": 8, "vars.mid": 4, "vars.slow": 16}
    system = load("hope-tiny", set={"training.optimizer": "m3", **clocks}).system
    trainer = trainer_of(system)
    assert trainer is not None
    return nested_view(system, trainer)


def titles(view: View) -> dict[int, list[str]]:
    return {
        band.row.rank: [box.title for group in band.groups for box in group.boxes]
        for band in view.bands
    }


def test_memories_of_both_stand_in_the_order_of_their_clocks(view: View) -> None:
    assert [band.row.period for band in view.bands] == [
        "every 100 steps",
        "every 16 steps",
        "every 4 steps",
        "every step",
        "every 8 tokens",
    ]
    adamw = ["first", "second", "param"]
    assert titles(view)[1] == ["M2"]
    assert titles(view)[4] == ["b.M", "task loss", "parameters", "M1", "V", "param", *adamw, *adamw]


def test_the_loss_feeds_the_optimizer_and_what_learns_moves_the_parameters(view: View) -> None:
    fed = {wire.target for wire in view.wires if wire.source == "loss" and wire.kind == "write"}
    averages = {f"optimizer/{i}.adamw/{name}" for i in (1, 2) for name in ("first", "second")}
    assert fed == {f"optimizer/0.m3/{name}" for name in ("M1", "M2", "V")} | averages
    moved = {wire.source for wire in view.wires if wire.target == "parameters"}
    assert moved == {f"optimizer/{name}/param" for name in ("0.m3", "1.adamw", "2.adamw")}


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
    same = replace(model_of(body), model=replace(model, layers=(block,)))
    ids = [box.id for group in nested_view(same, m3).groups for box in group.boxes]
    assert len(ids) == len(set(ids))
    assert {"0.m3/M1", "optimizer/0.m3/M1"} <= set(ids)


def test_every_model_has_an_optimizer_to_nest() -> None:
    assert "second" in str(draw(load("transformer-tiny"), format="txt", view="nested"))


def test_what_has_no_optimizer_of_its_own_is_told_so() -> None:
    with pytest.raises(DrawError, match="nothing to nest"):
        draw(load(str(DRAFTS / "m3.yaml")), view="nested")


def test_the_picture_holds_what_the_level_table_holds() -> None:
    system = load("hope-tiny", {"training.optimizer": "m3-ema"}).system
    trainer = trainer_of(system)
    assert trainer is not None
    bands = nested_view(system, trainer).bands
    drawn = [{box.id for group in band.groups for box in group.boxes} for band in bands]
    rows = nested_levels(system)
    assert [band.row.period for band in bands] == [row.period for row in rows]
    for ids, row in zip(drawn, rows, strict=True):
        assert {name for name in ids if name.startswith("optimizer/")} == set(row.optimizer)
