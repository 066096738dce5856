"""Updates of online memories at a tick: gradients, steps, cuts and restarts of layer states.

Layer states are trees; an online memory's is an `ops.OnlineState` under its name. Nothing here
changes one in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from nestgraph import ops
from nestgraph.analysis.online_memories import Pace, Ticks
from nestgraph.compiler import online_memories
from nestgraph.compiler.executor.moves import LastMove, Moves, moves_of_level
from nestgraph.compiler.executor.trees import detached
from nestgraph.compiler.ir import Op, Program

Address: TypeAlias = tuple[str, str]  # of a memory: path of the layer, name
Layers: TypeAlias = Mapping[str, Mapping[str, Any]]  # states, by path and name
Parts: TypeAlias = tuple[Tensor, ...]
Slopes: TypeAlias = tuple[ops.Slope, ...]
Roots: TypeAlias = Mapping[Address, str | None]  # memories whose parameters they started as
Sums: TypeAlias = dict[str, Parts]  # gradients of past windows, by `path.memory`; none: 0
Pasts: TypeAlias = Mapping[Address, ops.Gathered]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Mover:
    """One online memory: when it moves, as which it starts, and by what rule."""

    op: Op
    pace: Pace
    source: Address | None

    def scale(self) -> float | None:
        """Return what its gradient is multiplied by in a move that is nothing but that; else
        None.
        """
        op = self.op
        if op.texts("roles") or op.flag("has_momentum") or "direction" in op.attrs:
            return None
        numbers = [op.attrs.get(role, 0.0) for role in ops.OnlineRates._fields]
        if op.integer("erased", 0) or any(isinstance(number, tuple) for number in numbers):
            return None
        return ops.OnlineRates(*numbers).plain  # type: ignore[arg-type]

    def rates(self, state: ops.OnlineState) -> ops.OnlineRates:
        """Return its coefficients at a tick."""
        like, roles = state.weights[0], self.op.texts("roles")
        noted = dict(zip(roles, state.rates, strict=True))

        def rate(role: str) -> Tensor | float:
            if role in noted:
                return noted[role]
            number = self.op.attrs.get(role, 0.0)  # nothing is erased unless the rule says so
            if isinstance(number, tuple):
                return like.new_tensor([number])
            assert isinstance(number, int | float)
            return float(number)

        return ops.OnlineRates(*(rate(role) for role in ops.OnlineRates._fields))


class OnlineUpdate:
    """Moves the online memories of a program."""

    def __init__(self, program: Program, ticks: Ticks) -> None:
        self._memories = dict(_sources_first(program))
        self._ticks = ticks
        self._last: dict[Address, LastMove] = {}
        self.is_full = any(one.pace.gradient == "full" for one in self._memories.values())
        self._apart = all(one.source is None for one in self._memories.values())
        self.moving = [a for a, one in self._memories.items() if one.pace.period]
        cut = ticks.horizon
        self._gathering = [a for a in self.moving if cut and self._memories[a].pace.period > cut]
        self._scales = {a: one.scale() for a, one in self._memories.items()}
        waits = set(self._gathering)
        self._plain = {a for a in self.moving if a not in waits and self._scales[a] is not None}

    def on_level(self, period: int) -> list[Address]:
        """Return the memories that move every `period` tokens."""
        return [a for a in self.moving if self._memories[a].pace.period == period]

    def is_due(self, address: Address, at: int) -> bool:
        """Return whether a memory moves behind position `at`; one on the level `never` stays."""
        period = self._memories[address].pace.period
        return period != 0 and at % period == 0

    def slopes(
        self,
        layers: Layers,
        addresses: Iterable[Address],
        loss: Tensor,
        *,
        retain: bool,
        pasts: Pasts | None = None,
    ) -> dict[Address, Slopes]:
        """Return the gradient of a loss by the weights of some memories; 0 where it needs none of
        them.

        Args:
            layers: the state that the loss was computed from.
            addresses: of which memories.
            loss: of all rows; rows do not enter each other's.
            retain: whether the graph is needed again.
            pasts: what the graph was built with.
        """
        wanted = {address: _state(layers, address).weights for address in addresses}
        flat = [weight for weights in wanted.values() for weight in weights]
        if not flat or not loss.requires_grad:
            return {a: tuple(map(torch.zeros_like, weights)) for a, weights in wanted.items()}
        twice = any(self._memories[address].pace.gradient == "full" for address in wanted)
        found = torch.autograd.grad(
            loss, flat, retain_graph=retain or twice, create_graph=twice, allow_unused=True
        )
        slopes = iter(found)
        return {
            address: tuple(
                _slope(*one)
                for one in zip(weights, _products(pasts, address, weights), slopes, strict=False)
            )
            for address, weights in wanted.items()
        }

    def moved(
        self, layers: Layers, slopes: Mapping[Address, Slopes], *, outer: bool = True
    ) -> Layers:
        """Return the state with memories moved along their slopes.

        Args:
            layers: the state that the slopes were taken at.
            slopes: of the memories that are due.
            outer: whether a gradient may pass through the move.
        """
        states = {a: self._moved(layers, a, slope, outer) for a, slope in slopes.items()}
        for address, new in states.items():
            self._last[address] = LastMove.of(
                _state(layers, address).weights,
                new.weights,
                slopes[address],
                self._scales[address],
            )
        return _with(layers, states)

    def moves(self, layers: Layers, read: int) -> dict[str, Moves]:
        """Return what the levels have done when `read` tokens were read, by the level's name."""
        found: dict[str, Moves] = {}
        for period in self._ticks.levels:
            own = self.on_level(period)
            states = [_state(layers, address).weights for address in own]
            last = [self._last[address] for address in own if address in self._last]
            updates = max(read - 1, 0) // period
            level = self._memories[own[0]].op.text("level")
            found[level] = moves_of_level(states, last, updates)
        return found

    def _moved(
        self, layers: Layers, address: Address, slopes: Slopes, outer: bool
    ) -> ops.OnlineState:
        one, old = self._memories[address], _state(layers, address)
        full = one.pace.gradient == "full"
        with torch.set_grad_enabled(full):
            weights, momentum = ops.online_step(
                old.weights,
                old.momentum,
                slopes,
                one.rates(old),
                steps=one.op.integer("direction", 0),
                grams=old.grams,
            )
        grams = tuple(map(torch.zeros_like, old.grams))
        if not full:
            weights = tuple(weight.detach() for weight in weights)
        if outer and one.pace.gradient == "first_order":
            weights = tuple(map(_following, weights, old.weights))
        return old._replace(weights=_nodes(weights), momentum=momentum, grams=grams)

    def cut(self, layers: Layers) -> Layers:
        """Return all carried states as constants, but for online memories: their `gradient`
        decides.
        """
        return {
            path: {
                name: x if (path, name) in self._memories else detached(x)
                for name, x in states.items()
            }
            for path, states in layers.items()
        }

    def restarted(self, layers: Layers, at: int, first: Callable[[], Layers]) -> Layers:
        """Return the state behind the resets that are due.

        Args:
            layers: the state behind all moves.
            at: the position.
            first: makes the state before the first token, which takes time.
        """
        for address, one in self._memories.items():
            if not one.pace.reset or at % one.pace.reset:
                continue
            state = _state(layers, address)
            origin = first() if one.source is None else layers
            # A node of its own: what others read of the source is no part of its gradient.
            start = tuple(w.clone() for w in _state(origin, one.source or address).weights)
            rest = tuple(map(torch.zeros_like, state.momentum))
            grams = tuple(map(torch.zeros_like, state.grams))
            fresh = ops.OnlineState(_nodes(start), rest, state.rates, grams)
            layers = _with(layers, {address: fresh})
        return layers

    def linked(self, layers: Layers, at: int) -> Layers:
        """Return the state at a tick as the start of a graph: nodes to differentiate by, starts
        tied.

        A memory that has moved since it started, and still has its graph, keeps it.
        """
        for address, one in self._memories.items():
            state, source = _state(layers, address), one.source
            weights = state.weights
            known = not one.pace.is_fresh(at) and any(w.grad_fn is not None for w in weights)
            if source is not None and not known and self._is_tied(address, at):
                weights = tuple(map(_following, weights, _state(layers, source).weights))
            layers = _with(layers, {address: state._replace(weights=_nodes(weights))})
        return layers

    def leaves(self, layers: Layers) -> Layers:
        """Return the state with the weights of online memories as leaves of a graph."""
        states = {address: _state(layers, address) for address in self._memories}
        return _with(layers, {a: s._replace(weights=_leaves(s.weights)) for a, s in states.items()})

    def nodes(self, layers: Layers) -> dict[Address, Parts]:
        """Return the weights of all online memories."""
        return {address: _state(layers, address).weights for address in self._memories}

    def roots(self, *, attached: bool) -> Roots:
        """Return the parameters that an outer gradient at online memories goes to, before updates.

        Args:
            attached: whether they stand at their starts; carried states hang on nothing.
        """
        roots: dict[Address, str | None] = {}
        for address, one in self._memories.items():
            own = address[1] if one.source is None else roots[one.source]
            roots[address] = own if attached else None
        return roots

    def moved_roots(self, roots: Roots, at: int) -> Roots:
        """Return those behind the moves and restarts of a tick."""
        after = dict(roots)
        for address, one in self._memories.items():
            if one.pace.gradient == "none" and self.is_due(address, at):
                after[address] = None
        for address, one in self._memories.items():
            if one.pace.reset and at % one.pace.reset == 0:
                after[address] = address[1] if one.source is None else after[one.source]
        return after

    def own_roots(self, roots: Roots, at: int) -> Roots:
        """Return roots without those of memories whose gradient reaches their source's weights
        anyway.
        """
        return {
            address: None if self._is_tied(address, at) else root for address, root in roots.items()
        }

    def parameter_names(self, address: Address, root: str) -> list[str]:
        """Return names of the parameters that a memory's parts started as."""
        parts = online_memories.part_names(self._memories[address].op)
        return [f"{address[0]}.{root}.{part}" for part in parts]

    def _is_tied(self, address: Address, at: int) -> bool:
        one = self._memories[address]
        return one.source is not None and one.pace.follows(self._memories[one.source].pace, at)

    def all_sums(self, layers: Layers, sums: Sums) -> Sums:
        """Return gradients of past windows as a state holds them: 0 where a period has just
        begun.
        """
        return {
            ".".join(a): sums.get(".".join(a))
            or tuple(torch.zeros_like(w, requires_grad=False) for w in _state(layers, a).weights)
            for a in self._gathering
        }

    def pasts(self, layers: Layers, sums: Sums, *, ours: bool) -> Pasts:
        """Return what the next gradients of memories are added to, where products can do so.

        A memory that started as another hands its gradient on to that one, without a past.

        Args:
            layers: the state that a graph is built from; its gradients are taken once, together.
            sums: gradients of past windows.
            ours: whether these, and weights, may be written to.
        """
        if self.is_full or not self._apart or not self._ticks.horizon:
            return {}
        blank = {a: (None,) * len(_state(layers, a).weights) for a in self.moving}
        known = {a: sums.get(".".join(a), none) for a, none in blank.items()}
        return {a: ops.Gathered(p, ours=ours, apart=a in self._plain) for a, p in known.items()}

    def adding(self, layers: Layers, pasts: Mapping[Address, ops.Gathered | None]) -> Layers:
        """Return the state from which a graph is built whose gradients are added to `pasts`."""
        return _with(layers, {a: _state(layers, a)._replace(past=p) for a, p in pasts.items()})

    def gathered(
        self, sums: Sums, slopes: Mapping[Address, Slopes], pasts: Pasts | None = None
    ) -> dict[Address, Slopes]:
        """Return the gradients of a window, with those of the windows before it in open periods.

        Those of matrices are added up in their own memory: each is a product of its own, unless
        a memory started as another, whose gradient is then the same tensor.

        Args:
            sums: of the windows before.
            slopes: of this one.
            pasts: what is in the slopes already.
        """
        result = dict(slopes)
        for address in self._gathering:
            past, added = sums.get(".".join(address)), (pasts or {}).get(address)
            if past is None:
                continue
            left = past if added is None else added.left
            result[address] = tuple(
                self._added(before, now) for before, now in zip(left, slopes[address], strict=True)
            )
        return result

    def _added(self, before: Tensor | None, now: ops.Slope) -> ops.Slope:
        if before is None:
            return now
        (taken,) = _tensors((now,))
        return taken.add_(before) if self._apart and taken.ndim > 3 else before + taken

    def left(self, gathered: Mapping[Address, Slopes], due: Mapping[Address, Slopes]) -> Sums:
        """Return what stays for later windows, once those that are due have taken theirs."""
        return {".".join(a): _tensors(gathered[a]) for a in self._gathering if a not in due}


def _sources_first(program: Program) -> Iterable[tuple[Address, _Mover]]:
    """Return each memory behind the one that it starts as."""
    ops_by_address = {(path, op.name): op for path, op in online_memories.fast_ops(program)}
    placed: dict[Address, _Mover] = {}
    for address in ops_by_address:
        chain: list[tuple[Address, _Mover]] = []
        at: Address | None = address
        while at is not None:
            op, path = ops_by_address[at], at[0]
            source = (path, op.text("source")) if "source" in op.attrs else None
            chain.append((at, _Mover(op=op, pace=online_memories.pace(op), source=source)))
            at = source
        placed |= dict(reversed(chain))
    return placed.items()


def _state(layers: Layers, address: Address) -> ops.OnlineState:
    state = layers[address[0]][address[1]]
    assert isinstance(state, ops.OnlineState)
    return state


def _with(layers: Layers, states: Mapping[Address, ops.OnlineState]) -> Layers:
    changed: dict[str, dict[str, Any]] = {}
    for (path, name), state in states.items():
        changed.setdefault(path, dict(layers[path]))[name] = state
    return {**layers, **changed}


def _tensors(slopes: Slopes) -> Parts:
    """Return the gradients of a memory that gathers them, whose products were taken."""
    taken = tuple(slope for slope in slopes if isinstance(slope, Tensor))
    assert len(taken) == len(slopes), "products are left to a move at every window alone"
    return taken


def _products(pasts: Pasts | None, address: Address, weights: Parts) -> list[ops.Products | None]:
    if not pasts:
        return [None] * len(weights)
    return [products or None for products in pasts[address].products]


def _slope(weight: Tensor, products: ops.Products | None, slope: Tensor | None) -> ops.Slope:
    if slope is not None:
        return slope
    return products if products is not None else torch.zeros_like(weight)


def _following(value: Tensor, origin: Tensor) -> Tensor:
    """Return `value`, exactly, whose gradient goes to `origin` as it is."""
    return value.detach() + (origin - origin.detach())


def _nodes(weights: Parts) -> Parts:
    """Return weights that a gradient can be asked for."""
    return tuple(w if w.requires_grad else w.detach().requires_grad_() for w in weights)


def _leaves(weights: Parts) -> Parts:
    return tuple(w.detach().requires_grad_() for w in weights)
