"""`fused_periods.py` as one node of the autograd graph.

Legend: as there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nestgraph.ops.fused.fused_periods import Buffers, Flows, Maybe, Stack
from nestgraph.ops.fused.fused_periods_bwd import Back
from nestgraph.ops.history.shared_base_weights import Book
from nestgraph.ops.ttt.memory_config import MemoryConfig


def fused_events(
    config: MemoryConfig, flows: Flows, books: tuple[Book, ...], parts: tuple[Tensor, ...]
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return inputs (G, T, I) and writes (G, T, O) of every layer.

    Args:
        config: one that `can_fuse_periods`.
        flows: what is learned.
        books: where products are noted that are gradients of the parts, for each layer.
        parts: W of every layer, then S of every layer if there is momentum, (G, O, I).
    """
    found = _Events.apply(config, books, *flows, *parts)  # type: ignore[no-untyped-call]
    return (flows.keys, *found[config.layers :]), found[: config.layers]


class _Events(torch.autograd.Function):
    """`found` are writes of all layers, then inputs of all but the first."""

    @staticmethod
    def forward(
        ctx: Any, config: MemoryConfig, books: tuple[Book, ...], *given: Any
    ) -> tuple[Tensor, ...]:
        flows, parts = Flows(*given[: len(Flows._fields)]), given[len(Flows._fields) :]
        weights, speeds = list(parts[: config.layers]), list(parts[config.layers :])
        buffers = Buffers.of(flows, weights)
        stack = Stack(flows, buffers, weights, speeds)
        for index, rows in enumerate(stack.rows.unbind(1)):
            stack.add_period(config, index, rows)
        ctx.config, ctx.books = config, books
        found = (*buffers.writes, *buffers.inputs[1:])
        kept = (*buffers.outputs, *buffers.backs, buffers.top, *buffers.met, *buffers.met_back)
        ctx.save_for_backward(*given, *found, *kept)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *d_found: Tensor) -> tuple[Maybe, ...]:
        layers, saved = ctx.config.layers, list(ctx.saved_tensors)

        def take(count: int) -> list[Any]:
            taken, saved[:count] = saved[:count], []
            return taken

        flows = Flows(*take(len(Flows._fields)))
        parts = take(len(saved) - (6 * layers - 3))
        writes, inputs = take(layers), [flows.keys, *take(layers - 1)]
        outputs, backs = take(layers - 1), take(layers - 1)
        top, met = saved.pop(0), take(layers)
        buffers = Buffers(inputs, outputs, backs, top, writes, met, saved)
        stack = Stack(flows, buffers, parts[:layers], parts[layers:])
        back = Back.of(ctx.config, stack, d_found)
        for index in range(flows.periods - 1, -1, -1):
            back.period(index)
        back.note(ctx.books)
        return None, None, *back.flows(), *[None for _ in parts]
