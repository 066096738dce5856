"""Momentum and Delta Momentum on a winding valley: arXiv 2512.24695, eq. 53.

    psi(r, theta) = r^2 + k (r - theta + a sin(w r))^2,   from (-3.5, 2)

The paper gives neither k, a and w nor rates; those here were chosen, and `OTHERS` are more of them.
Both optimizers are specs: the gradient, cut to a norm of 1 so that neither diverges, is what a
memory of them stores, and the parameter follows that memory. They differ in one thing: the second
memory erases what it answers to a gradient before it stores it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from nestgraph import compile_optimizer
from nestgraph.language.spec import Spec

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
class Valley:
    """The constants of psi."""

    k: float = 5.0
    a: float = 0.3
    w: float = 4.0

    def __str__(self) -> str:
        return f"k = {self.k:g}, a = {self.a:g}, w = {self.w:g}"

    def psi(self, point: Tensor) -> Tensor:
        """Return the function: of (..., 2) values r and theta."""
        r, theta = point.unbind(-1)
        return r**2 + self.k * (r - theta + self.a * torch.sin(self.w * r)) ** 2


SHOWN = Valley()
OTHERS = tuple(
    Valley(k=k, a=a, w=w) for k, a, w in product((1.0, 5.0, 10.0), (0.3, 0.8), (2.0, 4.0, 8.0))
)


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
        """Return whether it came close to the minimum."""
        return bool(self.values[-1] < NEAR)

    @property
    def steps(self) -> int:
        """That it took."""
        return len(self.points) - 1


def spec_of(name: str) -> Spec:
    """Return the optimizer of that name."""
    dashed = name.replace(" ", "-")
    file = f"toy-{dashed}.yaml"
    text = SPEC.format(name=dashed, keep=KEEP, rate=RATE, norm=NORM, **PARTS[name])
    return Spec.from_sources({file: text}, file)


def path_of(name: str, rate: float, steps: int = STEPS, valley: Valley = SHOWN) -> Path2d:
    """Walk in float64 until it arrives, for at most so many steps, or until it is far away."""
    point = torch.tensor([START], dtype=torch.float64, requires_grad=True)  # one row, a matrix
    optimizer = compile_optimizer(spec_of(name))([point], lr=rate)
    points = [point.detach().clone()]
    values = [valley.psi(point).item()]
    while len(points) <= steps and NEAR <= values[-1] < math.inf:
        optimizer.zero_grad()
        valley.psi(point).sum().backward()
        optimizer.step()
        points.append(point.detach().clone())
        values.append(valley.psi(point).item())
    return Path2d(
        name=name, rate=rate, points=torch.cat(points), values=torch.tensor(values).double()
    )


def best_path(name: str, valley: Valley = SHOWN) -> Path2d:
    """Return the way that arrives first, over the rates of the grid."""
    return first_to_arrive([path_of(name, rate, valley=valley) for rate in RATES])


def first_to_arrive(ways: list[Path2d]) -> Path2d:
    """Return the shortest of some ways that arrive, or else of all."""
    return min(ways, key=lambda way: (not way.arrived, way.steps))


def walk(plot: Path | None, *, others: bool = False) -> int:
    """Print how many steps each rate takes, and draw the best way of both.

    Args:
        plot: the picture to write, or None.
        others: whether to print the steps at the best rate for other constants, too.
    """
    print(f"psi: {SHOWN}; memories: keep {KEEP:g}, rate {RATE:g}, gradients of norm {NORM:g}")
    print(f"steps until psi < {NEAR:g}, of at most {STEPS}, by learning rate\n")
    print(f"{'':<24}{''.join(f'{rate:>8g}' for rate in RATES)}")
    ways = {name: [path_of(name, rate) for rate in RATES] for name in PARTS}
    for name, walked in ways.items():
        print(f"{name:<24}{''.join(f'{_told(way):>8}' for way in walked)}")
    if others:
        print(f"\n{'at the best rate':<24}{''.join(f'{name:>16}' for name in PARTS)}")
    for valley in OTHERS if others else ():
        told = "".join(f"{_told(best_path(name, valley)):>16}" for name in PARTS)
        print(f"{valley!s:<24}{told}", flush=True)
    if plot is not None:
        from benchmarks.toy_plot import draw

        draw([first_to_arrive(walked) for walked in ways.values()], plot)
        print(f"\ndrawn in {plot}")
    return 0


def _told(way: Path2d) -> str:
    return str(way.steps) if way.arrived else "-"
