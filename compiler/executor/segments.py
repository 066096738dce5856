"""The segment executor: runs a model piece by piece between ticks, and moves its online memories.

A segment is a run of positions between two ticks of the union grid (moves, resets, horizon). Within
one, all online memories stand still and every layer runs over all positions at once, with the
kernels that it has anyway. Between two, the loss of the positions that a level's period ended
with gives the gradient of its memories; then all that are due move, then restart.

A state that waits for a tick holds the tokens since the oldest open period began, and the state
there. When the tick comes, these are run again, with a graph: a forward more for tokens that came
in pieces, none for whole sequences and for pieces that end at a tick, and nothing between two.

FLOPs of a sequence over those without online memories: for each level, a backward through the
segments of its period, without gradients of other weights; with a horizon, one backward for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from nestgraph.compiler import online_memories
from nestgraph.compiler.executor.graph_cache import GraphCache
from nestgraph.compiler.executor.moves import Moves
from nestgraph.compiler.executor.online_sequence import OnlineSequence
from nestgraph.compiler.executor.online_update import Layers, OnlineUpdate
from nestgraph.compiler.executor.pieces import PieceRunner
from nestgraph.compiler.executor.trees import detached, mapped, tensors
from nestgraph.compiler.executor.truncated_bptt import TruncatedBPTT
from nestgraph.runtime.labels import behind
from nestgraph.runtime.output import HiddenOutput
from nestgraph.runtime.write_masks import joined, marks

State: TypeAlias = Mapping[str, Any]


class Segments:
    """Runs a compiled model that has online memories."""

    def __init__(self, model: PieceRunner) -> None:
        self._model = model
        self.ticks = online_memories.ticks(model.program)
        self._online = OnlineUpdate(model.program, self.ticks)
        # Fused attention has no second derivative.
        self._plain_attention = self._online.is_full
        self._held = GraphCache()

    def initial(self, layers: Layers, batch: int) -> dict[str, Any]:
        """Return what a first state holds for coming gradients, given its layers."""
        tokens = torch.zeros(batch, 0, dtype=torch.long, device=next(tensors(layers)).device)
        kept = {"tokens": tokens, "labels": tokens.clone(), "written": tokens.bool()}
        return {**kept, "layers": layers, "sums": self._online.all_sums(layers, {})}

    def run(
        self, tokens: Tensor, labels: Tensor, written: Tensor | None, state: State
    ) -> HiddenOutput:
        """Return scores behind each token, and the state behind the last.

        Args:
            tokens: (batch, time).
            labels: what inner losses take for them, (batch, time); see `nestgraph.runtime.labels`.
            written: which of them are, (batch, time); None: all.
            state: behind the tokens before.
        """
        outer = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.set_grad_enabled(outer), self._attention():
            # Tensors of inference mode can't be part of a graph; their copies here can.
            tokens, labels, written, state = mapped(_usable, (tokens, labels, written, dict(state)))
            before, length = int(state["position"]), tokens.shape[1]
            alone = not outer and length > 0
            if alone and (reading := self._held.take(state, self._parameters())):
                return self._on(reading, tokens, labels, written)
            ends_at_tick = alone and self.ticks.due(before + length)
            if not (ends_at_tick or self.ticks.fires(before, length)):
                return self._straight(tokens, labels, written, state, outer=outer)
            reading = OnlineSequence(self._model, self._online, self.ticks, state, outer=outer)
            opened = state["open"]
            again = opened["tokens"].shape[1]
            tokens = torch.cat((opened["tokens"], tokens), 1)
            labels = torch.cat((opened["labels"], labels), 1)
            known = marks(joined(opened["written"], again, written, length), 0)
            answer = self._on(reading, tokens, labels, known)
            logits, state, hidden = answer
            return HiddenOutput(logits[:, -length:], state, hidden[:, -length:])

    def loss(
        self, tokens: Tensor, labels: Tensor, written: Tensor | None, state: State
    ) -> tuple[Tensor, dict[str, Any]]:
        """Return the mean loss of a model with a horizon, and the state; at the memory of one
        window.
        """
        return TruncatedBPTT(self._model, self._online, self.ticks).loss(
            tokens, labels, written, state
        )

    def moves(self, state: State) -> dict[str, Moves]:
        """Return what each level has done so far."""
        return self._online.moves(state["layers"], int(state["position"]))

    def _on(
        self, reading: OnlineSequence, tokens: Tensor, labels: Tensor, written: Tensor | None
    ) -> HiddenOutput:
        logits, state, hidden = reading.on(tokens, labels, written)
        if torch.is_grad_enabled():
            return HiddenOutput(logits, state, hidden)
        state = detached(state)
        if reading.goes_on:
            self._held.keep(reading, state, self._parameters())
        return HiddenOutput(logits, state, hidden)

    def _straight(
        self,
        tokens: Tensor,
        labels: Tensor,
        written: Tensor | None,
        state: State,
        *,
        outer: bool,
    ) -> HiddenOutput:
        """Return positions within a segment: nothing moves, and its gradient waits for the tick."""
        before, prepared = int(state["position"]), self._model.prepared(constant=not outer)
        read = tokens.clamp(min=0)
        hidden, layers = self._model.piece(prepared, read, state["layers"], before, written)
        logits = self._model.scores(prepared, hidden)
        opening = dict(state["open"])
        if self.ticks.every:
            known = (opening["written"], opening["tokens"].shape[1], written, tokens.shape[1])
            opening["written"] = joined(*known)
            opening["tokens"] = torch.cat((opening["tokens"], tokens), 1)
            labels = torch.cat((opening["labels"], labels), 1)
            opening["labels"] = behind(labels, opening["tokens"])
        else:  # nothing ever moves, so that no tokens wait for a tick
            opening["layers"] = layers
        position = torch.tensor(before + tokens.shape[1])
        after = {"position": position, "layers": layers, "open": opening}
        answer = HiddenOutput(logits, after, hidden)
        return answer if outer else HiddenOutput(*detached(tuple(answer)))

    def _parameters(self) -> Iterable[Tensor]:
        return self._model.weights.parameters()

    def _attention(self) -> Any:
        return sdpa_kernel(SDPBackend.MATH) if self._plain_attention else nullcontext()


def _usable(x: Tensor) -> Tensor:
    return x.clone() if x.is_inference() else x
