"""Parts of models written out for tests: projections, norms, rotations, attention, small nets.

Flows are (batch, time, width), within heads (batch, time, heads, width); `w` holds parameters by
name. Slopes are derived by hand: nothing here uses autograd or the package.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-6

Weights = Mapping[str, Tensor]


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    return F.linear(x, w[f"{name}.weight"])


def conv(w: Weights, name: str, x: Tensor) -> Tensor:
    taps = w[f"{name}.weight"]
    return F.conv1d(F.pad(x.mT, (taps.shape[1] - 1, 0)), taps[:, None], groups=len(taps)).mT


def runs(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1))


def rms(w: Weights, name: str, x: Tensor, heads: int = 1) -> Tensor:
    y = F.rms_norm(runs(x, heads), (x.shape[-1] // heads,), eps=EPSILON)
    return y.flatten(-2) * w[f"{name}.gain"]


def layer_norm(w: Weights, name: str, x: Tensor, heads: int = 1) -> Tensor:
    y = F.layer_norm(runs(x, heads), (x.shape[-1] // heads,), eps=EPSILON).flatten(-2)
    return y * w[f"{name}.gain"] + w[f"{name}.shift"]


def unit(x: Tensor, heads: int) -> Tensor:
    y = runs(x, heads)
    return (y / (y.square().sum(-1, keepdim=True) + EPSILON).sqrt()).flatten(-2)


def polynomial(w: Weights, name: str, x: Tensor) -> Tensor:
    return sum(c * x**i for i, c in enumerate(w[f"{name}.coefficients"]))


def rotate(x: Tensor, heads: int, period: int | None = None) -> Tensor:
    """Return rotary positions as products of complex numbers."""
    y = runs(x, heads)
    half = y.shape[-1] // 2
    position = torch.arange(x.shape[1], dtype=x.dtype)
    position = position if period is None else position % period
    speed = 10_000.0 ** (-torch.arange(half, dtype=x.dtype) / half)
    turn = torch.polar(torch.ones(1, dtype=x.dtype), position[:, None] * speed)[:, None]
    pairs = torch.complex(y[..., :half], y[..., half:]) * turn
    return torch.cat((pairs.real, pairs.imag), -1).flatten(-2)


def attention(
    q: Tensor, k: Tensor, v: Tensor, heads: int, seen: Tensor, entries: Sequence[Tensor] = ()
) -> Tensor:
    """Return softmax attention; `seen` is (time, events), entries (heads, n, width) are always
    seen.
    """
    q, k, v = (runs(x, heads).transpose(1, 2) for x in (q, k, v))
    if entries:
        learned = [e.expand(len(q), *e.shape) for e in entries]
        k, v = torch.cat((learned[0], k), 2), torch.cat((learned[1], v), 2)
        always = torch.ones(len(seen), entries[0].shape[1], dtype=torch.bool)
        seen = torch.cat((always, seen), 1)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return y.transpose(1, 2).flatten(2)


def times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix * vector[..., None, :]).sum(-1)


def outer(left: Tensor, right: Tensor) -> Tensor:
    return left[..., :, None] * right[..., None, :]


def wide(number: Tensor, like: Tensor) -> Tensor:
    """Return (batch, heads) over whatever leads with them."""
    return number.reshape(*number.shape, *[1] * (like.ndim - 2))


def silu(z: Tensor) -> tuple[Tensor, Tensor]:
    s = z.sigmoid()
    return z * s, s * (1 + z * (1 - s))


def gelu(z: Tensor) -> tuple[Tensor, Tensor]:
    below = (1 + torch.erf(z / math.sqrt(2))) / 2
    return z * below, below + z * torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)


def gelu_tanh(z: Tensor) -> tuple[Tensor, Tensor]:
    c = math.sqrt(2 / math.pi)
    t = torch.tanh(c * (z + 0.044715 * z**3))
    inner = c * (1 + 3 * 0.044715 * z.square())
    return z * (1 + t) / 2, (1 + t) / 2 + z * (1 - t.square()) * inner / 2


@dataclass
class Deep:
    """norm(W1 σ(W0 x)), plus x with a residual, and its slopes where `error` is the loss's."""

    act: Callable[[Tensor], tuple[Tensor, Tensor]]
    norm: str = "none"
    gain: Tensor | None = None
    shift: Tensor | float = 0.0
    residual: bool = True

    def answer(self, w: Sequence[Tensor], x: Tensor) -> Tensor:
        y = self._normed(times(w[1], self.act(times(w[0], x))[0]))[0]
        return x + y if self.residual else y

    def slopes(
        self, w: Sequence[Tensor], k: Tensor, error: Callable[[Tensor], Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return ∂/∂W0 and ∂/∂W1, and what each layer was given."""
        h, bend = self.act(times(w[0], k))
        y, unit, root = self._normed(times(w[1], h))
        d = error(k + y if self.residual else y)
        if self.norm != "none":
            assert self.gain is not None
            d = d * self.gain
            along = (d * unit).mean(-1, keepdim=True) * unit
            level = d.mean(-1, keepdim=True) if self.norm == "layer_norm" else 0.0
            d = (d - level - along) / root
        return [outer(bend * times(w[1].mT, d), k), outer(d, h)], [k, h]

    def _normed(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.norm == "none":
            return z, z, z
        centred = z - z.mean(-1, keepdim=True) if self.norm == "layer_norm" else z
        root = (centred.square().mean(-1, keepdim=True) + EPSILON).sqrt()
        assert self.gain is not None
        return centred / root * self.gain + self.shift, centred / root, root
