"""What the compiled models are held against, written by hand in plain PyTorch.

Written as one would for speed: projections of one flow in one product, rotary angles worked out
once, PyTorch's fused attention and norms.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-6


class AttentionMixer(nn.Module):
    """Norm, query, key, value and gate, causal attention, gate, output, residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.RMSNorm(width, EPS)
        self.into = nn.Linear(width, 4 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x_BTW: Tensor) -> Tensor:
        """Return (batch, time, width) to the same."""
        q, k, v, gate = self.into(self.norm(x_BTW)).chunk(4, -1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        answer: Tensor = self.out(y.transpose(1, 2).flatten(2) * F.silu(gate))
        return x_BTW + answer


class Layer(nn.Module):
    """Attention with rotary positions, then SwiGLU."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1 = nn.RMSNorm(width, EPS)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.norm_2 = nn.RMSNorm(width, EPS)
        self.up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x_BTW: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Return (batch, time, width) to the same."""
        parts = self.qkv(self.norm_1(x_BTW)).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        q, k = turn(q, cos, sin), turn(k, cos, sin)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        h: Tensor = x_BTW + self.out(y.transpose(1, 2).flatten(2))
        a, b = self.up(self.norm_2(h)).chunk(2, -1)
        f: Tensor = self.down(F.silu(a) * b)
        return h + f


def turn(x_BHTD: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return rotary positions, halves paired."""
    low, high = x_BHTD.chunk(2, -1)
    return torch.cat((low * cos - high * sin, high * cos + low * sin), -1)


class Transformer(nn.Module):
    """The network of the `transformer` spec.

    Args:
        vocab: tokens that it knows.
        width: of its flow.
        heads: of attention.
        hidden: width inside SwiGLU.
        depth: layers.
        length: longest sequence.
        dtype: of everything.
    """

    cos: Tensor
    sin: Tensor

    def __init__(
        self,
        *,
        vocab: int,
        width: int,
        heads: int,
        hidden: int,
        depth: int,
        length: int,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.layers = nn.ModuleList(Layer(width, heads, hidden) for _ in range(depth))
        self.norm = nn.RMSNorm(width, EPS)
        half = width // heads // 2
        speeds = 1e4 ** -(torch.arange(half, dtype=torch.float64) / half)
        angles = torch.arange(length)[:, None] * speeds
        self.to(dtype)
        self.register_buffer("cos", angles.cos().to(dtype))
        self.register_buffer("sin", angles.sin().to(dtype))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return scores of the next token after each of (batch, time)."""
        time = tokens.shape[1]
        cos, sin = self.cos[:time], self.sin[:time]
        x = self.embed(tokens)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return F.linear(self.norm(x), self.embed.weight)

    def parts(self) -> Iterator[tuple[str, Tensor, slice]]:
        """Yield each parameter of the spec by its name there: the rows of which parameter it is
        here.
        """
        yield "embed.weight", self.embed.weight, slice(None)
        yield "norm.gain", self.norm.weight, slice(None)
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            for name, parameter, rows in _parts_of(layer):
                yield f"{number}.layer.{name}", parameter, rows


def _parts_of(layer: Layer) -> Iterator[tuple[str, Tensor, slice]]:
    width, hidden = layer.qkv.in_features, layer.down.in_features
    everything = slice(None)
    yield "u.gain", layer.norm_1.weight, everything
    for place, name in enumerate("qkv"):
        yield f"{name}.weight", layer.qkv.weight, slice(place * width, (place + 1) * width)
    yield "o.weight", layer.out.weight, everything
    yield "n.gain", layer.norm_2.weight, everything
    yield "a.weight", layer.up.weight, slice(hidden)
    yield "b.weight", layer.up.weight, slice(hidden, None)
    yield "f.weight", layer.down.weight, everything
