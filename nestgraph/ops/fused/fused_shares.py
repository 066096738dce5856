"""How strongly the events of a segment write and erase, in all layers of `step_math.step` at once.

These are a number or two a token, and a number a pair of tokens: of so few that a call costs more
than its arithmetic. All layers' stand one behind the other. With C = a aᵀ of a layer:

    r = rate / (1 + rate |a|²) if `implicit`, else rate;    e = erase, or r where that isn't given
    L = e (Q[:T, 1:] ∘ C)        P = Q[T, 1:] (I + L)^-1        ã = Pᵀ a

`back` retraces these lines.

Legend: as in `step_math.py`; J the m of all layers: 1 for the first, then M each; I of the erasing.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nestgraph.ops.common.triangular import plain_inverse
from nestgraph.ops.fused.events import Events
from nestgraph.ops.ttt.memory_config import MemoryConfig


class Kept(NamedTuple):
    """What is kept for the backward.

    Attributes:
        shrink: what `implicit` multiplies the rate by, (J, N, T), or None.
        grams: a aᵀ, (I, N, T, T); None where nothing is erased.
        inverse: (I + L)^-1, (I, N, T, T), or None.
    """

    shrink: Tensor | None = None
    grams: Tensor | None = None
    inverse: Tensor | None = None


class Erase(NamedTuple):
    """What the layers that erase need besides.

    Attributes:
        rate: e, (I or 1, N, T).
        start: of what was there before the segment, e Q[:T, 0], (I or 1, N, T).
        push: P, (I, N, T, T).
    """

    rate: Tensor
    start: Tensor
    push: Tensor


class Shares(NamedTuple):
    """All of it; rate is r, (J or 1, N, T)."""

    kept: Kept
    rate: Tensor
    erase: Erase | None


class SharesBack(NamedTuple):
    """Gradients.

    Attributes:
        rate: (N, T).
        erase: (N, T), where it isn't the rate.
        q: (N, T+1, T+1), or its last row alone: (N, 1, T+1).
        grams: what a is multiplied by from the left for its own gradient, (I, N, T, T), or None.
        squares: by what a is multiplied besides where nothing is erased, (J, N, T), or None.
    """

    rate: Tensor
    erase: Tensor | None
    q: Tensor
    grams: Tensor | None
    squares: Tensor | None


def shares_of(
    config: MemoryConfig, events: Events, inputs: list[Tensor], kept: Kept | None = None
) -> Shares:
    """Return shares from the inputs of each layer, (n, T, in); `kept` spares grams and inverses."""
    shrink, grams, inverse = kept or (*_squares(config, events, inputs), None)
    q, rate = events.q, events.rate.unsqueeze(0)
    rate = rate if shrink is None else rate * shrink
    if grams is None:
        return Shares(Kept(shrink), rate, None)
    erase = rate[: len(grams)] if events.erase is None else events.erase.unsqueeze(0)
    if inverse is None:
        lower = (grams * q[:, :-1, 1:]).mul_(erase.unsqueeze(-1))
        inverse = events.spread(plain_inverse(lower.flatten(0, 1)))
    push = inverse * q[:, -1, 1:, None]
    return Shares(Kept(shrink, grams, inverse), rate, Erase(erase, erase * q[:, :-1, 0], push))


def _squares(
    config: MemoryConfig, events: Events, inputs: list[Tensor]
) -> tuple[Tensor | None, Tensor | None]:
    """Return what `implicit` shrinks rates by, and a aᵀ of the layers that erase."""
    erased = [a for layer, a in enumerate(inputs) if config.erases(layer)]
    grams = None
    if erased:
        grams = events.spread(_joined([torch.bmm(a, a.mT) for a in erased]))
    if not config.implicit:
        return None, grams
    squares = [] if grams is None else [grams.diagonal(0, -2, -1)]
    squares += [events.spread((a * a).sum(-1)) for a in inputs[len(erased) :]]
    return (events.rate * _joined(squares)).add_(1).reciprocal_(), grams


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


class Reached(NamedTuple):
    """What the last line of the step asks of all layers, each with its sign turned.

    Attributes:
        rate: d of r, (J, N, T).
        start: d of e Q[:T, 0], (I, N, T), or None.
        push: d of P, (I, N, T, T), or None.
        ends: d of Q[T, 1:] apart from P, (N, T), or None.
    """

    rate: Tensor
    start: Tensor | None
    push: Tensor | None
    ends: Tensor | None


def back(
    config: MemoryConfig, events: Events, shares: Shares, reached: Reached, whole: Tensor
) -> SharesBack:
    """Carry gradients back through `shares_of`; `whole` is d of Q[T, 0] from what is kept of the
    weights, (N,).
    """
    d_rate, d_erase, d_grams = -reached.rate, None, None
    if shares.erase is None:
        assert reached.ends is not None
        d_q = torch.cat((whole.unsqueeze(-1), -reached.ends), 1).unsqueeze(1)
    else:
        d_q, d_erase, d_grams = _back_erase(events, shares.kept, shares.erase, reached)
        d_q[:, -1, 0] = whole
        if events.erase is None:
            d_rate[: len(d_erase)] += d_erase
    squares = None
    if shares.kept.shrink is not None:
        # r' = r / (1 + r |a|²): its derivatives are shrink² and -r'².
        squares = (shares.rate.square() * d_rate).mul_(-2)
        d_rate.mul_(shares.kept.shrink).mul_(shares.kept.shrink)
        if d_grams is not None:
            d_grams.diagonal(0, -2, -1).add_(squares[: len(d_grams)])
    own_erase = None if d_erase is None or events.erase is None else d_erase.sum(0)
    return SharesBack(d_rate.sum(0), own_erase, d_q, d_grams, squares)


def _back_erase(
    events: Events, kept: Kept, erase: Erase, reached: Reached
) -> tuple[Tensor, Tensor, Tensor]:
    """Return d of Q but for its first number of the last row, of e (I, N, T), of a aᵀ and its
    transpose.

    As d(I + L)^-1 = -(I + L)^-1 dL (I + L)^-1, that of L is Pᵀ (-d_P) (I + L)^-ᵀ.
    """
    grams, inverse = kept.grams, kept.inverse
    assert grams is not None
    assert inverse is not None
    assert reached.start is not None
    assert reached.push is not None
    rate, q = erase.rate.unsqueeze(-1), events.q[:, :-1, 1:]
    d_q = torch.empty_like(events.q)
    ends = (reached.push * inverse).sum(-1).sum(0)
    ends = ends if reached.ends is None else ends + reached.ends
    torch.neg(ends, out=d_q[:, -1, 1:])
    torch.neg((reached.start * erase.rate).sum(0), out=d_q[:, :-1, 0])
    pushed = torch.bmm(erase.push.flatten(0, 1).mT, reached.push.flatten(0, 1))
    d_lower = events.spread(torch.bmm(pushed, inverse.flatten(0, 1).mT))
    by_gram = d_lower * grams
    d_q[:, :-1, 1:] = (by_gram * rate).sum(0)
    d_erase = by_gram.mul_(q).sum(-1).addcmul_(reached.start, events.q[:, :-1, 0], value=-1)
    d_grams = d_lower.mul_(q).mul_(rate)
    return d_q, d_erase, d_grams + d_grams.mT
