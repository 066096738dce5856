"""What a picture shows: boxes, frames, inputs, and wires that stand for many ops."""

from __future__ import annotations

from pathlib import Path

import pytest
from building import model_of

from nestgraph.graph.build import build_graph
from nestgraph.language.spec import load
from nestgraph.language.system import System
from nestgraph.language.trainer import opened
from nestgraph.viz import DrawError
from nestgraph.viz.flows.build import build_view
from nestgraph.viz.flows.sources import PARAMETERS, SCHEDULE, STREAM
from nestgraph.viz.flows.view import View

DRAFTS = Path(__file__).parents[2] / "nestgraph" / "drafts"


def view_of(system: System) -> View:
    return build_view(build_graph(opened(system), roll=True))


def zoo_view(name: str) -> View:
    return view_of(load(name).system)


def draft_view(name: str) -> View:
    return view_of(load(str(DRAFTS / f"{name}.yaml")).system)


def wires(view: View, kind: str) -> set[tuple[str, str, str]]:
    return {(wire.source, wire.target, wire.cell) for wire in view.wires if wire.kind == kind}


def titles(view: View) -> list[list[str]]:
    return [[box.title for group in band.groups for box in group.boxes] for band in view.bands]


def test_hope_shows_four_memories_that_write_alike_in_one_frame() -> None:
    (frame,) = (group for group in zoo_view("hope-tiny").groups if group.framed)
    assert frame.title == "self_modifying_titans in hope"
    assert frame.repeat == 4
    assert [box.title for box in frame.boxes] == ["M_k", "M_v", "M_eta", "M_alpha"]
    texts = [cell.lines for cell in frame.cells]
    expected = ["query c, c_v", "keys k", "values v", "rate eta_self", "retain alpha_self"]
    assert texts == [(text,) for text in expected]


def test_hope_shows_what_its_memories_generate() -> None:
    view, store = zoo_view("hope-tiny"), "0.hope/a.M_memory"
    frame = next(group.id for group in view.groups if group.framed)
    assert wires(view, "write") == {
        ("0.hope/a.M_k", frame, "keys"),
        ("0.hope/a.M_v", frame, "values"),
        ("0.hope/a.M_k", store, "stored"),
        ("0.hope/a.M_v", store, "stored"),
    }
    assert wires(view, "rate") == {
        ("0.hope/a.M_eta", frame, "rate"),
        ("0.hope/a.M_alpha", frame, "retain"),
        ("0.hope/a.M_eta", store, "rates"),
        ("0.hope/a.M_alpha", store, "rates"),
    }
    assert wires(view, "init") == {("parameters", frame, ""), ("parameters", store, "")}


def test_a_memory_that_answers_to_the_model_stands_before_those_that_serve_its_frame() -> None:
    one = {
        "vars.memory_chunk": 8,
        "blocks.self_modifying_titans.memories.M_memory.level": "context",
    }
    view = view_of(load("self-modifying-titans-tiny", one).system)
    (frame,) = (group for group in view.groups if group.framed)
    names = [box.title for box in frame.boxes]
    assert names == ["M_memory", "M_k", "M_v", "M_eta", "M_alpha"]


def test_the_context_flow_of_hope_goes_through_its_levels_in_turn() -> None:
    view = zoo_view("hope-tiny")
    frame = next(group.id for group in view.groups if group.framed)
    assert wires(view, "flow") == {
        (STREAM, frame, "query"),
        (STREAM, "0.hope/a.M_memory", "query"),
        ("0.hope/a.M_memory", "0.hope/b.M", "query"),
        ("0.hope/b.M", "0.hope/c.M", "query"),
        ("0.hope/c.M", "0.hope/out.M", "query"),
        ("0.hope/out.M", "loss", ""),
    }


def test_the_task_trains_the_optimizer_and_the_memories_on_step_clocks() -> None:
    assert wires(zoo_view("hope-tiny"), "task") == {
        ("loss", "optimizer", ""),
        ("optimizer", "parameters", ""),
        ("loss", "0.hope/b.M", ""),
        ("loss", "0.hope/c.M", ""),
        ("loss", "0.hope/out.M", ""),
    }


def test_a_transformer_has_attention_below_its_parameters() -> None:
    view = zoo_view("transformer-tiny")
    assert titles(view) == [["task loss", "optimizer", "parameters"], ["A"]]
    assert view.bands[-1].row.frequency == "∞"
    assert wires(view, "write") == {(STREAM, "0.layer/A", "stored")}
    assert not wires(view, "init")


def test_parallel_levels_are_all_asked_by_the_same_memory() -> None:
    flows = wires(draft_view("cms-independent"), "flow")
    chained = {(source[-1], target[-1]) for source, target, _ in flows if source != STREAM}
    assert chained == {("A", "F"), ("A", "M"), ("A", "S"), ("F", "s"), ("M", "s"), ("S", "s")}


def test_memories_that_read_each_other_keep_both_wires() -> None:
    view = draft_view("titans-mac")
    assert ("0.mac/M", "0.mac/A", "stored") in wires(view, "write")
    assert ("0.mac/A", "0.mac/M", "query") in wires(view, "flow")


def test_a_memory_that_makes_its_own_keys_is_wired_to_itself() -> None:
    view = draft_view("srwm")
    assert ("0.srwm/W", "0.srwm/W", "stored") in wires(view, "write")
    assert ("0.srwm/W", "0.srwm/W", "rates") in wires(view, "rate")


def test_first_states_from_another_memory_are_wired() -> None:
    found = wires(draft_view("cms-nested"), "init")
    assert ("0.layer/F_start", "0.layer/F", "") in found
    assert ("parameters", "0.layer/F_start", "") in found


def test_an_optimizer_shows_its_groups_and_the_gradient() -> None:
    view = draft_view("m3")
    averages = ["M1", "V", "param", "first", "second", "param"]
    assert titles(view) == [["M2"], ["schedule", *averages]]
    assert view.stream == "from the task, for each parameter: grad"
    sources = {source for source, _, _ in wires(view, "task")}
    assert sources == {"0.m3/M1", "0.m3/M2", "0.m3/V", "1.adamw/first", "1.adamw/second"}
    assert {source for source, _, _ in wires(view, "rate")} == {SCHEDULE}
    assert (SCHEDULE, "0.m3/param", "rates") in wires(view, "rate")


def test_a_trained_constant_comes_from_the_parameters() -> None:
    body = """
memories: {M: {keys: k, values: x, rule: {rate: r}}}
nodes:
  k: {op: linear, in: x}
  c: {op: constant, out: 8}
  r: {op: linear, in: c, out: 1, then: [sigmoid]}
  y: {read: M, query: c}
  out: {op: sum, in: [x, y]}
"""
    view = view_of(model_of(body))
    assert wires(view, "rate") == {(PARAMETERS, "0.b/M", "rates")}
    assert {wire for wire in wires(view, "flow") if wire[1] == "0.b/M"} == {
        (PARAMETERS, "0.b/M", "query")
    }
    assert {source for source, _, _ in wires(view, "write")} == {STREAM}


def test_a_constant_that_is_not_trained_comes_from_nowhere() -> None:
    body = """
memories: {M: {keys: x, values: x}}
nodes:
  c: {op: constant, out: 8, init: 1, trained: false}
  y: {read: M, query: c}
  out: {op: sum, in: [x, y]}
"""
    assert not [wire for wire in wires(view_of(model_of(body)), "flow") if wire[1] == "0.b/M"]


def test_a_task_without_a_flow_reaches_the_parameter_from_the_stream() -> None:
    assert (STREAM, "0.dgd/param", "step") in wires(draft_view("dgd"), "task")


def test_a_model_without_memories_has_a_picture() -> None:
    view = view_of(model_of("nodes: {out: {op: silu, in: x}}"))
    assert titles(view) == [["task loss", "optimizer", "parameters"]]
    assert wires(view, "flow") == {(STREAM, "loss", "")}


def test_boxes_tell_net_objective_rule_and_start() -> None:
    (box,) = zoo_view("gated-deltanet-tiny").bands[-1].groups[0].boxes
    assert box.repeat == 4
    facts = dict(box.facts)
    assert facts["net"].startswith("linear")
    assert facts["objective"] == "l2"
    assert facts["rule"] == "rate beta, retain alpha first"
    assert facts["start"] == "zero"


def test_parameters_tell_the_weights_of_each_block() -> None:
    view = zoo_view("transformer-tiny")
    facts = dict(next(g for g in view.groups if g.id == "parameters").boxes[0].facts)
    assert facts["layer"] == "28 linear, 8 rms_norm"


def test_more_memories_than_fit_are_refused() -> None:
    memories = "\n".join(f"  M{i}: {{keys: x, values: x}}" for i in range(2001))
    system = model_of(f"memories:\n{memories}\nnodes: {{out: {{read: M0, query: x}}}}")
    with pytest.raises(DrawError, match="2,001 different memories"):
        view_of(system)
