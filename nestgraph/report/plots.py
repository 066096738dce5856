"""The plots of a report, drawn by matplotlib: the same bytes for the same runs.

A curve is a run, or a level of a run; runs have colours in the plots of losses, levels have them in
the plots of levels, where runs have line styles.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nestgraph.report.runs import Column, Run

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
STYLES = ("-", "--", "-.", ":")
OF_LEVELS = (
    ("updates", "Updates of each level", "updates so far"),
    ("update_norm", "Size of one update of each level", "Euclidean norm"),
    ("surprise", "Surprise of each level", "norm of the gradient behind an update"),
    ("state_norm", "Size of each level's state", "Euclidean norm"),
    ("lr", "Learning rate of each level", "learning rate"),
)
"""Columns of metrics.csv that each level has, with what they show and in which unit."""

SMOOTHED = 50  # points that a smoothed curve has at least
SIZE = (7.0, 3.2)  # inches
DPI = 144
LONGEST = 60  # characters of a label
STYLE: Any = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "nestgraph",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.usetex": False,
    "text.parse_math": False,  # a `$` in a name is a `$`
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One line of a plot."""

    label: str
    points: Column
    colour: str
    style: str = "-"
    faint: bool = False
    marked: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """One plot.

    Attributes:
        name: of its files.
        title: what it shows, for a reader.
        unit: of the vertical axis.
        curves: at least one with a point.
        logarithmic: whether the vertical axis is.
        across: what the horizontal axis counts.
    """

    name: str
    title: str
    unit: str
    curves: tuple[Curve, ...]
    logarithmic: bool = False
    across: str = "step"


def figures(runs: Sequence[Run]) -> list[Plot]:
    """Return all plots that the runs have numbers for."""
    return [plot for plot in _all(runs) if any(curve.points for curve in plot.curves)]


def drawn(plot: Plot, form: str) -> bytes:
    """Return a plot as `svg` or `png`."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        for curve in plot.curves:
            _add(axes, curve)
        axes.set_xlabel(plot.across)
        axes.set_ylabel(plot.unit)
        axes.set_title(plot.title, fontsize=10, loc="left")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if plot.logarithmic:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")  # no formulas
        figure.legend(fontsize=8, frameon=False, loc="outside right upper")
        content = io.BytesIO()
        date: dict[str, Any] = {"Date": None} if form == "svg" else {}
        figure.savefig(content, format=form, dpi=DPI, metadata=date)
        return content.getvalue()


def smoothed(points: Column) -> Column:
    """Return a running mean over about a fiftieth of the points, each at the end of its window."""
    width = len(points) // SMOOTHED
    if width < 2:
        return points
    total, found = 0.0, []
    for index, (step, value) in enumerate(points):
        total += value - (points[index - width][1] if index >= width else 0.0)
        found.append((step, total / min(index + 1, width)))
    return found


def _add(axes: Any, curve: Curve) -> None:
    if not curve.points:
        return
    steps, values = zip(*curve.points, strict=True)
    few = curve.marked or len(steps) == 1
    axes.plot(
        steps,
        values,
        color=curve.colour,
        linestyle=curve.style,
        linewidth=0.6 if curve.faint else 1.4,
        alpha=0.35 if curve.faint else 1.0,
        marker="o" if few else None,
        markersize=3,
        label=None if curve.faint else _shown(curve.label),
    )


def _shown(label: str) -> str:
    """Return a label that fits; matplotlib would leave one out that begins with `_`."""
    printable = "".join(c if c.isprintable() else "?" for c in label)
    cut = printable if len(printable) <= LONGEST else f"{printable[:LONGEST]}..."
    return f" {cut}" if cut.startswith("_") else cut


def _all(runs: Sequence[Run]) -> Iterator[Plot]:
    yield Plot(name="loss", title="Training loss", unit="nats a token", curves=_losses(runs))
    yield Plot(
        name="bits-per-byte",
        title="Validation",
        unit="bits per byte",
        curves=_of_runs(runs, lambda run: run.column("val_bits_per_byte"), marked=True),
    )
    yield Plot(
        name="tokens-per-second",
        title="Speed, training alone",
        unit="tokens per second",
        curves=_of_runs(runs, lambda run: smoothed(run.tokens_per_second())),
    )
    for prefix, title, unit in OF_LEVELS:
        curves = _of_levels(runs, prefix)
        name = prefix.replace("_", "-")
        yield Plot(name=name, title=title, unit=unit, curves=curves, logarithmic=_spread(curves))


def _losses(runs: Sequence[Run]) -> tuple[Curve, ...]:
    """Return the loss of each step faintly, its running mean, and the losses of validations."""
    curves: list[Curve] = []
    for index, run in enumerate(runs):
        colour, points = _colour(index), run.column("train_loss")
        curves.append(Curve(label=run.label, points=points, colour=colour, faint=True))
        curves.append(Curve(label=run.label, points=smoothed(points), colour=colour))
        validation = run.column("val_loss")
        label = f"{run.label}, validation"
        curves.append(Curve(label=label, points=validation, colour=colour, style="--", marked=True))
    return tuple(curves)


def _of_runs(
    runs: Sequence[Run], points: Callable[[Run], Column], marked: bool = False
) -> tuple[Curve, ...]:
    return tuple(
        Curve(label=run.label, points=points(run), colour=_colour(index), marked=marked)
        for index, run in enumerate(runs)
    )


def _of_levels(runs: Sequence[Run], prefix: str) -> tuple[Curve, ...]:
    levels = _levels(runs)
    several = len(runs) > 1
    return tuple(
        Curve(
            label=f"{level}: {run.label}" if several else level,
            points=column,
            colour=_colour(levels.index(level)),
            style=STYLES[index % len(STYLES)],
        )
        for index, run in enumerate(runs)
        for level, column in run.columns(prefix).items()
    )


def _levels(runs: Sequence[Run]) -> list[str]:
    """Return all levels in one order, so that each has its colour in every plot."""
    prefixes = [prefix for prefix, _, _ in OF_LEVELS]
    return sorted({level for run in runs for prefix in prefixes for level in run.columns(prefix)})


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _spread(curves: Sequence[Curve]) -> bool:
    """Return whether positive values reach over more than a factor of 30."""
    values = [value for curve in curves for _, value in curve.points]
    positive = [value for value in values if value > 0]
    return len(positive) > 1 and math.log(max(positive) / min(positive)) > math.log(30)
