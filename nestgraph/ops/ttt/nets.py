"""The net that a state parametrises, asked as it stands.

One autograd node a question, with members outermost inside: that is how `fused.step` leaves the
weights, so they are never copied. Who asks before a write hands the weights on through that node,
which adds its gradients to those of the write (`gifts.py`).

Legend: B batch, H heads, M stacked memories, G = M·B·H, T tokens, D key width, E value width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nestgraph.ops.common.layout import innermost, outermost, rows_of
from nestgraph.ops.fused.gifts import Gift, gift_of, give, is_given
from nestgraph.ops.ttt.memory_config import MemoryConfig, State
from nestgraph.ops.ttt.net_norms import Slow, normed


def answer(config: MemoryConfig, weights: tuple[Tensor, ...], x: Tensor, slow: Slow = ()) -> Tensor:
    """Return norm(W_L s(... s(W_0 x + b_0)) + b_L), plus x if the net is residual.

    Args:
        config: what the memories are.
        weights: each layer's (B, H, M, out, in), input side first, then the biases.
        x: queries (B, H, T, D) shared by the members, or (B, H, M, T, D).
        slow: gain and shift of the norm.

    Returns:
        (B, H, M, T, E). 2 FLOPs a weight and token, 4 more backward; keeps every layer's
        output but the last.
    """
    if not config.is_plain_net:
        return _general(config, weights, x, slow)
    y: Tensor = _Answer.apply(config, None, x, *weights)[0]  # type: ignore[no-untyped-call]
    return y


def ask(config: MemoryConfig, state: State, x: Tensor, slow: Slow = ()) -> tuple[Tensor, State]:
    """Return `answer` of the weights of the last tick, and the same state, to be written to next.

    The gradient of these weights is then made in place: one pass less over each.
    """
    if not config.is_plain_net:
        return answer(config, state.anchor, x, slow), state
    parts = config, gift_of(state.anchor), x, *state.anchor
    y, *handed_on = _Answer.apply(*parts)  # type: ignore[no-untyped-call]
    anchor = tuple(handed_on)
    just_ticked = state.running is state.anchor
    running = anchor if just_ticked else state.running
    return y, state._replace(running=running, anchor=anchor)


def _general(config: MemoryConfig, weights: tuple[Tensor, ...], x: Tensor, slow: Slow) -> Tensor:
    rows = a = x.unsqueeze(2) if x.dim() == 4 else x
    biases = weights[config.layers :]
    for layer, weight in enumerate(weights[: config.layers]):
        a = config.nonlinearity.value(a) if layer else a
        a = a @ weight.mT
        a = a + biases[layer].mT if config.bias else a
    y = normed(config, a, slow)
    return rows + y if config.adds_input else y


class _Answer(torch.autograd.Function):
    """The answer, and the weights as they were given."""

    @staticmethod
    def forward(
        ctx: Any, config: MemoryConfig, before: Gift | None, x: Tensor, *weights: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.config, ctx.shared, ctx.shape = config, x.dim() == 4, x.shape[:2]
        ctx.gift, ctx.before = Gift(private=True), before
        ctx.set_materialize_grads(False)
        stacks = [outermost(weight) for weight in weights]
        rows = a = _rows(x, weights[0].shape[2])
        outputs: list[Tensor] = []
        for stack in stacks[:-1]:
            outputs.append(torch.bmm(a, stack.mT))
            a = config.nonlinearity.value(outputs[-1])
        # Inputs are quicker to make again than to fetch.
        ctx.save_for_backward(x, *stacks, *outputs)
        last = stacks[-1].mT
        y = torch.baddbmm(rows, a, last) if config.adds_input else torch.bmm(a, last)
        return innermost(y, *ctx.shape), *weights

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, d_answer: Tensor | None, *d_handed_on: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        config: MemoryConfig = ctx.config
        given = ctx.gift.take()
        if d_answer is None:
            return None, None, None, *d_handed_on
        x, *saved = ctx.saved_tensors
        stacks, outputs = saved[: config.layers], saved[config.layers :]
        value, slope = config.nonlinearity.value, config.nonlinearity.times_slope
        inputs = [_rows(x, len(stacks[0]) // (x.shape[0] * x.shape[1])), *map(value, outputs)]
        d_y = d_z = outermost(d_answer)
        d_weights: list[Tensor] = []
        for layer in range(config.layers - 1, -1, -1):
            d_weight = _added(d_handed_on[layer], d_z.mT, inputs[layer], given)
            d_weights.insert(0, innermost(d_weight, *ctx.shape))
            d_z = torch.bmm(d_z, stacks[layer])
            if layer:
                d_z = slope(d_z, outputs[layer - 1], inputs[layer])
        d_x = innermost(d_z.add_(d_y) if config.adds_input else d_z, *ctx.shape)
        made = give(ctx.before, tuple(d_weights))
        return None, None, d_x.sum(2) if ctx.shared else d_x, *made


def _added(before: Tensor | None, left: Tensor, right: Tensor, given: tuple[Tensor, ...]) -> Tensor:
    """Return left @ right (G, E, D), and what else was said of the weight, (B, H, M, E, D)."""
    if before is None:
        return torch.bmm(left, right)
    if is_given(before, given):
        return outermost(before).baddbmm_(left, right)
    return torch.baddbmm(outermost(before), left, right)


def _rows(x: Tensor, members: int) -> Tensor:
    """Return queries (B, H, T, D), or (B, H, M, T, D), as (G, T, D)."""
    return rows_of(x, None, members) if x.dim() == 4 else outermost(x)
