"""A memory of a spec on its own: its net and its rule, given random pairs in place of a text.

The memory stands in a model of its own, with many heads, each of which has other pairs and another
start, and with one row of a batch for each rate. What a spec makes of its input, this does not: a
rate that is a flow is the rate asked for, `retain` 1, `momentum` 0, `step` 1 and `delta` 1. Numbers
in the spec stay, of several heads the first one's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nestgraph.analysis.parameters import state_shapes
from nestgraph.language.spec import Spec
from nestgraph.language.system import Memory
from nestgraph.reference import Reference, mirror
from nestgraph.reference.nets import Function, forward
from nestgraph.rewriting.document import Values, resolved, values_of
from nestgraph.text.yaml_text import write

PATH, NAME = "0.lab", "M"
ELSE = {"retain": 1, "momentum": 0, "step": 1, "reduce": "sum"}  # of flows
KEPT = ("net", "level", "objective", "rule", "init")
LEVELS = ("token", "step", "never")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """What memories answer to the pairs that one pass has written, (rates, heads, pairs).

    Attributes:
        share: ⟨answer, target⟩ / ‖target‖²: 1 where the whole value is stored.
        right: whether, of all targets, the answer has the largest cosine with its own.
        alike: cosine of the answer with the one before the first write.
        started: whether that one was anything but 0.
    """

    share: Tensor
    right: Tensor
    alike: Tensor
    started: bool


def memories_of(spec: Spec) -> Iterator[tuple[str, Values]]:
    """Yield the memories of a model that write into nets: the name of each, and the memory on its
    own.
    """
    values = values_of(resolved(spec))
    for fields in values["blocks"].values():
        for name, memory in fields.get("memories", {}).items():
            if _kind(memory, "net", "linear") in ("linear", "mlp") and "keys" in memory:
                yield name, _alone(memory, values.get("levels", {}))


def _kind(memory: Values, field: str, default: str) -> str:
    given = memory.get(field, default)
    return str(given["kind"] if isinstance(given, dict) else given)


def _alone(memory: Values, levels: Mapping[str, str]) -> Values:
    """Return a memory with flows of the lab in place of its own, and its clock written out."""
    fields = {field: memory[field] for field in KEPT if field in memory}
    if isinstance(fields.get("net"), dict):
        fields["net"] = {key: x for key, x in fields["net"].items() if key != "out"}
    if _kind(memory, "init", "learned") in ("from", "checkpoint"):
        del fields["init"]
    for field in ("rule", "objective"):
        if isinstance(fields.get(field), dict):
            numbers = {key: _numeric(key, x) for key, x in fields[field].items()}
            fields[field] = {key: x for key, x in numbers.items() if x != ELSE.get(key)}
    fields["rule"] = {**fields.get("rule", {}), "rate": "eta"}
    fields["level"] = levels.get(memory.get("level", "token"), memory.get("level", "token"))
    own = isinstance(memory["values"], dict)
    return {**fields, "keys": "k", "values": {"self": "v"} if own else "v"}


def _numeric(field: str, given: Any) -> Any:
    """Return a field of a rule or an objective that takes no flows of the spec."""
    if field == "erase" and isinstance(given, dict):
        changed = {"key": "k", "rate": "eta"}
        return {**given, **{name: x for name, x in changed.items() if name in given}}
    if isinstance(given, list):  # one number a head
        return given[0]
    flow = isinstance(given, str) or (isinstance(given, dict) and "flow" in given)
    if field == "delta" and flow:
        return 1
    return ELSE[field] if field in ELSE and flow and given not in ("sum", "mean") else given


class Lab:
    """One memory, and what a pass over pairs leaves in it.

    Args:
        memory: as `memories_of` gave it.
        rates: of its writes.
        pairs: that are written, one after the other.
        width: of keys and values.
        trials: how often, each with other pairs and another start.
        seed: of both.
    """

    def __init__(
        self,
        memory: Values,
        *,
        rates: Sequence[float],
        pairs: int,
        width: int,
        trials: int,
        seed: int,
    ) -> None:
        text = _text(memory, pairs * len(rates), width, trials)
        system = Spec.from_sources({"lab.yaml": text}, "lab.yaml").system
        assert system.model is not None
        self.memory: Memory = system.model.layers[0].block.memories[NAME]
        self.reference = Reference(system, seed=seed)
        drawn = torch.Generator().manual_seed(seed)
        size = (pairs, trials, width)
        self.keys, self.values = (
            F.normalize(torch.randn(size, generator=drawn, dtype=torch.float64), dim=-1)
            for _ in range(2)
        )
        self.tokens = torch.arange(pairs * len(rates)).reshape(len(rates), pairs)
        flows = [self.keys.flatten(1), self.values.flatten(1)]
        table = [
            torch.cat([*flows, torch.full((pairs, 1), rate, dtype=torch.float64)], 1)
            for rate in rates
        ]
        self.reference.weights.get_parameter("embed.weight").data = torch.cat(table)
        norm = self.reference.parameters_by_layer()[PATH].get(f"{NAME}.norm", {})
        self.function = Function(self.memory.net, norm)

    @torch.no_grad()
    def passes(self, counts: Sequence[int]) -> Iterator[Stored]:
        """Yield what is stored after each number of pairs, in rising order."""
        state: Mapping[str, Tensor] = self.reference.initial_state(len(self.tokens))
        start = self._weights(state, "A")
        targets: list[Tensor] = []
        for index in range(max(counts)):
            targets.append(self._target(state, index))
            state = self.reference(self.tokens[:, index : index + 1], state).state
            if index + 1 in counts:
                yield self._stored(state, start, torch.stack(targets, 2))

    def _target(self, state: Mapping[str, Tensor], index: int) -> Tensor:
        value = self.values[index].expand(len(self.tokens), -1, -1)
        if not self.memory.self_values:
            return value
        return forward(self.function, self._weights(state, "anchor"), value).answer

    def _stored(
        self, state: Mapping[str, Tensor], start: tuple[Tensor, ...], targets: Tensor
    ) -> Stored:
        now, count = self._weights(state, "A"), targets.shape[2]
        answers, before = (
            torch.stack([self._answer(weights, index) for index in range(count)], 2)
            for weights in (now, start)
        )
        likeness = F.normalize(answers, dim=-1) @ F.normalize(targets, dim=-1).mT
        return Stored(
            share=(answers * targets).sum(-1) / targets.square().sum(-1),
            right=likeness.argmax(-1) == torch.arange(count),
            alike=F.cosine_similarity(answers, before, dim=-1),
            started=bool(before.any()),
        )

    def _answer(self, weights: tuple[Tensor, ...], index: int) -> Tensor:
        key = self.keys[index].expand(len(self.tokens), -1, -1)
        return forward(self.function, weights, key).answer

    def _weights(self, state: Mapping[str, Tensor], part: str) -> tuple[Tensor, ...]:
        """Return the weights as they are (`A`), or as they were at the last tick (`anchor`)."""
        held, share = self._parts(state, part), state.get(f"{PATH}.{NAME}.share")
        if part == "A" and share is not None:  # of what a period has added
            anchor = self._parts(state, "anchor")
            held = tuple(
                a + share.reshape(*share.shape, *[1] * (x.ndim - 2)) * (x - a)
                for a, x in zip(anchor, held, strict=True)
            )
        return mirror.weights(self.memory.rule, held)

    def _parts(self, state: Mapping[str, Tensor], part: str) -> tuple[Tensor, ...]:
        shapes = state_shapes(self.memory)
        return tuple(state[f"{PATH}.{NAME}.{part}{index}"] for index, _ in enumerate(shapes))


def _text(memory: Values, tokens: int, width: int, trials: int) -> str:
    """Return the file of a model whose only memory is written with what lies in the embedding."""
    clock = memory["level"]
    levels = {} if clock in LEVELS else {"period": clock}
    whole = width * trials
    flows = {"k": (0, whole), "v": (whole, whole), "eta": (2 * whole, 1)}
    nodes = {
        name: {"op": "slice", "in": "x", "start": start, "size": size}
        for name, (start, size) in flows.items()
    }
    held = {**memory, "heads": trials, "level": clock if clock in LEVELS else "period"}
    block = {"memories": {NAME: held}, "nodes": nodes, "output": "x"}
    embed = {"vocab": tokens, "width": 2 * whole + 1}
    stack = [{"block": "lab"}]
    model = {"embed": embed, "stack": stack, "head": {"tie": True}}
    sections = {"levels": levels, "blocks": {"lab": block}, "model": model}
    return write({"nestgraph": 1, "name": "lab", **sections})
