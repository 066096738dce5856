"""The random specs of other tests are valid, varied, and hardly ever thrown away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import strategies
from building import FILE
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from nestgraph.analysis.support import unsupported
from nestgraph.checks.registry import flows_into
from nestgraph.language.spec import Spec
from nestgraph.language.system import FlatBlock, Memory, Node, Read
from nestgraph.shapes.flows import coefficients, memory_flows

SLOW_BUT_RIGHT = {"NG401"}  # an mlp on level `token` is drawn on purpose


def load(spec: dict[str, Any]) -> Spec:
    return Spec.from_sources({FILE: strategies.as_yaml(spec)}, FILE, {})


@settings(max_examples=60)
@given(strategies.specs())
def test_every_drawn_spec_loads_without_a_finding_and_can_be_run(spec: dict[str, Any]):
    loaded = load(spec)

    assert {warning.code for warning in loaded.warnings} <= SLOW_BUT_RIGHT
    assert unsupported(loaded.system) == ()


@settings(max_examples=60)
@given(strategies.specs())
def test_every_width_of_a_drawn_spec_is_known(spec: dict[str, Any]):
    model = load(spec).system.model
    assert model is not None

    for layer in model.layers:
        assert all(node.width for node in layer.block.nodes.values())
        for memory in layer.block.memories.values():
            assert memory.value_width
            assert memory.key_width or memory.net.kind == "vector"


@pytest.mark.parametrize("kind", strategies.BLOCKS)
def test_each_kind_of_block_can_be_drawn_alone(kind: str):
    @settings(max_examples=8)
    @given(strategies.specs(kinds=[kind]))
    def draw(spec: dict[str, Any]) -> None:
        load(spec)

    draw()


def test_hardly_any_draw_is_thrown_away():
    seen: Counter[str] = Counter()

    @st.composite
    def counted(draw: strategies.Draw) -> dict[str, Any]:
        seen["begun"] += 1
        spec: dict[str, Any] = draw(strategies.specs())
        seen["kept"] += 1
        return spec

    # Runs stay short of ten examples, after which Hypothesis also tries variants of earlier draws
    # that it cuts off itself.
    for run in range(20):

        @seed(run)
        @settings(max_examples=9)
        @given(counted())
        def draw(spec: dict[str, Any]) -> None:
            pass

        draw()

    assert seen["kept"] >= 100
    assert seen["kept"] / seen["begun"] > 0.9


class EveryAxisReachedError(Exception):
    """Ends the draws: no more of them are needed."""


def test_draws_reach_every_axis():
    seen: set[str] = set()

    @settings(max_examples=1200, derandomize=True, phases=[Phase.generate])
    @given(strategies.specs())
    def draw(spec: dict[str, Any]) -> None:
        model = load(spec).system.model
        assert model is not None
        for block in {id(layer.block): layer.block for layer in model.layers}.values():
            seen.update(axes(block))
        if seen >= EVERY_AXIS:
            raise EveryAxisReachedError

    with suppress(EveryAxisReachedError):
        draw()

    assert EVERY_AXIS - seen == set()


EVERY_AXIS = {
    *(
        "huber",
        "lp",
        "switch norm",
        "windowed",
        "identity",
        "fixed",
        "from",
        "vector",
        "bias",
        "gated",
    ),
    *("norm layer_norm", "norm rms_norm", "step", "newton_schulz", "softmax map", "lq", "mean c"),
    *("flow c", "value", "key", "cell", "erase key of its own", "events", "reset", "entries"),
    *("first_order", "none", "bounded attention", "whole", "tie", "polynomial", "lookup", "out"),
    *("linear", "mlp", "attention", "dot", "l2", "task", "scaled", "residual", "deep", "shallow"),
    *("token", "tokens", "steps", "never", "after", "before", "boundary", "self", "heads"),
    *("momentum", "retain", "retain_first", "erase key", "erase layers", "erase rate", "implicit"),
    *("number", "numbers", "flow", "learned", "zero", "narrow", "read feeds its own memory"),
    *("task erases", "task every 12", "towards init"),
    *("conv", "rope", "decay", "softmax", "gain", "tile", "repeat", "slice", "mean", "total"),
    *(
        "position",
        "constant",
        "power",
        "divide",
        "product",
        "layer_norm",
        "rms_norm",
        "l2_norm",
        "linear op",
    ),
}


def axes(block: FlatBlock) -> Iterator[str]:
    """Yield the axes of the language on which a block takes a place."""
    for node in block.nodes.values():
        yield node.at if isinstance(node, Read) else f"{node.op}".replace("linear", "linear op")
        yield "whole" if isinstance(node, Read) and node.query is None else "asked"
        yield "tie" if isinstance(node, Node) and node.tie else "owned"
    for memory in block.memories.values():
        yield from memory_axes(memory)
        yield from ("read feeds its own memory" for _ in loops(block, memory))


def memory_axes(memory: Memory) -> Iterator[str]:
    net, rule, clock = memory.net, memory.rule, memory.level
    yield from (net.kind, memory.objective.kind, memory.init.kind, clock.unit)
    yield f"erase {rule.erase.where}"
    told = {
        "token": clock.unit == "tokens" and clock.period == 1,
        "self": memory.self_values,
        "task erases": memory.is_online and rule.erase.where != "none",
        "task every 12": memory.is_online and clock.period == 12,
        "heads": memory.heads > 1,
        "scaled": memory.objective.scale != 1,
        "residual": net.residual,
        "deep": net.kind == "mlp" and net.layers > 2,
        "shallow": net.kind == "mlp" and net.layers == 1,
        "narrow": memory.key_width != memory.value_width,
        "momentum": rule.momentum.number != 0,
        "retain": rule.retain.number != 1,
        "retain_first": rule.retain_first,
        "towards init": rule.towards == "init",
        "implicit": rule.implicit,
        "erase rate": rule.erase.rate is not None,
        "number": rule.rate.number is not None,
        "numbers": rule.rate.numbers is not None,
        "flow": rule.rate.flow is not None,
    }
    yield from (axis for axis, taken in (told | rich_axes(memory)).items() if taken)
    yield from (c.per for _, c in coefficients(memory))


def rich_axes(memory: Memory) -> dict[str, bool]:
    net, rule, objective = memory.net, memory.rule, memory.objective
    return {
        "switch norm": objective.switch == "norm",
        "windowed": objective.window > 1,
        "bias": net.bias,
        "gated": net.gated,
        f"norm {net.norm}": True,
        "out": net.out is not None,
        "step": rule.step.number != 1,
        rule.direction: True,
        f"{rule.mirror} map" if rule.mirror == "softmax" else rule.mirror: True,
        "mean c": rule.reduce == "mean",
        "flow c": rule.reduce_is_flow,
        "erase key of its own": rule.erase.key is not None,
        "events": len(memory.keys) > 1,
        "reset": memory.reset.period > 0,
        "entries": memory.init.entries is not None,
        memory.gradient: True,
        "bounded attention": net.window is not None,
    }


def loops(block: FlatBlock, memory: Memory) -> Iterator[Read]:
    """Yield reads of a memory that its own writes are made from."""
    todo, seen = [flow for _, flow in memory_flows(memory)], set[str]()
    while todo:
        node = block.nodes.get(todo.pop())
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        if isinstance(node, Read) and node.memory == memory.name:
            yield node
        todo += flows_into(node)
