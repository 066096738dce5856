"""What retention leaves of the events and of the first state within chunks, in its three forms.

One number a head goes through the products between positions (`ratios`); one a key channel
through `key_products`; and one a channel that may be zero or negative through explicit products,
which are worked out twice instead of kept. All answer the same three questions.

Legend: G groups, N chunks, C positions of a chunk, a rows and b columns a position, D key width.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nestgraph.ops.delta_rule.decay import ratios
from nestgraph.ops.diagonal_delta_rule.key_products import key_products
from nestgraph.ops.history.decay_matrix import earlier

SIGNED_CHUNK = 8
"""Explicit products take C·D numbers a position."""
SIGNED_NUMBERS = 1 << 22
"""At most so many of them at once."""


class Decay(Protocol):
    """Retention within chunks."""

    def products(self, x_GNCaD: Tensor, y_GNCbD: Tensor) -> Tensor:
        """Return Σ_d x_t y_i Π_{i<s<t} α_s for i < t, else 0; (G, N, C·a, C·b)."""

    def since_start(self, x_GNCaD: Tensor) -> Tensor:
        """Return x_t times Π_{s<t} α_s."""

    def until_end(self, y_GNCbD: Tensor) -> Tensor:
        """Return y_i times Π_{s>i} α_s."""

    def whole(self) -> Tensor | None:
        """Return Π α over a chunk, (G, N) or (G, N, D); None if nothing fades."""


class NoDecay:
    """Nothing fades."""

    def products(self, x_GNCaD: Tensor, y_GNCbD: Tensor) -> Tensor:
        """See `Decay`."""
        return _strict(x_GNCaD, y_GNCbD)

    def since_start(self, x_GNCaD: Tensor) -> Tensor:
        """See `Decay`."""
        return x_GNCaD

    def until_end(self, y_GNCbD: Tensor) -> Tensor:
        """See `Decay`."""
        return y_GNCbD

    def whole(self) -> Tensor | None:
        """See `Decay`."""
        return None


class HeadDecay:
    """One number a head, (G, N, C)."""

    def __init__(self, alpha_GNC: Tensor, *, signed: bool) -> None:
        self.events, self.start = ratios(alpha_GNC, signed)

    def products(self, x_GNCaD: Tensor, y_GNCbD: Tensor) -> Tensor:
        """See `Decay`."""
        left = earlier(self.events, 0.0)
        rows, columns = x_GNCaD.shape[3], y_GNCbD.shape[3]
        wide = left.repeat_interleave(rows, -2).repeat_interleave(columns, -1)
        products: Tensor = (_flat(x_GNCaD) @ _flat(y_GNCbD).mT) * wide
        return products

    def since_start(self, x_GNCaD: Tensor) -> Tensor:
        """See `Decay`."""
        return x_GNCaD * earlier(self.start.unsqueeze(-1), 1.0).unsqueeze(-1)

    def until_end(self, y_GNCbD: Tensor) -> Tensor:
        """See `Decay`."""
        return y_GNCbD * self.events[..., -1, :, None, None]

    def whole(self) -> Tensor:
        """See `Decay`."""
        return self.start[..., -1]


class KeyDecay:
    """One positive number a key channel, (G, N, C, D)."""

    def __init__(self, alpha_GNCD: Tensor) -> None:
        tiny = torch.finfo(alpha_GNCD.dtype).tiny
        self.sums = alpha_GNCD.clamp_min(tiny).log().cumsum(-2)

    def products(self, x_GNCaD: Tensor, y_GNCbD: Tensor) -> Tensor:
        """See `Decay`."""
        flat = (x.flatten(0, 1) for x in (x_GNCaD, y_GNCbD, self.sums))
        products: Tensor = key_products(*flat)
        split: Tensor = products.view(*x_GNCaD.shape[:2], *products.shape[1:])
        return split

    def since_start(self, x_GNCaD: Tensor) -> Tensor:
        """See `Decay`."""
        return x_GNCaD * earlier(self.sums.exp(), 1.0).unsqueeze(-2)

    def until_end(self, y_GNCbD: Tensor) -> Tensor:
        """See `Decay`."""
        return y_GNCbD * (self.sums[..., -1:, :] - self.sums).exp().unsqueeze(-2)

    def whole(self) -> Tensor:
        """See `Decay`."""
        return self.sums[..., -1, :].exp()


class SignedKeyDecay:
    """One number of any sign a key channel, (G, N, C, D)."""

    def __init__(self, alpha_GNCD: Tensor) -> None:
        self.alpha = alpha_GNCD
        self.start = alpha_GNCD.cumprod(-2)
        after = torch.cat((alpha_GNCD, torch.ones_like(alpha_GNCD[..., :1, :])), -2)[..., 1:, :]
        self.end = after.flip(-2).cumprod(-2).flip(-2)

    def products(self, x_GNCaD: Tensor, y_GNCbD: Tensor) -> Tensor:
        """See `Decay`."""
        size, width = self.alpha.shape[2:]
        rows = max(1, SIGNED_NUMBERS // (size * size * width))
        flat = (x.flatten(0, 1).split(rows) for x in (x_GNCaD, y_GNCbD, self.alpha))
        parts = [
            checkpoint(_explicit, *piece, use_reentrant=False) for piece in zip(*flat, strict=True)
        ]
        products = torch.cat(parts)
        return products.view(*x_GNCaD.shape[:2], *products.shape[1:])

    def since_start(self, x_GNCaD: Tensor) -> Tensor:
        """See `Decay`."""
        return x_GNCaD * earlier(self.start, 1.0).unsqueeze(-2)

    def until_end(self, y_GNCbD: Tensor) -> Tensor:
        """See `Decay`."""
        return y_GNCbD * self.end.unsqueeze(-2)

    def whole(self) -> Tensor:
        """See `Decay`."""
        return self.start[..., -1, :]


def _explicit(x_MCaD: Tensor, y_MCbD: Tensor, alpha_MCD: Tensor) -> Tensor:
    events, _ = ratios(alpha_MCD.mT, signed=True)
    found = torch.einsum("mtad,mdti,mibd->mtaib", x_MCaD, earlier(events, 0.0), y_MCbD)
    return found.flatten(3, 4).flatten(1, 2)


def _strict(x_GNCaD: Tensor, y_GNCbD: Tensor) -> Tensor:
    """Return x yᵀ where the row's position is later."""
    size, rows, columns = x_GNCaD.shape[2], x_GNCaD.shape[3], y_GNCbD.shape[3]
    ones = torch.ones(size, size, dtype=x_GNCaD.dtype, device=x_GNCaD.device).tril(-1)
    wide = ones.repeat_interleave(rows, -2).repeat_interleave(columns, -1)
    return (_flat(x_GNCaD) @ _flat(y_GNCbD).mT) * wide


def _flat(x_GNCaD: Tensor) -> Tensor:
    """Return (G, N, C·a, D)."""
    return x_GNCaD.flatten(2, 3)
