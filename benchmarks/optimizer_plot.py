"""Draws the comparison: loss over the learning rate, and the seeds at the best one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.optimizer_plan import OPTIMIZERS, Plan, Training
from benchmarks.optimizer_table import Row, rows
from benchmarks.plots import figure

WIDTH, HEIGHT = 8.0, 3.0  # inches, for each model


def draw(plan: Plan, found: Sequence[Training], file: Path) -> None:
    """Write the picture: one line of panels for each model; what diverged is left out."""
    models = [model for model in plan.models() if rows(plan, found, model)]
    with figure(file, (WIDTH, HEIGHT * max(1, len(models)))) as drawn:
        panels = drawn.subplots(max(1, len(models)), 2, squeeze=False)
        for model, (grid, seeds) in zip(models, panels, strict=False):
            every = rows(plan, found, model)
            _grid(grid, every)
            _seeds(seeds, every)
            grid.set_title(f"{model}, {plan.steps} steps, seed 0", fontsize=9, loc="left")
            seeds.set_title("at the best rate, each seed", fontsize=9, loc="left")


def _grid(axes: Any, every: Sequence[Row]) -> None:
    for row in every:
        ended = sorted((rate, cell.nats) for rate, cell in row.grid.items() if cell.nats)
        if ended:
            rates, nats = zip(*ended, strict=True)
            axes.plot(rates, nats, color=_colour(row), marker="o", markersize=3, linewidth=1.2)
    axes.set(xscale="log", xlabel="learning rate", ylabel="nats a byte")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _seeds(axes: Any, every: Sequence[Row]) -> None:
    """Draw the optimizers under each other, the best on top."""
    for place, row in enumerate(reversed(every)):
        axes.plot(
            row.losses, [place] * len(row.losses), "o", color=_colour(row), markersize=5, alpha=0.8
        )
    axes.set_yticks(range(len(every)), [row.optimizer for row in reversed(every)])
    axes.set(xlabel="nats a byte", ylim=(-0.5, len(every) - 0.5))


def _colour(row: Row) -> str:
    from nestgraph.report.plots import COLOURS

    return COLOURS[OPTIMIZERS.index(row.optimizer)]
