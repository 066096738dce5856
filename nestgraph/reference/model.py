"""The whole model, token by token."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from nestgraph.analysis.online_memories import online_memories
from nestgraph.analysis.support import unsupported
from nestgraph.errors import SpecError
from nestgraph.language.models import model_of
from nestgraph.language.system import Layer, Node, System
from nestgraph.reference import ops, task
from nestgraph.reference.block import LayerState, Program, Watch
from nestgraph.reference.starts import Parameters, States, first
from nestgraph.reference.state import pack, unpack
from nestgraph.runtime.labels import labels_of, require_targets
from nestgraph.runtime.output import HiddenOutput, Output
from nestgraph.runtime.tokens import require_precision, rows_of
from nestgraph.runtime.weights import Weights
from nestgraph.runtime.write_masks import mask_of, unwritten


class Reference(nn.Module):
    """Runs a spec literally: one position after the other, one node after the other.

    Whatever the grad mode, memories learn in their context; with gradients enabled, the outer
    gradient goes through every write.

    Attributes:
        system: what it runs.
        weights: its parameters; the same seed gives a compiled model the same numbers.
    """

    def __init__(
        self,
        system: System,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        *,
        blank: bool = False,
    ) -> None:
        """Prepare a system.

        Args:
            system: a checked system (`Spec.system`).
            seed: first numbers of the parameters.
            dtype: floating-point type of parameters, flows and states.
            blank: whether the parameters stay without numbers, because others are about to take
                their place.

        Raises:
            SpecError: the system asks for something that can't be run yet, or a file that isn't
                there.
            InputError: it is an optimizer.
        """
        super().__init__()
        self.model = model_of(system)
        if refused := unsupported(system):
            raise SpecError(refused)
        self.system = system
        self.weights = Weights.of(system, seed, dtype=dtype, blank=blank)
        blocks = {id(layer.block): layer.block for layer in self.model.layers}
        programs = {key: Program(block, system.clocks) for key, block in blocks.items()}
        self._layers = tuple((layer, programs[id(layer.block)]) for layer in self.model.layers)
        self._is_fast = any(True for _ in online_memories(self.model))
        self._state_names = frozenset(self.initial_state(1))

    def initial_state(self, batch: int) -> dict[str, Any]:
        """Return the state before the first token, alike in every row of the batch."""
        parameters, like = self.parameters_by_layer(), self._embedding
        flat = {"position": torch.zeros((), dtype=torch.int64, device=like.device)}
        for layer, _ in self._layers:
            own = parameters[layer.path]
            flat |= _packed(layer, first(layer.block, own, batch, like))
            for node in _convolutions(layer):
                width, taps = own[node.tie or node.owner]["weight"].shape
                flat[f"{layer.path}.{node.owner}.tail"] = like.new_zeros(batch, taps - 1, width)
        if self._is_fast:
            flat |= task.initial(self, flat, batch)
        return flat

    def forward(
        self,
        tokens: Tensor,
        state: Mapping[str, Any] | None = None,
        *,
        targets: Tensor | None = None,
        write_mask: Tensor | None = None,
        hidden: bool = False,
    ) -> Output | HiddenOutput:
        """Return scores of the next token behind each token.

        Args:
            tokens: (batch, time) of whole numbers; -1 behind the end of a row, which isn't read.
            state: of the tokens before, as an earlier call answered it; None at the start.
            targets: (batch, time) what memories that the task moves should have answered, -100
                where nothing counts; without, the next token.
            write_mask: (batch, time) whether memories are written at each position; None: at all.
            hidden: whether to answer with what the head was given, too: a `HiddenOutput`.

        Returns:
            Logits (batch, time, vocab) and the state behind the last token. Cutting a sequence
            into pieces, anywhere, changes neither.

        Raises:
            ValueError: the state is of another model, or of another number of rows.
            InputError: tokens, what lies beside them, state or precision are none that the model
                can run with.
        """
        require_precision(self._embedding.dtype, self._embedding.device.type, mixed=False)
        rows = rows_of(tokens, self.model.vocab, state)
        if targets is not None:
            require_targets(targets, tokens, self.model.classes)
        written = mask_of(write_mask, rows)
        batch = len(tokens)
        flat = self.initial_state(batch) if state is None else self._fitting(state, batch)
        return rows.answer(self._read(rows.tokens, targets, written, flat)).asked(hidden=hidden)

    def _read(
        self,
        tokens: Tensor,
        targets: Tensor | None,
        written: Tensor | None,
        flat: Mapping[str, Any],
    ) -> HiddenOutput:
        if tokens.numel() == 0:
            return self._nothing(tokens, flat)
        if not self._is_fast:
            return self._run(tokens.clamp(min=0), written, flat)
        of_tokens = self.model.classes == self.model.vocab
        labels = unwritten(labels_of(targets, tokens, of_tokens=of_tokens), written)
        return task.run(self, tokens, labels, written, flat)

    def _nothing(self, tokens: Tensor, flat: Mapping[str, Any]) -> HiddenOutput:
        """Return the answer to no rows, or to no tokens: nothing is read, so that only time
        passes.
        """
        parameters = self.parameters_by_layer()
        own = parameters[""][""]
        x = self._norm(own["embed"][tokens], own)
        after = {**flat, "position": flat["position"] + tokens.shape[1]}
        return HiddenOutput(self.scores(x, parameters), after, x)

    def _run(self, tokens: Tensor, written: Tensor | None, flat: Mapping[str, Any]) -> HiddenOutput:
        """Return scores and state, position by position."""
        batch, time = tokens.shape
        position = int(flat["position"])
        states, parameters = self.unpacked(flat), self.parameters_by_layer()
        hidden = [self._embedding.new_zeros(batch, 0, self.model.width)]
        for index in range(time):
            x, states = self.step(
                tokens[:, index],
                states,
                parameters,
                position + index + 1,
                written=None if written is None else written[:, index],
            )
            hidden.append(x[:, None])
        after = {"position": flat["position"] + time, **self.packed(states)}
        given = torch.cat(hidden, 1)
        return HiddenOutput(self.scores(given, parameters), after, given)

    def step(
        self,
        token: Tensor,
        states: Mapping[str, LayerState],
        parameters: Mapping[str, Parameters],
        position: int,
        watch: Watch | None = None,
        written: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, LayerState]]:
        """Return what the head is given (batch, width) at a position, and the layers' states behind
        it.

        `watch` is told how much each write surprises its memory, which it calls `3.hope.a.M`.
        Rows whose `written` (batch,) is false skip the events of this position.
        """
        own = parameters[""][""]
        x, after = own["embed"][token], {}
        for layer, program in self._layers:
            here = None if watch is None else partial(_watch, watch, layer.path)
            x, after[layer.path] = program.run(
                x, states[layer.path], parameters[layer.path], position, here, written
            )
        return self._norm(x, own), after

    def scores(self, x: Tensor, parameters: Mapping[str, Parameters]) -> Tensor:
        """Return what the head answers to what it is given (..., width)."""
        return x @ parameters[""][""]["head"].mT

    def unpacked(self, flat: Mapping[str, Tensor]) -> dict[str, LayerState]:
        """Return the state of each layer out of a flat one."""
        return {layer.path: _unpack(layer, flat) for layer, _ in self._layers}

    def packed(self, states: Mapping[str, LayerState]) -> dict[str, Tensor]:
        """Return the inverse of `unpacked`."""
        flat: dict[str, Tensor] = {}
        for layer, _ in self._layers:
            state = states[layer.path]
            flat |= _packed(layer, state.memories)
            flat |= {f"{layer.path}.{owner}.tail": tail for owner, tail in state.tails.items()}
        return flat

    def _fitting(self, state: Mapping[str, Any], batch: int) -> Mapping[str, Any]:
        if strangers := sorted(self._state_names ^ set(state)):
            raise ValueError(
                f"the state doesn't fit `{self.system.name}`: `{strangers[0]}` is missing or too "
                "much; pass a state that this model answered, or None to start anew"
            )
        for name, tensor in state.items():
            # Without this, one row would silently be shared by all.
            if tensor.ndim and tensor.shape[0] != batch:
                raise ValueError(
                    f"`{name}` of the state has {tensor.shape[0]} rows, but the tokens have "
                    f"{batch}; continue each sequence with its own state"
                )
        return state

    @property
    def _embedding(self) -> Tensor:
        return self.weights.get_parameter("embed.weight")

    def _norm(self, x: Tensor, own: Mapping[str, Tensor]) -> Tensor:
        if self.model.norm is None:
            return x
        if self.model.norm == "rms_norm":
            return ops.rms_norm(x, own["gain"])
        return ops.layer_norm(x, own["gain"], own["shift"])

    def parameters_by_layer(self, *, constant: bool = False) -> dict[str, Parameters]:
        """Return every layer's parameters, by its path, then the owner, then the short name.

        Those of the model itself stand under the path "". As constants they learn nothing.
        """
        named: dict[str, Tensor] = dict(self.weights.named())
        if constant:
            named = {name: parameter.detach() for name, parameter in named.items()}
        tree: dict[str, dict[str, dict[str, Tensor]]] = {}
        for layer, _ in self._layers:
            owners = tree[layer.path] = {}
            prefix = f"{layer.path}."
            for name in (name for name in named if name.startswith(prefix)):
                owner, _, short = name.removeprefix(prefix).rpartition(".")
                owners.setdefault(owner, {})[short] = named[name]
        head = "embed.weight" if self.model.tie_head else "head.weight"
        own = {"embed": named["embed.weight"], "head": named[head]}
        own |= {
            short: named[f"norm.{short}"] for short in ("gain", "shift") if f"norm.{short}" in named
        }
        return {**tree, "": {"": own}}


def _watch(watch: Watch, path: str, memory: str, told: Tensor) -> None:
    watch(f"{path}.{memory}", told)


def _convolutions(layer: Layer) -> list[Node]:
    nodes = layer.block.nodes.values()
    return [node for node in nodes if isinstance(node, Node) and node.op == "conv"]


def _unpack(layer: Layer, flat: Mapping[str, Tensor]) -> LayerState:
    memories = {
        name: unpack(f"{layer.path}.{name}", memory, flat)
        for name, memory in layer.block.memories.items()
        if not memory.is_step_group
    }
    tails = {node.owner: flat[f"{layer.path}.{node.owner}.tail"] for node in _convolutions(layer)}
    return LayerState(memories=memories, tails=tails)


def _packed(layer: Layer, states: States) -> dict[str, Tensor]:
    flat: dict[str, Tensor] = {}
    for name, state in states.items():
        flat |= pack(f"{layer.path}.{name}", layer.block.memories[name], state)
    return flat
