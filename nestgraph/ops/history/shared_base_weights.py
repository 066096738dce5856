"""The matrices that a segment starts from, asked many times and moved once.

A memory's matrices are large beside a segment's tokens, so that each pass over them counts. Rows
go through W and S, the momentum, as

    y = b x Wᵀ + c x Sᵀ        or back as        y = b x W + c x S

and the segment ends as in `segment_end.py`. The graph would make a gradient of W of its own for
every one of these, and add them up one by one. Here those who ask only note their rows; the node
that let them in takes all products at once, and adds them to the gradient that the end made, in
place.

Legend: B batch, H heads, M members (the outermost axis here), G = M·B·H, R rows, J events, D width
of a row, E of an answer. FLOPs a row and number of W, with momentum: 4 to ask, 8 its backward.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nestgraph.ops.common.layout import innermost, outermost
from nestgraph.ops.fused.gifts import Gift, gift_of, give, is_given
from nestgraph.ops.ttt import segment_end
from nestgraph.ops.ttt.segment_end import Left, NewMatrix


class Share(NamedTuple):
    """How much of W and of S each row asks.

    Attributes:
        weights: b, (G, R, 1); None is 1.
        speed: c, (G, R - late, 1); None asks W alone.
        late: how many rows ask W alone before others ask S too.
    """

    weights: Tensor | None = None
    speed: Tensor | None = None
    late: int = 0


class SharedBaseWeights:
    """W and S of one layer, as a segment finds them.

    Args:
        weights_BHMED: W.
        speed_BHMED: S, or None.
    """

    def __init__(self, weights_BHMED: Tensor, speed_BHMED: Tensor | None) -> None:
        parts = (weights_BHMED,) if speed_BHMED is None else (weights_BHMED, speed_BHMED)
        self.shape = weights_BHMED.shape[:2]
        self.book = Book()
        gifts = tuple(gift_of((part,)) for part in parts)
        self.parts: tuple[Tensor, ...] = _Open.apply(self.book, gifts, *parts)  # type: ignore[no-untyped-call]

    @property
    def members(self) -> int:
        """M."""
        return len(self.parts[0]) // self.shape.numel()

    def ask(self, x_GRD: Tensor, share: Share, *, back: bool = False) -> Tensor:
        """Return rows through the matrices, or back through them: (G, R, E)."""
        parts = self.parts if share.speed is not None else self.parts[:1]
        how = self.book, share.late, back
        y: Tensor = _Ask.apply(how, x_GRD, share.weights, share.speed, *parts)  # type: ignore[no-untyped-call]
        return y

    def moved(self, a_GJD: Tensor, u_GJE: Tensor, left: Left) -> tuple[Tensor, Tensor | None]:
        """Return W and S behind the segment, (B, H, M, E, D) each."""
        new = _End.apply(self.shape, a_GJD, u_GJE, *left, *self.parts)  # type: ignore[no-untyped-call]
        return new if len(self.parts) == 2 else (new[0], None)


class Book:
    """Products Σ l rᵀ that belong to the gradients of W and of S, during one backward."""

    def __init__(self) -> None:
        self._pairs: tuple[list[tuple[Tensor, Tensor]], ...] = ([], [])
        self._pass = -1

    def note(self, part: int, l_GRE: Tensor, r_GRD: Tensor) -> None:
        """Add another product; what a backward left that didn't ask for these gradients is
        dropped.
        """
        now = _this_backward()
        if now != self._pass:
            self._pairs, self._pass = ([], []), now
        self._pairs[part].append((l_GRE, r_GRD))

    def take(self, part: int) -> list[tuple[Tensor, Tensor]]:
        """Return all that this backward noted."""
        if self._pass != _this_backward():
            return []
        pairs, self._pairs[part][:] = list(self._pairs[part]), []
        return pairs


def _this_backward() -> int:
    """Return a number that each call of backward has for itself."""
    return torch._C._current_graph_task_id()


class _Open(torch.autograd.Function):
    """Lets readers in; W and S as stacks of matrices."""

    @staticmethod
    def forward(
        ctx: Any, book: Book, before: tuple[Gift | None, ...], *parts: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.book, ctx.before, ctx.shape = book, before, parts[0].shape[:2]
        ctx.gift = Gift(private=True)
        ctx.set_materialize_grads(False)
        return tuple(outermost(part) for part in parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *d_parts: Tensor | None) -> tuple[Tensor | None, ...]:
        given, found = ctx.gift.take(), []
        for part, (d_part, before) in enumerate(zip(d_parts, ctx.before, strict=True)):
            whole = _with_products(d_part, ctx.book.take(part), given)
            whole = None if whole is None else innermost(whole, *ctx.shape)
            found.append(None if whole is None else give(before, (whole,))[0])
        return None, None, *found


def _with_products(
    d_GED: Tensor | None, pairs: list[tuple[Tensor, Tensor]], given: tuple[Tensor, ...]
) -> Tensor | None:
    ours = is_given(d_GED, given)
    for left, right in pairs:
        if d_GED is None:
            d_GED = torch.bmm(left.mT, right)
        elif ours:
            d_GED.baddbmm_(left.mT, right)
        else:
            d_GED = torch.baddbmm(d_GED, left.mT, right)
        ours = True
    return d_GED


class _Ask(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        how: tuple[Book, int, bool],
        x: Tensor,
        of_weights: Tensor | None,
        of_speed: Tensor | None,
        *parts: Tensor,
    ) -> Tensor:
        ctx.how = how
        ctx.save_for_backward(x, of_weights, of_speed, *parts)
        _, late, back = how
        weights, *speed = parts if back else [part.mT for part in parts]
        y = torch.bmm(_scaled(x, of_weights), weights)
        if of_speed is not None:
            y[:, late:].baddbmm_(x[:, late:] * of_speed, speed[0])
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor | None, ...]:
        x, of_weights, of_speed, *parts = ctx.saved_tensors
        book, late, back = ctx.how
        weights, *speed = [part.mT for part in parts] if back else parts

        def note(part: int, rows: Tensor, d_rows: Tensor) -> None:
            book.note(part, *((rows, d_rows) if back else (d_rows, rows)))

        note(0, _scaled(x, of_weights), d_y)
        d_x, d_of_weights, d_of_speed = torch.bmm(d_y, weights), None, None
        if of_weights is not None:
            d_of_weights = (x * d_x).sum(-1, keepdim=True)
            d_x.mul_(of_weights)
        if of_speed is not None:
            few, d_few = x[:, late:], d_y[:, late:]
            note(1, few * of_speed, d_few)
            through = torch.bmm(d_few, speed[0])
            d_of_speed = (few * through).sum(-1, keepdim=True)
            d_x[:, late:].addcmul_(through, of_speed)
        return None, d_x, d_of_weights, d_of_speed, *[None for _ in parts]


def _scaled(x: Tensor, factor: Tensor | None) -> Tensor:
    return x if factor is None else x * factor


class _End(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, shape: torch.Size, a: Tensor, u: Tensor, starts: Tensor, ends: Tensor, *parts: Any
    ) -> tuple[Tensor, ...]:
        ctx.gift, ctx.before, ctx.shape = Gift(private=False), gift_of(parts), shape
        ctx.save_for_backward(a, u, starts, ends, *parts)
        moved = segment_end.moved(list(parts), a, u, Left(starts, ends))
        return tuple(innermost(x, *shape) for x in moved)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *d_new: Tensor) -> tuple[Tensor | None, ...]:
        a, u, starts, ends, *parts = ctx.saved_tensors
        given = ctx.gift.take()
        new = [NewMatrix(outermost(x), ours=is_given(x, given)) for x in d_new]
        found = segment_end.back(parts, a, u, Left(starts, ends), new)
        d_starts = found.starts[..., None, None]
        ends = found.ends.unsqueeze(-1)
        return None, found.inputs, found.writes, d_starts, ends, *give(ctx.before, found.parts)
