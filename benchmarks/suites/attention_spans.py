"""Attention that sees less than everything: windows and periods, against a dense mask.

The mixers differ from the attention mixer in what their queries see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import flops
from benchmarks.mixers import merge, mixer_step, same_numbers, split
from benchmarks.steps import Product, Size, Step
from benchmarks.suites import Comparison, Side
from benchmarks.suites.gated_deltanet import attention_step
from nestgraph import ops

SHORT, LONG = Size(), Size(batch=1, time=8192)
SPANS = {"window": 64, "period": 64}


def comparisons(sizes: tuple[Size, ...] = (SHORT, LONG)) -> list[Comparison]:
    """Return windows, then periods, at each size."""
    return [compare(size, kind) for size in sizes for kind in SPANS]


def compare(size: Size, kind: str) -> Comparison:
    """Return attention over everything, the kernel, and a mask over all pairs."""
    span = min(SPANS[kind], size.time)
    attention, mine = flops.attention_mixer(size), count(size, kind, span)
    kernel, dense = (partial(step, size, kind, span, way) for way in (spans, masked))
    return Comparison(
        title=f"attention mixer with a {kind} of {span} against one that sees everything",
        size=size,
        sides=(
            Side(name="attention", build=partial(attention_step, size), flops=attention.total),
            Side(name=kind, build=kernel, flops=mine.total),
            Side(name="mask over all pairs", build=dense),
            Side(name="one product, 1024³", build=Product, flops=Product.flops),
        ),
        notes=(*attention.lines("attention"), *mine.lines(kind), flops.RULES),
        check=lambda: same_numbers(kernel(), dense()),
    )


def step(size: Size, kind: str, span: int, way: Callable[..., Tensor]) -> Step:
    """Return a mixer around one way to attend."""

    def kernel(flows: Mapping[str, Tensor]) -> Tensor:
        q, k, v = (split(flows[name], size.heads) for name in "qkv")
        return merge(way(q, k, v, kind, span))

    return mixer_step(size, dict.fromkeys("qkv", size.width), size.width, kernel)


def spans(q: Tensor, k: Tensor, v: Tensor, kind: str, span: int) -> Tensor:
    """Return the kernel, from an empty cache."""
    window, period = (span, None) if kind == "window" else (None, span)
    past = k.detach()[:, :, :0]
    answer, *_ = ops.attend(q, k, v, past, past, window=window, period=period)
    return answer


def masked(q: Tensor, k: Tensor, v: Tensor, kind: str, span: int) -> Tensor:
    """Return PyTorch's attention under a mask."""
    now = torch.arange(q.shape[2])
    query, event = now.unsqueeze(1), now
    near = event > query - span if kind == "window" else event >= query // span * span
    return F.scaled_dot_product_attention(q, k, v, attn_mask=near & (event <= query))


def count(size: Size, kind: str, span: int) -> flops.Count:
    """Return the pairs of queries and events that they see."""
    seen = span - span * (span - 1) / (2 * size.time) if kind == "window" else (span + 1) / 2
    projections = flops.attention_mixer(size).parts[0]
    pairs = flops.Part(
        name="scores and answers",
        formula=f"2 · 2 W · {seen:.1f} events seen",
        flops=2 * 2 * size.width * seen,
    )
    return flops.Count(tokens=size.tokens, parts=(projections, pairs))
