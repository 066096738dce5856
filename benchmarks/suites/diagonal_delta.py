"""Memories that keep, erase and learn by channel: `ops.diagonal_delta` against token loops.

RWKV-7 (retention and erase by key, an erase under a key of its own), Kimi's delta attention
(the delta rule with retention by key) and gated linear attention (retention by key alone).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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

CHUNK = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One of the memories.

    Attributes:
        name: of it.
        erases: it erases under a key of its own.
        delta: it learns by the delta rule.
    """

    name: str
    erases: bool = False
    delta: bool = False

    @property
    def pulls(self) -> int:
        """Events a token that need what the memory holds."""
        return int(self.erases or self.delta)

    @property
    def writes(self) -> int:
        """Events a token that don't."""
        return int(not self.delta)

    def parts(self, size: Size) -> dict[str, int]:
        """Return flows of the mixer."""
        names = ["q", "k", "v", "alpha", *(["e", "rho"] if self.erases else [])]
        rate = {"rate": size.heads} if self.delta else {}
        return dict.fromkeys(names, size.width) | rate


RULES = (
    Rule(name="RWKV-7", erases=True),
    Rule(name="KDA", delta=True),
    Rule(name="GLA"),
)


def comparisons(size: Size | None = None) -> list[Comparison]:
    """Return one comparison a memory."""
    return [compare(size or Size(), rule) for rule in RULES]


def compare(size: Size, rule: Rule) -> Comparison:
    """Return attention, the kernel, and the loop that one would write."""
    attention, mine = flops.attention_mixer(size), count(size, rule)
    kernel, loop = (partial(step, size, rule, way) for way in (chunked, token_by_token))
    return Comparison(
        title=f"{rule.name} mixer, chunk {CHUNK}, against attention mixer",
        size=size,
        sides=(
            Side(name="attention", build=partial(attention_step, size), flops=attention.total),
            Side(name="chunks", build=kernel, flops=mine.total),
            Side(name="token by token", build=loop),
            Side(name="one product, 1024³", build=Product, flops=Product.flops),
        ),
        notes=(*attention.lines("attention"), *mine.lines("chunks"), flops.RULES),
        check=lambda: same_numbers(kernel(), loop()),
    )


def step(size: Size, rule: Rule, way: Callable[..., Tensor]) -> Step:
    """Return a mixer around one way to compute the memory."""

    def kernel(flows: Mapping[str, Tensor]) -> Tensor:
        return merge(way(rule, prepared(size, rule, flows)))

    return mixer_step(size, rule.parts(size), size.width, kernel)


def prepared(size: Size, rule: Rule, flows: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return heads apart; keys of length 1, retention and rates between 0 and 1."""
    wide = {name: split(flows[name], size.heads) for name in rule.parts(size)}
    for name in {"k", "e"} & wide.keys():
        wide[name] = F.normalize(wide[name], dim=-1)
    wide["alpha"] = torch.exp(-0.6065 * torch.sigmoid(wide["alpha"]))
    if rule.erases:
        wide["rho"] = wide["rho"].sigmoid()
    if rule.delta:
        wide["rate"] = wide["rate"].sigmoid()[..., 0]
    return wide


def chunked(rule: Rule, f: Mapping[str, Tensor]) -> Tensor:
    """Return the kernel."""
    first = f["v"].new_zeros(*f["v"].shape[:2], f["v"].shape[-1], f["k"].shape[-1])
    answers, _ = ops.diagonal_delta(
        f["k"],
        f["v"],
        first,
        f["rate"] if rule.delta else 1.0,
        f["alpha"].unsqueeze(3),
        f["rho"].unsqueeze(3) if rule.erases else None,
        [(f["q"], "after")],
        erase_key=f.get("e"),
        objective="l2" if rule.delta else "dot",
        retain_first=rule.delta,
        chunk=CHUNK,
    )
    return answers[0]


def token_by_token(rule: Rule, f: Mapping[str, Tensor]) -> Tensor:
    """Return the recurrence in plain PyTorch."""
    state = f["v"].new_zeros(*f["v"].shape[:2], f["v"].shape[-1], f["k"].shape[-1])
    answers = []
    for now in zip(*(f[name].unbind(2) for name in f), strict=True):
        x = dict(zip(f, now, strict=True))
        k, v, kept = x["k"], x["v"], state * x["alpha"].unsqueeze(-2)
        if rule.delta:
            v = x["rate"].unsqueeze(-1) * (v - (kept @ k.unsqueeze(-1)).squeeze(-1))
        if rule.erases:
            kept = kept - state @ x["e"].unsqueeze(-1) @ (x["rho"] * x["e"]).unsqueeze(-2)
        state = kept + v.unsqueeze(-1) * k.unsqueeze(-2)
        answers.append((state @ x["q"].unsqueeze(-1)).squeeze(-1))
    return torch.stack(answers, 2)


def count(size: Size, rule: Rule) -> flops.Count:
    """Return the products of the kernel's mixer, from its docstrings."""
    width, head = size.width, size.width // size.heads
    pulls, writes, chunk = rule.pulls, rule.writes, min(CHUNK, size.time)
    flows = sum(rule.parts(size).values()) + 2 * width
    both = pulls + writes
    parts = (
        flops.Part(name="flows, gate, output", formula="2 W each", flops=2 * width * flows),
        flops.Part(
            name="pairs of events and queries",
            formula="H (p + 1)(p + f) C D, p pulls and f writes",
            flops=size.heads * (pulls + 1) * both * chunk * head,
        ),
        flops.Part(
            name="what is pulled",
            formula="H (2 C p² D + 2 C p f D)",
            flops=size.heads * 2 * chunk * head * (pulls**2 + pulls * writes),
        ),
        flops.Part(
            name="states",
            formula="H (2 p D² + 2 (p + f) D²)",
            flops=size.heads * 2 * head**2 * (pulls + both),
        ),
        flops.Part(
            name="answers",
            formula="H (2 D² + 2 C (p + f) D)",
            flops=size.heads * 2 * head * (head + chunk * both),
        ),
    )
    return flops.Count(tokens=size.tokens, parts=parts)
