"""States under the names that both executors share, whatever the compiler stacked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from nestgraph.compiler.ir import Function, Op, Program
from nestgraph.compiler.passes.select import is_online


def flatten_state(program: Program, state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return every tensor of a state by name; stacked memories are taken apart."""
    flat: dict[str, Tensor] = {"position": state["position"]}
    flat |= _layers(program, state["layers"])
    if "open" not in state:
        return flat
    kept = state["open"]
    flat |= {f"open.{name}": x for name, x in _layers(program, kept["layers"]).items()}
    for address, sums in kept["sums"].items():
        flat |= {f"open.{address}.G{i}": x for i, x in enumerate(sums)}
    return flat | {f"open.{name}": kept[name] for name in ("tokens", "labels", "written")}


def _layers(program: Program, layers: Mapping[str, Any]) -> dict[str, Tensor]:
    return {
        f"{path}.{name}": tensor
        for path, function in program.layers
        for name, tensor in _layer_tensors(function, layers[path])
    }


def _layer_tensors(function: Function, state: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    memories = {op.name: op for op in function.of_kind("memory")}
    for name, value in state.items():
        memory = memories.get(name)
        if memory is None:
            yield name, value
        elif is_online(memory):
            for part, tensors in (("A", value.weights), ("S", value.momentum)):
                yield from ((f"{name}.{part}{i}", x) for i, x in enumerate(tensors))
            yield from ((f"{name}.K{i}", x) for i, x in enumerate(value.grams))
        elif "members" in memory.attrs:
            yield from _stack_tensors(memory, value)
        elif memory.text("net") == "attention":
            yield f"{name}.k", value[0]
            yield f"{name}.v", value[1]
            yield f"{name}.written", value[2]
        else:
            yield f"{name}.A0", value.squeeze(-1) if memory.flag("vector") else value


def _stack_tensors(memory: Op, state: Any) -> Iterator[tuple[str, Tensor]]:
    # A memory that commits at every token has no anchor of its own: it is the running state.
    every_token = memory.text("unit") == "tokens" and memory.integer("period") == 1
    anchor = () if every_token else state.anchor
    kinds = (("A", state.running), ("anchor", anchor), ("S", state.momentum))
    layers = memory.integer("layers", 1)
    for index, member in enumerate(memory.texts("members")):
        for kind, weights in kinds:
            for layer, weight in enumerate(weights):
                column = memory.flag("vector") or layer >= layers
                own = weight[:, :, index]
                yield f"{member}.{kind}{layer}", own.squeeze(-1) if column else own
        if state.kept is not None and not every_token:
            yield f"{member}.kept", state.kept
        if state.share is not None:
            yield f"{member}.share", state.share
        if state.window is not None:
            yield from _window_tensors(memory, member, index, state.window)


def _window_tensors(
    memory: Op, member: str, index: int, window: Any
) -> Iterator[tuple[str, Tensor]]:
    if not memory.flag("vector"):
        yield f"{member}.window_k", window.keys
    values = window.values[:, :, 0 if memory.flag("self_values") else index]
    yield f"{member}.window_v", values
    rate = window.rate
    yield f"{member}.window_rate", rate.unsqueeze(-1) if rate.dim() == 3 else rate
    if window.delta is not None:
        yield f"{member}.window_delta", window.delta
