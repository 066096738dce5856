"""Mamba-1's memory, a retention for every cell: `ops.selective_scan` against a token loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import flops
from benchmarks.mixers import mixer_step, same_numbers
from benchmarks.steps import Product, Size, Step
from benchmarks.suites import Comparison, Side
from benchmarks.suites.gated_deltanet import attention_step
from nestgraph import ops

STATES, WIDER = 16, 2
SHORT, LONG = Size(), Size(batch=1, time=8192)


def comparisons(sizes: tuple[Size, ...] = (SHORT, LONG)) -> list[Comparison]:
    """Return one comparison a size."""
    return [compare(size) for size in sizes]


def compare(size: Size) -> Comparison:
    """Return attention, the kernel, and the loop that one would write where it fits into memory."""
    attention, mine = flops.attention_mixer(size), count(size)
    kernel, loop = (partial(step, size, way) for way in (scan, token_by_token))
    short = size.time <= SHORT.time
    slow = (Side(name="token by token", build=loop),) if short else ()
    return Comparison(
        title=f"selective scan mixer, {WIDER} W x {STATES} cells, against attention mixer",
        size=size,
        sides=(
            Side(name="attention", build=partial(attention_step, size), flops=attention.total),
            Side(name="scan", build=kernel, flops=mine.total),
            *slow,
            Side(name="one product, 1024³", build=Product, flops=Product.flops),
        ),
        notes=(*attention.lines("attention"), *mine.lines("scan"), flops.RULES),
        check=(lambda: same_numbers(kernel(), loop())) if short else None,
    )


def step(size: Size, way: Callable[..., Tensor]) -> Step:
    """Return a mixer around one way to compute the memory; its log rates are 1 .. STATES as in
    Mamba.
    """
    inner = WIDER * size.width
    rates = torch.arange(1.0, STATES + 1).expand(inner, -1).contiguous()

    def kernel(flows: Mapping[str, Tensor]) -> Tensor:
        steps = F.softplus(flows["steps"] - 4.0)
        return way(flows["k"], flows["v"], flows["q"], steps, rates)

    return mixer_step(size, {"v": inner, "steps": inner, "k": STATES, "q": STATES}, inner, kernel)


def scan(k_BTD: Tensor, v_BTE: Tensor, q_BTD: Tensor, steps: Tensor, rates: Tensor) -> Tensor:
    """Return the kernel, with one head."""
    k, v, q, steps = (x.unsqueeze(1) for x in (k_BTD, v_BTE, q_BTD, steps))
    first = v.new_zeros(len(v), 1, *rates.shape)
    retain = ops.Fading(steps, rates.unsqueeze(0))
    answers, _ = ops.selective_scan(k, v, first, steps, retain, [(q, "after")])
    return answers[0].squeeze(1)


def token_by_token(
    k_BTD: Tensor, v_BTE: Tensor, q_BTD: Tensor, steps: Tensor, rates: Tensor
) -> Tensor:
    """Return the recurrence in plain PyTorch, with retention worked out beforehand."""
    alpha = torch.exp(-steps.unsqueeze(-1) * rates)
    written = (steps * v_BTE).unsqueeze(-1) * k_BTD.unsqueeze(-2)
    state, answers = torch.zeros_like(written[:, 0]), []
    for left, event, q in zip(alpha.unbind(1), written.unbind(1), q_BTD.unbind(1), strict=True):
        state = left * state + event
        answers.append((state @ q.unsqueeze(-1)).squeeze(-1))
    return torch.stack(answers, 1)


def count(size: Size) -> flops.Count:
    """Return products of the mixer; those of the recurrence are of single numbers, never of
    matrices.
    """
    inner = WIDER * size.width
    flows = 2 * inner + 2 * STATES + inner
    parts = (
        flops.Part(
            name="flows, gate, output",
            formula=f"2 W ({3 * WIDER} W + {2 * STATES}) + 2 W · {WIDER} W",
            flops=2 * size.width * (flows + inner),
        ),
        flops.Part(
            name="writing, fading and reading every cell",
            formula=f"3 · 2 · {WIDER} W · {STATES}",
            flops=3 * 2 * inner * STATES,
        ),
    )
    return flops.Count(tokens=size.tokens, parts=parts)
