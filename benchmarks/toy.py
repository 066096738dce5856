"""Momentum and Delta Momentum on a winding valley: arXiv 2512.24695, eq. 53.

    psi(r, theta) = r^2 + k (r - theta + a sin(w r))^2,   from (-3.5, 2)

The paper gives neither k, a and w nor rates; those here were chosen. Both optimizers are specs:
the gradient, cut to a norm of 1 so that neither diverges, is what a memory of them stores, and the
parameter follows that memory. They differ in one thing: the second memory erases what it answers
to a gradient before it stores it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nestgraph import compile_optimizer
from nestgraph.spec import Spec

K, A, W = 5.0, 0.3, 4.0
START, NEAR = (-3.5, 2.0), 1e-3  # the value of psi that counts as arrived
KEEP, RATE, NORM = 0.9, 0.1, 1.0
STEPS = 500
RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)

SPEC = """
nestgraph: 1
name: toy-{name}
vars: {{keep: {keep}, rate: {rate}, norm: {norm}}}
blocks:
  toy:
    inputs: [grad, lr]
    memories:
      m: {memory}
      param: {{net: vector, level: step, objective: {{kind: task, through: u}}, rule: {{rate: lr}}, init: given}}
    nodes:
      cut: {{op: clip, in: grad, norm: $norm}}
      u: {{read: m}}{more}
optimizer:
  - {{for: matrices, block: toy}}
  - {{for: rest, spec: sgd}}
"""  # noqa: E501 - a line of YAML

RULE = "rule: {rate: $rate, retain: $keep}, init: zero"
PARTS = {
    "momentum": {
        "memory": f"{{net: vector, level: step, values: cut, objective: dot, {RULE}}}",
        "more": "",
    },
    "delta momentum": {
        "memory": f"{{net: linear, level: step, keys: cut, values: one, objective: l2, {RULE}}}",
        "more": "\n      one: {op: identity, in: grad}  # what each row is to answer",
    },
}
"""What the two specs have of their own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Path2d:
    """The way of one optimizer with one learning rate.

    Attributes:
        name: of the optimizer.
        rate: its learning rate.
        points: (steps + 1, 2), r and theta, the start first; up to the arrival if it arrives.
        values: psi at each of them.
    """

    name: str
    rate: float
    points: Tensor
    values: Tensor

    @property
    def arrived(self) -> bool:
        """Whether it came close to the minimum."""
        return bool(self.values[-1] < NEAR)

    @property
    def steps(self) -> int:
        """That it took."""
        return len(self.points) - 1


def psi(point: Tensor) -> Tensor:
    """The function: of (..., 2) values r and theta."""
    r, theta = point.unbind(-1)
    return r**2 + K * (r - theta + A * torch.sin(W * r)) ** 2


def spec_of(name: str) -> Spec:
    """The optimizer of that name."""
    dashed = name.replace(" ", "-")
    file = f"toy-{dashed}.yaml"
    text = SPEC.format(name=dashed, keep=KEEP, rate=RATE, norm=NORM, **PARTS[name])
    return Spec.from_sources({file: text}, file)


def path_of(name: str, rate: float, steps: int = STEPS) -> Path2d:
    """Walks in float64 until it arrives, for at most so many steps, or until it is far away."""
    point = torch.tensor([START], dtype=torch.float64, requires_grad=True)  # one row, a matrix
    optimizer = compile_optimizer(spec_of(name))([point], lr=rate)
    points = [point.detach().clone()]
    values = [psi(point).item()]
    while len(points) <= steps and NEAR <= values[-1] < math.inf:
        optimizer.zero_grad()
        psi(point).sum().backward()
        optimizer.step()
        points.append(point.detach().clone())
        values.append(psi(point).item())
    return Path2d(
        name=name, rate=rate, points=torch.cat(points), values=torch.tensor(values).double()
    )


def best_path(name: str) -> Path2d:
    """The way that arrives first, over the rates of the grid."""
    ways = [path_of(name, rate) for rate in RATES]
    return min(ways, key=lambda way: (not way.arrived, way.steps))


def walk(plot: Path | None) -> int:
    """Prints how many steps each rate takes, and draws the best way of both."""
    print(f"psi: k = {K:g}, a = {A:g}, w = {W:g}; memories: keep {KEEP:g}, rate {RATE:g}")
    print(f"steps until psi < {NEAR:g}, of at most {STEPS}, by learning rate\n")
    print(f"{'':<16}{''.join(f'{rate:>8g}' for rate in RATES)}")
    for name in PARTS:
        ways = [path_of(name, rate) for rate in RATES]
        told = "".join(f"{way.steps if way.arrived else '-':>8}" for way in ways)
        print(f"{name:<16}{told}")
    if plot is not None:
        from benchmarks.toy_plot import draw

        draw([best_path(name) for name in PARTS], plot)
        print(f"\ndrawn in {plot}")
    return 0
