"""Draws the ways of the toy over the lines of equal height, and how fast they go down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.plots import figure
from benchmarks.toy import NEAR, SHOWN, START, Path2d

SIZE = (8.0, 3.6)
ACROSS, UP = (-4.2, 2.2), (-3.2, 3.2)
LEVELS = torch.linspace(-1.5, 2.75, 18)  # powers of ten


def draw(ways: Sequence[Path2d], file: Path) -> None:
    """Write the picture."""
    from nestgraph.report.plots import COLOURS

    r, theta = torch.linspace(*ACROSS, 161), torch.linspace(*UP, 161)
    height = SHOWN.psi(torch.stack(torch.meshgrid(r, theta, indexing="xy"), -1))
    with figure(file, SIZE) as drawn:
        valley, descent = drawn.subplots(1, 2)
        valley.contour(r, theta, height.log10(), levels=LEVELS, colors="#bbbbbb", linewidths=0.6)
        for way, colour in zip(ways, COLOURS, strict=False):
            label = f"{way.name}, rate {way.rate:g}: {way.steps} steps"
            valley.plot(*way.points.T, color=colour, marker=".", markersize=3, linewidth=0.9)
            descent.plot(way.values, color=colour, label=label)
        valley.plot(*START, "k.", markersize=7)
        valley.plot(0, 0, "k*", markersize=9)
        valley.set(xlim=ACROSS, ylim=UP, xlabel="r", ylabel="θ")
        valley.grid(visible=False)
        descent.axhline(NEAR, color="#888888", linewidth=0.8, linestyle=":")
        descent.set(xlabel="step", ylabel="ψ", yscale="log")
        descent.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        descent.legend(fontsize=8, frameon=False)
