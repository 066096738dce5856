"""The plots of a summary: scores by seed, by length or position, and on the way there."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from nestgraph.evaluation.cells import Cell
from nestgraph.evaluation.procedures import SCORE
from nestgraph.evaluation.report.summary import Row, Summary
from nestgraph.evaluation.scoring import METRICS, Points
from nestgraph.report.plots import COLOURS, Curve, Plot

STEP = "step"  # of the series that a training told on its way


def plots_of(summary: Summary) -> list[Plot]:
    """Return all plots that a summary has points for."""
    found = [_by_seed(summary), *(_across(summary, words) for words in _words(summary))]
    return [plot for plot in found if any(curve.points for curve in plot.curves)]


def _by_seed(summary: Summary) -> Plot:
    curves = []
    for index, row in enumerate(summary.rows):
        scored = sorted((cell.seed, cell.score) for cell in row.results if cell.score is not None)
        points = tuple((float(seed), score) for seed, score in scored)
        curves.append(Curve(label=row.side, points=points, colour=_colour(index), marked=True))
    return Plot(
        name="seeds",
        title=f"{summary.label}: by seed",
        unit=_unit(summary),
        across="seed",
        curves=tuple(curves),
    )


def _across(summary: Summary, words: str) -> Plot:
    """Return one series: each seed faintly, and the mean of all."""
    curves: list[Curve] = []
    for index, row in enumerate(summary.rows):
        series = [_points(cell, words) for cell in row.results]
        several = [points for points in series if points]
        if len(several) > 1:
            curves += [
                Curve(label=row.side, points=points, colour=_colour(index), faint=True)
                for points in several
            ]
        mean = _mean(several)
        curves.append(Curve(label=row.side, points=mean, colour=_colour(index), marked=True))
    when = "tuning rows on the way" if words == STEP else f"by {words}"
    return Plot(
        name=words.replace(" ", "-"),
        title=f"{summary.label}: {when}",
        unit=_unit(summary),
        across=words,
        curves=tuple(curves),
    )


def _mean(series: Sequence[Points]) -> Points:
    """Return means where every seed has a point."""
    tables = [dict(points) for points in series]
    if not tables:
        return ()
    shared = sorted(set(tables[0]).intersection(*tables[1:]))
    return tuple((at, statistics.fmean(table[at] for table in tables)) for at in shared)


def _points(cell: Cell, words: str) -> Points:
    return tuple((float(at), float(value)) for at, value in cell.series.get(words, ()))


def _words(summary: Summary) -> Iterator[str]:
    rows: Sequence[Row] = summary.rows
    yield from dict.fromkeys(words for row in rows for cell in row.results for words in cell.series)


def _unit(summary: Summary) -> str:
    return SCORE if summary.task is None else METRICS[summary.task.metric].unit


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]
