"""A sequence read from where the graph of its next gradient begins, tick by tick.

The label of a segment's last position is the token behind it, so that a tick waits for that token,
also where a target was given in its place.
A reading that ends at a tick goes on from there when more tokens come; one that ends elsewhere has
no graph of its last tokens, which the next reading then runs again.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nestgraph import ops
from nestgraph.analysis.online_memories import Ticks
from nestgraph.compiler.executor.online_update import (
    Address,
    Layers,
    OnlineUpdate,
    Pasts,
    Slopes,
    Sums,
)
from nestgraph.compiler.executor.pieces import PieceRunner
from nestgraph.compiler.executor.trees import detached
from nestgraph.runtime.labels import behind, nats
from nestgraph.runtime.output import HiddenOutput
from nestgraph.runtime.write_masks import joined, marks


class Opening(NamedTuple):
    """What coming gradients begin with: the state at a tick, and gradients of past windows."""

    layers: Layers
    sums: Sums


class Waiting(NamedTuple):
    """A segment whose tick has not fired: its first position, the one behind it, its scores."""

    start: int
    end: int
    scores: Tensor


class OnlineSequence:
    """Some positions of a sequence.

    Args:
        model: runs pieces.
        online: moves memories.
        ticks: when.
        state: what an answer carried. The reading begins where its open tokens do, and reads them
            again before any others.
        outer: whether an outer gradient is wanted; without, parameters are constants.
    """

    def __init__(
        self,
        model: PieceRunner,
        online: OnlineUpdate,
        ticks: Ticks,
        state: Mapping[str, Any],
        *,
        outer: bool,
    ) -> None:
        self._model, self._online, self._ticks, self._outer = model, online, ticks, outer
        self._prepared = model.prepared(constant=not outer)
        opened = state["open"]
        self._opening = Opening(opened["layers"], opened["sums"])
        self._base = self._keep = ticks.base(int(state["position"]))
        with torch.enable_grad():
            self._layers = online.linked(opened["layers"], self._base)
        self._sums: Sums = opened["sums"]
        self._ours = False  # whether no state holds these sums
        self._pasts: Pasts = {}
        self._tokens: Tensor = opened["tokens"][:, :0]  # all behind the base
        self._labels: Tensor = opened["labels"][:, :0]
        self._written: Tensor = opened["written"][:, :0]
        self._losses: list[tuple[int, Tensor]] = []  # (last position, sum) of each segment
        self._waiting: Waiting | None = None

    @property
    def goes_on(self) -> bool:
        """Return whether more tokens can be read from here."""
        return self._waiting is not None

    def on(self, tokens: Tensor, labels: Tensor, written: Tensor | None = None) -> HiddenOutput:
        """Return scores behind each token, and the state behind the last.

        Args:
            tokens: (batch, time).
            labels: what inner losses take for them, (batch, time); see `nestgraph.runtime.labels`.
            written: which of them are, (batch, time); None: all.
        """
        again, length = self._tokens.shape[1], tokens.shape[1]
        before = self._base + again
        self._written = joined(self._written, again, written, length)
        self._tokens = torch.cat((self._tokens, tokens), 1)
        self._labels = behind(torch.cat((self._labels, labels), 1), self._tokens)
        self._keep = self._ticks.base(before + length)
        logits: list[Tensor] = []
        hidden: list[Tensor] = []
        for begin, end, _ in ops.segments(before, length, self._ticks.every, length):
            self._settle()
            last = self._segment(before + begin, before + end, ends=end == length)
            for parts, part in zip((hidden, logits), last, strict=True):
                parts.append(part if self._outer else part.detach())
        return HiddenOutput(
            torch.cat(logits, 1), self._state(before + length), torch.cat(hidden, 1)
        )

    def _state(self, position: int) -> dict[str, Any]:
        """Return what an answer carries; forgets the tokens that no gradient needs again."""
        since = self._keep - self._base
        self._base, self._tokens = self._keep, self._tokens[:, since:].clone()
        self._labels = self._labels[:, since:].clone()
        self._written = self._written[:, since:].clone()
        sums, self._ours = self._online.all_sums(*self._opening), False
        kept: dict[str, Any] = {"tokens": self._tokens, "labels": self._labels}
        kept |= {"written": self._written, "layers": self._opening.layers, "sums": sums}
        return {"position": torch.tensor(position), "layers": self._layers, "open": kept}

    def _segment(self, start: int, end: int, *, ends: bool) -> tuple[Tensor, Tensor]:
        """Run the positions between two ticks, or up to the last token if that comes first.

        Answers with what the head was given, and its scores.
        """
        ticks = not ends or self._ticks.due(end)
        piece = self._tokens[:, start - self._base : end - self._base].clamp(min=0)
        written = marks(self._written, start - self._base, end - self._base)
        learns = ticks and not self._outer  # else gradients are taken twice
        ours = self._ours and not ends  # the last tick fires when a state holds the sums
        self._pasts = self._online.pasts(self._layers, self._sums, ours=ours) if learns else {}
        layers = self._online.adding(self._layers, self._pasts)
        with torch.set_grad_enabled(self._outer or ticks):
            hidden, layers = self._model.piece(self._prepared, piece, layers, start, written)
            scores = self._model.scores(self._prepared, hidden)
        self._layers = self._online.adding(layers, dict.fromkeys(self._pasts))
        self._waiting = Waiting(start, end, scores) if ticks else None
        return hidden, scores

    def _settle(self) -> None:
        """Fire the tick that has waited for the token behind it."""
        if self._waiting is None:
            return
        start, at, scores = self._waiting
        labels = self._labels[:, start - self._base : at - self._base]
        with torch.enable_grad():
            self._note(at, scores, labels)
            self._tick(at)
        if at == self._keep:
            self._opening = Opening(self._layers, self._sums)

    def _note(self, at: int, scores: Tensor, labels: Tensor) -> None:
        """Add the loss of a segment: nats, summed over its positions."""
        loss = nats(scores, labels)
        oldest = at - max(self._ticks.levels, default=0)
        self._losses = [(end, one) for end, one in self._losses if end > oldest]
        self._losses.append((at, loss))

    def _tick(self, at: int) -> None:
        """Take gradients of all that is due, then all moves, the horizon's cut, then resets."""
        if cut := self._ticks.horizon:
            slopes = self._window(at)
        else:
            slopes = {
                address: slope
                for period in self._ticks.levels
                if at % period == 0
                for address, slope in self._online.slopes(
                    self._layers,
                    self._online.on_level(period),
                    self._loss(at, period),
                    retain=True,
                ).items()
            }
        closed = cut or all(at % period == 0 for period in self._ticks.levels)
        through = self._outer or not closed  # else no later gradient passes through this move
        moved = self._online.moved(self._layers, slopes, outer=through)
        if cut and at % cut == 0:
            moved = self._online.cut(moved)
        first = partial(self._model.first_layers, self._prepared, moved)
        moved = self._online.restarted(moved, at, first)
        if not through:
            moved = self._online.linked(detached(moved), at)
        self._layers = moved

    def _window(self, at: int) -> dict[Address, Slopes]:
        """Return one backward for all levels; those that aren't due keep their share for later."""
        cut = self._ticks.horizon
        if at % cut:
            return {}
        found = self._online.slopes(
            self._layers,
            self._online.moving,
            self._loss(at, cut),
            retain=self._outer,
            pasts=self._pasts,
        )
        gathered = self._online.gathered(self._sums, found, self._pasts)
        due = {a: slope for a, slope in gathered.items() if self._online.is_due(a, at)}
        self._sums, self._ours = self._online.left(gathered, due), True
        return due

    def _loss(self, at: int, tokens: int) -> Tensor:
        return torch.stack([loss for end, loss in self._losses if end > at - tokens]).sum()
