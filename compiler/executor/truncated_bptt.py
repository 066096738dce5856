"""Training through a horizon at the memory of one window: a backward behind each.

At the ticks of the horizon every carried state is a constant but the online memories' own, and
those pass a gradient on as it is (`first_order`) or not at all (`none`). So nothing of a window's
graph is needed behind it: one backward gives the inner gradients of the online memories and the
window's share of the outer gradient. What arrives at an online memory belongs to the parameter that
it started as, which is added up by hand.

    memory      the graph of one window, whatever the length of the sequence
    FLOPs       those of a forward and a backward, as without online memories; half a backward more
                in windows with tokens that an earlier piece was scored on, or that aren't written
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from nestgraph import ops
from nestgraph.analysis.online_memories import Ticks
from nestgraph.compiler.executor.online_update import (
    Address,
    Layers,
    OnlineUpdate,
    Parts,
    Roots,
    Sums,
)
from nestgraph.compiler.executor.pieces import PieceRunner
from nestgraph.compiler.executor.trees import detached
from nestgraph.runtime.labels import behind, nats
from nestgraph.runtime.write_masks import joined, marks, unwritten


class Learnt(NamedTuple):
    """What a sequence gave.

    Attributes:
        loss: mean of the outer loss, which can be differentiated by the parameters.
        state: behind the last token.
    """

    loss: Tensor
    state: dict[str, Any]


class TruncatedBPTT:
    """Losses of a compiled model whose horizon is set, with their gradients.

    Args:
        model: runs pieces.
        online: moves memories.
        ticks: when; with a horizon.
    """

    def __init__(self, model: PieceRunner, online: OnlineUpdate, ticks: Ticks) -> None:
        self._model, self._online, self._ticks = model, online, ticks

    def loss(
        self, tokens: Tensor, targets: Tensor, written: Tensor | None, state: Mapping[str, Any]
    ) -> Learnt:
        """Return the mean loss of some positions, and the state behind them.

        Args:
            tokens: (batch, time); negative ones are padding.
            targets: (batch, time) of both the outer and the inner losses; negative ones count
                nowhere.
            written: (batch, time) which of them are; None: all. Others are in no inner loss.
            state: behind the tokens before; what it holds is constant, unless it is the first.
        """
        walk = _Walk(self._model, self._online, self._ticks, int(state["position"]))
        walk.over(tokens, targets, written, state)
        count = max(1, int((targets >= 0).sum()))
        named = self._model.weights.named()
        found = [walk.gradients.get(name) for name in named]
        pairs = [
            (p, g / count) for p, g in zip(named.values(), found, strict=True) if g is not None
        ]
        given = [parameter for parameter, _ in pairs], [gradient for _, gradient in pairs]
        loss: Tensor = _Known.apply(walk.total / count, given[1], *given[0])  # type: ignore[no-untyped-call]
        return Learnt(loss, walk.state)


class _Known(torch.autograd.Function):
    """A loss whose gradients are known."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, gradients: Sequence[Tensor], *_: Tensor) -> Tensor:
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, d_loss: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(d_loss * gradient for gradient in ctx.gradients)


class _Walk:
    """One sequence, window by window."""

    def __init__(self, model: PieceRunner, online: OnlineUpdate, ticks: Ticks, before: int) -> None:
        self._model, self._online, self._ticks, self._before = model, online, ticks, before
        self._named: dict[str, Tensor] = {
            name: p for name, p in model.weights.named().items() if p.requires_grad
        }
        self.gradients: dict[str, Tensor] = {}  # of the sum of losses, by parameter
        self.total: Tensor = torch.zeros(())
        self.state: dict[str, Any] = {}

    def over(
        self, tokens: Tensor, targets: Tensor, written: Tensor | None, state: Mapping[str, Any]
    ) -> None:
        """Run all windows; leave the loss, the gradients and the state."""
        replayed = state["open"]["tokens"]
        everything = torch.cat((replayed, tokens), 1)
        taught = torch.cat((state["open"]["labels"], unwritten(targets, written)), 1)
        known = behind(taught, everything)
        marked = joined(state["open"]["written"], replayed.shape[1], written, tokens.shape[1])
        base, length, old = self._ticks.base(self._before), everything.shape[1], replayed.shape[1]
        total, first = base + length, self._before == 0
        layers: Layers = state["open"]["layers"]
        sums: Sums = state["open"]["sums"]
        roots = self._online.roots(attached=first)
        keep, opening = self._ticks.base(total), (layers, sums)
        self.total = everything.new_zeros((), dtype=torch.float32)
        for begin, end, _ in ops.segments(base, length, self._ticks.every, length):
            at = base + end
            with torch.enable_grad():
                prepared = self._model.prepared()
                if begin == 0 and first:
                    layers = cast(Layers, self._model.first_layers(prepared, layers))
                layers = self._online.linked(self._online.leaves(layers), base + begin)
                piece = everything[:, begin:end].clamp(min=0)
                mask = marks(marked, begin, end)
                hidden, after = self._model.piece(prepared, piece, layers, base + begin, mask)
                scores = self._model.scores(prepared, hidden)
                own = slice(max(begin - old, 0), max(end - old, 0))
                outer = nats(scores[:, max(old - begin, 0) :], targets[:, own])
            labels = known[:, begin:end] if at < total else None
            owners = self._online.own_roots(roots, base + begin)
            slopes = self._backward(layers, scores, outer, labels, targets[:, own], owners)
            self.total = self.total + outer.detach()
            layers = detached(after)
            if labels is not None:
                layers, sums = self._tick(at, layers, sums, slopes, prepared)
                layers, roots = detached(layers), self._online.moved_roots(roots, at)
            if at == keep:
                opening = (layers, detached(sums))
        # Views would keep all of them.
        kept: dict[str, Any] = {"tokens": everything[:, keep - base :].clone()}
        kept |= {"labels": known[:, keep - base :].clone()}
        kept |= {"written": marked[:, keep - base :].clone(), "layers": opening[0]}
        kept["sums"] = self._online.all_sums(*opening)
        self.state = {"position": torch.tensor(total), "layers": layers, "open": kept}

    def _backward(
        self,
        layers: Layers,
        scores: Tensor,
        outer: Tensor,
        labels: Tensor | None,
        targets: Tensor,
        roots: Roots,
    ) -> dict[Address, Parts]:
        """Add up the outer gradient of a window; answers with the inner one, for a tick."""
        same = labels is not None and targets.shape == labels.shape and torch.equal(targets, labels)
        nodes = self._online.nodes(layers)
        flat = [weight for weights in nodes.values() for weight in weights]
        slopes: dict[Address, Parts] = {}
        if outer.requires_grad and targets.numel():
            again = labels is not None and not same
            wanted = [*self._named.values(), *flat]
            found = torch.autograd.grad(outer, wanted, retain_graph=again, allow_unused=True)
            for name, gradient in zip(self._named, found, strict=False):
                self._add(name, gradient)
            slopes = _grouped(nodes, found[len(self._named) :])
            for address, parts in slopes.items():
                if (root := roots[address]) is not None:
                    names = self._online.parameter_names(address, root)
                    for name, part in zip(names, parts, strict=True):
                        self._add(name, part.sum(0))
        if labels is None or same:
            return slopes
        with torch.enable_grad():
            inner = nats(scores, labels)
        return _grouped(nodes, torch.autograd.grad(inner, flat, allow_unused=True))

    def _add(self, name: str, gradient: Tensor | None) -> None:
        if gradient is None or name not in self._named:
            return
        known = self.gradients.get(name)
        self.gradients[name] = gradient if known is None else known + gradient

    def _tick(
        self, at: int, layers: Layers, sums: Sums, slopes: Mapping[Address, Parts], prepared: Any
    ) -> tuple[Layers, Sums]:
        with torch.no_grad():
            gathered = self._online.gathered(sums, slopes)
            due = {a: g for a, g in gathered.items() if self._online.is_due(a, at)}
            moved = self._online.moved(layers, due, outer=False)
            first = partial(self._model.first_layers, prepared, moved)
            return self._online.restarted(moved, at, first), self._online.left(gathered, due)


def _grouped(nodes: Mapping[Address, Parts], found: Sequence[Any]) -> dict[Address, Parts]:
    slopes = iter(found)
    return {
        address: tuple(
            torch.zeros_like(weight) if slope is None else slope
            for weight, slope in zip(weights, slopes, strict=False)
        )
        for address, weights in nodes.items()
    }
