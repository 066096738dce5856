"""The segment executor: runs a model piece by piece between ticks, and moves its fast memories.

A segment is a run of positions between two ticks of the union grid (moves, resets, horizon). Within
one, all fast memories stand still and every layer runs over all positions at once, with the
kernels that it has anyway. Between two, the loss of the positions that a level's period ended
with gives the gradient of its memories; then all that are due move, then restart.

A state that waits for a tick holds the tokens since the oldest open period began, and the state
there. When the tick comes, these are run again, with a graph: a forward more for tokens that came
in pieces, none for whole sequences, and nothing between two ticks.

FLOPs of a sequence over those without fast memories: for each level, a backward through the
segments of its period, without gradients of other weights; with a horizon, one backward for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import _pytree

from nestgraph import ops
from nestgraph.compiler import fast
from nestgraph.compiler.lowering.mover import Address, Layers, Mover, Moves, Sums
from nestgraph.compiler.lowering.trees import detached
from nestgraph.compiler.lowering.windows import Windows
from nestgraph.output import Output

if TYPE_CHECKING:
    from nestgraph.compiler.lowering.model import CompiledModel

State: TypeAlias = Mapping[str, Any]
IGNORED = -100  # the label that `cross_entropy` leaves out


class Opening(NamedTuple):
    """What coming gradients begin with: the state at a tick, and gradients of past windows."""

    layers: Layers
    sums: Sums


class Segments:
    """Runs a compiled model that has fast memories."""

    def __init__(self, model: CompiledModel) -> None:
        self._model = model
        self.ticks = fast.ticks(model.program)
        self._mover = Mover(model.program, self.ticks)
        # Fused attention has no second derivative.
        self._plain_attention = self._mover.is_full

    def initial(self, layers: Layers, batch: int) -> dict[str, Any]:
        """What a first state holds for coming gradients, given its layers."""
        tokens = torch.zeros(batch, 0, dtype=torch.long, device=_device(layers))
        return {"tokens": tokens, "layers": layers, "sums": self._mover.all_sums(layers, {})}

    def run(self, tokens: Tensor, state: State) -> Output:
        """Scores behind each token, and the state behind the last."""
        outer = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.set_grad_enabled(outer), self._attention():
            # Tensors of inference mode can't be part of a graph; their copies here can.
            tokens, state = _pytree.tree_map(_usable, (tokens, dict(state)))
            before = int(state["position"])
            walk = _Walk(self._model, self._mover, self.ticks, outer=outer)
            if not self.ticks.fires(before, tokens.shape[1]):
                answer = walk.straight(tokens, state, before)
            else:
                answer = walk.from_base(tokens, state, self.ticks.base(before))
        return answer if outer else Output(*detached(tuple(answer)))

    def loss(self, tokens: Tensor, targets: Tensor, state: State) -> tuple[Tensor, dict[str, Any]]:
        """The mean loss of a model with a horizon, and the state; at the memory of one window."""
        return Windows(self._model, self._mover, self.ticks).loss(tokens, targets, state)

    def moves(self, state: State) -> dict[str, Moves]:
        """What each level has done so far."""
        return self._mover.moves(state["layers"], int(state["position"]))

    def _attention(self) -> Any:
        return sdpa_kernel(SDPBackend.MATH) if self._plain_attention else nullcontext()


class _Walk:
    """One call: some positions of a sequence.

    Args:
        model: runs pieces.
        mover: moves memories.
        ticks: when.
        outer: whether an outer gradient is wanted; without, parameters are constants.
    """

    def __init__(self, model: CompiledModel, mover: Mover, ticks: Any, *, outer: bool) -> None:
        self._model, self._mover, self._ticks, self._outer = model, mover, ticks, outer
        self._prepared = model.prepared(constant=not outer)
        self._losses: list[tuple[int, Tensor]] = []  # (last position, sum) of each segment

    def straight(self, tokens: Tensor, state: State, before: int) -> Output:
        """Positions within a segment: nothing moves, and its gradient waits for the tick."""
        logits, layers = self._piece(tokens, state["layers"], before)
        opening = dict(state["open"])
        if self._ticks.every:
            opening["tokens"] = torch.cat((opening["tokens"], tokens), 1)
        else:  # nothing ever moves, so that no tokens wait for a tick
            opening["layers"] = layers
        return Output(logits, _state(before + tokens.shape[1], layers, opening))

    def from_base(self, tokens: Tensor, state: State, base: int) -> Output:
        """Positions with a tick among them, from where the graph of its gradient begins."""
        everything = torch.cat((state["open"]["tokens"], tokens), 1)
        total = base + everything.shape[1]
        keep = self._ticks.base(total)
        with torch.enable_grad():
            layers, sums = self._mover.linked(state["open"]["layers"], base), state["open"]["sums"]
        opening, logits = Opening(state["open"]["layers"], sums), []
        cuts = ops.segments(base, everything.shape[1], self._ticks.every, everything.shape[1])
        for begin, end, _ in cuts:
            at = base + end
            with torch.set_grad_enabled(self._outer or at < total):
                scores, layers = self._piece(everything[:, begin:end], layers, base + begin)
                logits.append(scores if self._outer else scores.detach())
                if at == total:
                    break
                self._note(at, scores, everything[:, begin + 1 : end + 1])
                layers, sums = self._tick(at, layers, sums)
            if at == keep:
                opening = Opening(layers, sums)
        sums = self._mover.all_sums(*opening)
        kept = {"tokens": everything[:, keep - base :].clone(), **opening._asdict(), "sums": sums}
        answered = torch.cat(logits, 1)[:, everything.shape[1] - tokens.shape[1] :]
        return Output(answered, _state(total, layers, kept))

    def _piece(self, tokens: Tensor, layers: Layers, start: int) -> tuple[Tensor, Layers]:
        return self._model.piece(self._prepared, tokens.clamp(min=0), layers, start)

    def _note(self, at: int, scores: Tensor, labels: Tensor) -> None:
        """The loss of a segment: nats, summed over its positions; padding has no label."""
        flat = torch.where(labels < 0, IGNORED, labels).flatten()
        loss = F.cross_entropy(scores.flatten(0, 1), flat, reduction="sum", ignore_index=IGNORED)
        oldest = at - max(self._ticks.levels, default=0)
        self._losses = [(end, one) for end, one in self._losses if end > oldest]
        self._losses.append((at, loss))

    def _tick(self, at: int, layers: Layers, sums: Sums) -> tuple[Layers, Sums]:
        """Gradients of all that is due, then all moves, the horizon's cut, then resets."""
        if cut := self._ticks.horizon:
            slopes, sums = self._window(at, layers, sums)
        else:
            slopes = {
                address: slope
                for period in self._ticks.levels
                if at % period == 0
                for address, slope in self._mover.slopes(
                    layers, self._mover.on_level(period), self._loss(at, period), retain=True
                ).items()
            }
        closed = cut or all(at % period == 0 for period in self._ticks.levels)
        through = self._outer or not closed  # else no later gradient passes through this move
        moved = self._mover.moved(layers, slopes, outer=through)
        if cut and at % cut == 0:
            moved = self._mover.cut(moved)
        first = partial(self._model.first_layers, self._prepared, moved)
        moved = self._mover.restarted(moved, at, first)
        if not through:
            moved = self._mover.linked(detached(moved), at)
        return moved, sums

    def _window(self, at: int, layers: Layers, sums: Sums) -> tuple[dict[Address, Any], Sums]:
        """One backward for all levels; those that aren't due keep their share for later."""
        cut = self._ticks.horizon
        if at % cut:
            return {}, sums
        found = self._mover.slopes(
            layers, self._mover.moving, self._loss(at, cut), retain=self._outer
        )
        gathered = self._mover.gathered(sums, found)
        due = {a: slope for a, slope in gathered.items() if self._mover.is_due(a, at)}
        return due, self._mover.left(gathered, due)

    def _loss(self, at: int, tokens: int) -> Tensor:
        return torch.stack([loss for end, loss in self._losses if end > at - tokens]).sum()


def _state(position: int, layers: Layers, opening: Mapping[str, Any]) -> dict[str, Any]:
    return {"position": torch.tensor(position), "layers": layers, "open": dict(opening)}


def _device(layers: Layers) -> torch.device:
    return next(x.device for x in _tensors(layers))


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (x for x in _pytree.tree_leaves(tree) if isinstance(x, Tensor))


def _usable(x: Any) -> Any:
    return x.clone() if isinstance(x, Tensor) and x.is_inference() else x
