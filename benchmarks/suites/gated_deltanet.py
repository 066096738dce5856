"""The compiled gated-deltanet mixer, values as wide as the flow, against an attention mixer.

Both go from a flow to a flow with norm, query, key, value, gate and output projections; the
gated one also has its convolutions, key and query norms, rates and the norm of its answer. The
second table leaves all that out: the two kernels on ready queries, keys and values.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import plain
from benchmarks.compiled import CompiledLayer, system_of
from benchmarks.steps import Size, Step, flow
from benchmarks.suites import Comparison, Side
from nestgraph import ops

SHORT, LONG = Size(), Size(batch=1, time=8192)
GOALS = {SHORT: 0.7, LONG: 1.4}


def comparisons(sizes: tuple[Size, ...] = (SHORT, LONG)) -> list[Comparison]:
    """Return mixers, then kernels, at each size."""
    return [compare(size) for size in sizes for compare in (mixers, kernels)]


def mixers(size: Size) -> Comparison:
    """Return the whole layers."""
    return Comparison(
        title="gated-deltanet mixer against attention mixer",
        size=size,
        sides=(
            Side(name="attention", build=partial(attention_step, size)),
            Side(name="compiled", build=partial(delta_step, size), goal=GOALS.get(size)),
        ),
    )


def kernels(size: Size) -> Comparison:
    """Return what is inside them."""
    return Comparison(
        title="the kernels alone: gated delta rule against scaled_dot_product_attention",
        size=size,
        sides=(
            Side(name="attention", build=partial(attention_kernel, size)),
            Side(name="gated delta rule", build=partial(delta_kernel, size)),
        ),
    )


def attention_step(size: Size) -> Step:
    """Return the hand-written mixer."""
    torch.manual_seed(0)
    mixer, x = plain.AttentionMixer(size.width, size.heads), flow(size)
    return Step(lambda: mixer(x), [x, *mixer.parameters()])


def delta_step(size: Size) -> Step:
    """Return the compiled mixer."""
    settings = {"width": size.width, "heads": size.heads, "depth": 1, "value_width": size.width}
    layer, x = CompiledLayer(system_of("gated-deltanet", settings)), flow(size)
    return Step(lambda: layer(x), [x, *layer.parameters.values()])


def attention_kernel(size: Size) -> Step:
    """Return attention on ready tensors."""
    q, k, v = _heads(size)
    return Step(lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True), [q, k, v])


def delta_kernel(size: Size) -> Step:
    """Return the gated delta rule on ready tensors, from an empty memory."""
    q, k, v = _heads(size)
    with torch.no_grad():
        k /= k.norm(dim=-1, keepdim=True)
    rate = torch.rand(k.shape[:3]).requires_grad_()
    retain = torch.rand(k.shape[:3]).mul(0.1).add(0.9).requires_grad_()
    first = k.detach().new_zeros(size.batch, size.heads, k.shape[-1], k.shape[-1])

    def forward() -> Tensor:
        answers, _ = ops.linear_memory(
            k, v, first, rate, retain, None, [(q, "after")], retain_first=True
        )
        return answers[0]

    return Step(forward, [q, k, v, rate, retain])


def _heads(size: Size) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    shape = (size.batch, size.heads, size.time, size.width // size.heads)
    q, k, v = (torch.randn(shape).requires_grad_() for _ in range(3))
    return q, k, v
