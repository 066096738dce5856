"""The lowered model: an `nn.Module` whose layers are emitted straight-line code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nestgraph import ops
from nestgraph.compiler.ir import Program
from nestgraph.compiler.lowering.load import load_source
from nestgraph.compiler.lowering.source import python_source
from nestgraph.compiler.lowering.states import flatten_state
from nestgraph.output import Output
from nestgraph.weights import Weights

LayerCode = tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]


class CompiledModel(nn.Module):
    """A model that a spec describes, compiled.

    `model(tokens, state)` answers with `Output(logits, state)`. Whole sequences train in
    parallel; pieces stream with the state that the last piece returned, with the same numbers
    for any split; one token at a time decodes.

    Attributes:
        weights: the parameters, under the names of the parameter table.
        program: the scheduled IR that was lowered.
        source: the Python that runs.
    """

    def __init__(self, program: Program, weights: Weights) -> None:
        super().__init__()
        self.weights = weights
        self.program = program
        self.source = python_source(program)
        self._layers = _layer_code(program, load_source(self.source))

    def initial_state(self, batch: int) -> dict[str, Any]:
        """The state before the first token: a tree of tensors, float32 or wider."""
        params = self.weights.named()
        like = params["embed.weight"]
        x = like.new_zeros(batch, 0, self.program.width)
        layers = {
            path: initial(prepare(_local(params, path), like), x)
            for path, (prepare, initial, _) in self._layers.items()
        }
        return {"position": torch.zeros((), dtype=torch.long), "layers": layers}

    def forward(self, tokens: Tensor, state: Mapping[str, Any] | None = None) -> Output:
        """Scores of the next token at every position.

        Args:
            tokens: (batch, time) whole numbers below the vocabulary's size.
            state: what the call before returned; None at the beginning of a sequence.

        Returns:
            logits (batch, time, vocab) and the state behind the last token.
        """
        params = self.weights.named()
        like = params["embed.weight"]
        x_BTW = F.embedding(tokens, like)
        start = int(state["position"]) if state is not None else 0
        layers: dict[str, Any] = {}
        for path, (prepare, initial, run) in self._layers.items():
            w = prepare(_local(params, path), like)
            before = initial(w, x_BTW) if state is None else state["layers"][path]
            x_BTW, layers[path] = run(w, x_BTW, before, start)
        x_BTW = self._norm(x_BTW, params)
        head = like if self.program.tie_head else params["head.weight"]
        position = torch.tensor(start + tokens.shape[1])
        return Output(F.linear(x_BTW, head), {"position": position, "layers": layers})

    def flat_state(self, state: Mapping[str, Any]) -> dict[str, Tensor]:
        """A state as tensors by name: `0.hope.a.M.A0` running, `.anchor0`, `.S0`, `.tail`, `.k`."""
        return flatten_state(self.program, state)

    def _norm(self, x_BTW: Tensor, params: Mapping[str, Tensor]) -> Tensor:
        if self.program.norm is None:
            return x_BTW
        if self.program.norm == "rms_norm":
            return ops.rms_norm(x_BTW, params["norm.gain"])
        return ops.layer_norm(x_BTW, params["norm.gain"], params["norm.shift"])


def _layer_code(program: Program, names: Mapping[str, Any]) -> dict[str, LayerCode]:
    return {
        path: (names[f"prepare_{f.name}"], names[f"initial_{f.name}"], names[f"run_{f.name}"])
        for path, f in program.layers
    }


def _local(params: Mapping[str, Tensor], path: str) -> dict[str, Tensor]:
    """A layer's parameters by their names within the layer."""
    prefix = f"{path}."
    return {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}
