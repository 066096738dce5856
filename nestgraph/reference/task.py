"""Online memories (§8): `task` memories on token clocks, moved between two positions by the loss.

A state holds what the coming gradients need: the tokens since the oldest open period began (with
a horizon: since the last cut), and the state there. A sequence that goes on begins again at that
place, so that however it was cut, the graph of a gradient is always whole.

Only here are inner gradients taken of more than one position. Whether an outer gradient is wanted
or not, positions run with gradients enabled; without one, parameters are constants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils import _pytree

from nestgraph.analysis.online_memories import Pace, online_memories, ticks_of
from nestgraph.language.system import Memory, Model
from nestgraph.reference import task_rule
from nestgraph.reference.block import LayerState
from nestgraph.reference.nets import Matrices
from nestgraph.reference.starts import Parameters
from nestgraph.reference.state import Learned
from nestgraph.reference.stepper import Stepper
from nestgraph.runtime.labels import IGNORED, NEXT, behind
from nestgraph.runtime.output import HiddenOutput
from nestgraph.runtime.write_masks import joined

Address: TypeAlias = tuple[str, str]  # of a memory: path of the layer, name
Layers: TypeAlias = dict[str, LayerState]

OPEN = "open."  # before the names of what a state keeps for coming gradients
TOKENS, LABELS, WRITTEN = "open.tokens", "open.labels", "open.written"


class Start(NamedTuple):
    """What a coming gradient begins with: the state at a tick, and gradients of past windows."""

    layers: Layers
    sums: dict[Address, Matrices]


class Reading:
    """A sequence under way, token by token.

    Args:
        reference: whose sequence.
        parameters: by layer; constants where no outer gradient is wanted.
        start: where it begins.
        position: tokens before that.
    """

    def __init__(
        self,
        reference: Stepper,
        parameters: Mapping[str, Parameters],
        start: Start,
        position: int,
    ) -> None:
        self.ticks = ticks_of(reference.model)
        self.memories = {(path, m.name): m for path, m in online_memories(reference.model)}
        self._reference = reference
        self._parameters = parameters
        self.layers = start.layers
        self.sums = start.sums
        self.position = position
        self.starts: dict[int, Start] = {}  # by the tick
        self._scores: Tensor | None = None
        self._label: Tensor  # of the position that these are of
        self._losses: dict[int, Tensor] = {}  # by position, (batch,)
        self._link()
        self.starts[position] = self._now()

    def read(self, token: Tensor, label: Tensor, written: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return what the head is given at one token (batch,), and its scores; negative is padding.

        `label` (batch,) is what inner losses take for it; with `labels.NEXT` the next token.
        Rows whose `written` (batch,) is false skip the events of this position.
        """
        if self._scores is not None:  # what comes behind the last position is known now
            due = torch.where(self._label == NEXT, token, self._label)
            due = torch.where(due < 0, IGNORED, due)
            loss = F.cross_entropy(self._scores, due, reduction="none", ignore_index=IGNORED)
            self._losses[self.position] = loss
            self._tick()
        self.position += 1
        hidden, self.layers = self._reference.step(
            token.clamp(min=0), self.layers, self._parameters, self.position, written=written
        )
        self._scores = self._reference.scores(hidden, self._parameters)
        self._label = label
        return hidden, self._scores

    def start_at(self, position: int) -> Start:
        """Return the state at a tick, or now: where no memory ever moves, nothing waits for a
        tick.
        """
        return self.starts[position] if position in self.starts else self._now()

    def _tick(self) -> None:
        """Take gradients of all that is due, then all steps, then commits, then resets."""
        if not self.ticks.due(self.position):
            return
        slopes = self._slopes()
        moved = {address: self._moved(address, slope) for address, slope in slopes.items()}
        if self._is_due(self.ticks.horizon):
            self._cut()
        for address, state in moved.items():
            self._put(address, state)
        for address in self._sources_first():
            if self._is_due(self.memories[address].reset.period):
                self._put(address, self._started_over(address))
        self.starts[self.position] = self._now()

    def _is_due(self, period: int) -> bool:
        return period > 0 and self.position % period == 0

    def _state(self, address: Address) -> Learned:
        path, name = address
        return cast(Learned, self.layers[path].memories[name])

    def _put(self, address: Address, state: Learned) -> None:
        path, name = address
        layer = self.layers[path]
        self.layers[path] = replace(layer, memories={**layer.memories, name: state})

    def _now(self) -> Start:
        return Start(dict(self.layers), dict(self.sums))

    def _loss(self, tokens: int) -> Tensor:
        """Return the loss of the last so many positions, of all rows: rows do not enter each
        other's.
        """
        first = self.position - tokens + 1
        return torch.stack([self._losses[i] for i in range(first, self.position + 1)]).sum()

    def _slopes(self) -> dict[Address, Matrices]:
        """Return the gradient of each memory that is due, at the states before any of them
        moves.
        """
        cut = self.ticks.horizon
        due = {a: m for a, m in self.memories.items() if self._is_due(m.level.period)}
        if not cut:
            return {a: self._slope(a, m.level.period, m.gradient == "full") for a, m in due.items()}
        if self._is_due(cut):
            moving = [a for a, m in self.memories.items() if m.level.period]
            self.sums = {a: _added(self.sums.get(a), self._slope(a, cut, False)) for a in moving}
        slopes = {address: self.sums.pop(address) for address in due}
        return slopes

    def _slope(self, address: Address, tokens: int, full: bool) -> Matrices:
        weights, loss = self._state(address).anchor, self._loss(tokens)
        if not loss.requires_grad:
            return tuple(map(torch.zeros_like, weights))
        found = torch.autograd.grad(
            loss, weights, retain_graph=True, create_graph=full, allow_unused=True
        )
        pairs = zip(found, weights, strict=True)
        return tuple(torch.zeros_like(w) if slope is None else slope for slope, w in pairs)

    def _moved(self, address: Address, slopes: Matrices) -> Learned:
        memory, old = self.memories[address], self._state(address)
        with torch.set_grad_enabled(memory.gradient == "full"):
            new = task_rule.moved(memory, old, slopes, self.layers[address[0]].flows)
        if memory.gradient == "full":
            return new
        weights = tuple(weight.detach() for weight in new.anchor)
        if memory.gradient == "first_order":
            weights = tuple(map(_following, weights, old.anchor))
        return _at(new, _nodes(weights), tuple(s.detach() for s in new.momentum))

    def _cut(self) -> None:
        """Make everything that is carried constant, but for online memories: theirs decide."""
        for path, layer in self.layers.items():
            own = {name for at, name in self.memories if at == path}
            memories = {n: s if n in own else _detached(s) for n, s in layer.memories.items()}
            tails = {name: tail.detach() for name, tail in layer.tails.items()}
            self.layers[path] = replace(layer, memories=memories, tails=tails)

    def _sources_first(self) -> list[Address]:
        """Return each memory behind the one that it starts as."""
        placed: dict[Address, None] = {}
        for address in self.memories:
            chain = [address]
            while (source := self._source(chain[-1])) is not None:
                chain.append(source)
            placed |= dict.fromkeys(reversed(chain))
        return list(placed)

    def _source(self, address: Address) -> Address | None:
        name = self.memories[address].init.memory
        return None if name is None else (address[0], name)

    def _started_over(self, address: Address) -> Learned:
        path, name = address
        state, source = self._state(address), self._source(address)
        if source is None:
            own = self._parameters[path].get(name, {})
            start = task_rule.start(self.memories[address], own, state.anchor)
        else:
            # A node of its own: what others read of the source is no part of its gradient.
            start = tuple(weight.clone() for weight in self._state(source).anchor)
        rest = tuple(map(torch.zeros_like, state.momentum))
        grams = tuple(map(torch.zeros_like, state.grams))
        return _at(state._replace(grams=grams), _nodes(start), rest)

    def _link(self) -> None:
        """Make the states of the start nodes of the graph, and ties those that start as others.

        One that has moved since it started, and still has its graph, keeps it.
        """
        for address in self._sources_first():
            state, source = self._state(address), self._source(address)
            weights = state.anchor
            if source is not None and self._is_linked(address, source):
                fresh = Pace.of(self.memories[address]).is_fresh(self.position)
                if fresh or not all(weight.requires_grad for weight in weights):
                    weights = tuple(map(_following, weights, self._state(source).anchor))
            self._put(address, _at(state, _nodes(weights), state.momentum))

    def _is_linked(self, address: Address, source: Address) -> bool:
        own, other = (Pace.of(self.memories[one]) for one in (address, source))
        return own.follows(other, self.position)


def initial(reference: Stepper, flat: Mapping[str, Tensor], batch: int) -> dict[str, Tensor]:
    """Return what a state keeps for coming gradients before the first token, given the rest of
    it.
    """
    kept = {f"{OPEN}{name}": tensor for name, tensor in flat.items() if name != "position"}
    for path, name in _gathering(reference.model):
        kept |= _named(path, name, _zeros(reference.unpacked(flat), (path, name)))
    kept[TOKENS] = flat["position"].new_zeros(batch, 0)
    kept |= {LABELS: kept[TOKENS].clone(), WRITTEN: kept[TOKENS].bool()}
    return kept


def run(
    reference: Stepper,
    tokens: Tensor,
    labels: Tensor,
    written: Tensor | None,
    flat: Mapping[str, Tensor],
) -> HiddenOutput:
    """Return scores behind each token, and the state behind the last one.

    Args:
        reference: what runs.
        tokens: (batch, time).
        labels: what inner losses take for them, (batch, time); see `nestgraph.runtime.labels`.
        written: which of them are, (batch, time); None: all.
        flat: the state behind the tokens before.
    """
    outer = torch.is_grad_enabled()
    with torch.inference_mode(False), torch.enable_grad():
        # Tensors of inference mode can't be part of a graph; their copies here can.
        flat = {n: x.clone() if x.is_inference() else x for n, x in flat.items()}
        reading = _begin(reference, flat, constant=not outer)
        everything = torch.cat((flat[TOKENS], tokens), 1)
        known = behind(torch.cat((flat[LABELS], labels), 1), everything)
        marked = joined(flat[WRITTEN], flat[TOKENS].shape[1], written, tokens.shape[1])
        masks = marked.unbind(1) if marked.shape[1] else [None] * everything.shape[1]
        given = zip(everything.unbind(1), known.unbind(1), masks, strict=True)
        answers = [reading.read(*one) for one in given]
    opened = reading.ticks.base(reading.position)
    new = answers[len(answers) - tokens.shape[1] :]
    hidden, logits = (torch.stack(parts, 1) for parts in zip(*new, strict=True))
    state = {"position": flat["position"] + tokens.shape[1]}
    state |= reference.packed(reading.layers)
    state |= _kept(reference, reading.start_at(opened))
    waiting = slice(everything.shape[1] - (reading.position - opened), None)
    state |= {TOKENS: everything[:, waiting], LABELS: known[:, waiting]}
    state[WRITTEN] = marked[:, waiting]
    answer = HiddenOutput(logits, state, hidden)
    return answer if outer else HiddenOutput(*_detached(tuple(answer)))


def _begin(reference: Stepper, flat: Mapping[str, Tensor], *, constant: bool) -> Reading:
    """Return a sequence at the place where the gradients that a state still owes begin."""
    kept = {n.removeprefix(OPEN): tensor for n, tensor in flat.items() if n.startswith(OPEN)}
    layers = reference.unpacked(kept)
    sums: dict[Address, Matrices] = {}
    for path, name in _gathering(reference.model):
        parts = enumerate(_zeros(layers, (path, name)))
        sums[path, name] = tuple(kept[f"{path}.{name}.G{i}"] for i, _ in parts)
    position = ticks_of(reference.model).base(int(flat["position"]))
    parameters = reference.parameters_by_layer(constant=constant)
    return Reading(reference, parameters, Start(layers, sums), position)


def _kept(reference: Stepper, start: Start) -> dict[str, Tensor]:
    kept = {f"{OPEN}{name}": x for name, x in reference.packed(start.layers).items()}
    for path, name in _gathering(reference.model):
        zeros = _zeros(start.layers, (path, name))
        kept |= _named(path, name, start.sums.get((path, name), zeros))
    return kept


def _gathering(model: Model) -> dict[Address, Memory]:
    """Return memories whose gradients are summed over several windows of the horizon."""
    cut = ticks_of(model).horizon
    return {(p, m.name): m for p, m in online_memories(model) if cut and m.level.period > cut}


def _zeros(layers: Layers, address: Address) -> Matrices:
    state = cast(Learned, layers[address[0]].memories[address[1]])
    return tuple(map(torch.zeros_like, state.anchor))


def _named(path: str, name: str, sums: Matrices) -> dict[str, Tensor]:
    return {f"{OPEN}{path}.{name}.G{i}": matrix.detach() for i, matrix in enumerate(sums)}


def _at(state: Learned, weights: Matrices, momentum: Matrices) -> Learned:
    """Return an online memory has one state: what is read is what moves."""
    return state._replace(running=weights, anchor=weights, momentum=momentum)


def _following(value: Tensor, origin: Tensor) -> Tensor:
    """Return `value`, exactly, whose gradient goes to `origin` as it is."""
    return value.detach() + (origin - origin.detach())


def _nodes(weights: Matrices) -> Matrices:
    """Return weights that a gradient can be asked for."""
    return tuple(w if w.requires_grad else w.detach().requires_grad_() for w in weights)


def _added(one: Matrices | None, other: Matrices) -> Matrices:
    return other if one is None else tuple(a + b for a, b in zip(one, other, strict=True))


def _detached(tree: Any) -> Any:
    return _pytree.tree_map(lambda x: x.detach() if isinstance(x, Tensor) else x, tree)
