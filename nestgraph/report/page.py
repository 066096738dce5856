"""The page of a report on runs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from nestgraph.comparison.compare import compare
from nestgraph.display.html_text import escaped, table
from nestgraph.display.notebook import level_table, picture
from nestgraph.display.wording import count
from nestgraph.report.frame import folded, framed, image
from nestgraph.report.plots import Plot
from nestgraph.report.runs import Column, Run

LAST = 50  # steps whose losses the table averages
SUMMARY = (
    "run",
    "seed",
    "steps",
    f"training loss, last {LAST} steps",
    "best validation loss",
    "last, bits per byte",
    "tokens per second",
    "hours",
)


def html_page(runs: Sequence[Run], plots: Sequence[tuple[Plot, bytes]]) -> str:
    """Return the whole page.

    Args:
        runs: at least one; the level picture is that of the first.
        plots: each with its SVG.
    """
    title = f"{runs[0].spec.system.name}: {len(runs)} run{'s' if len(runs) > 1 else ''}"
    body = "\n".join(_sections(runs, plots))
    return framed(title, body)


def _sections(runs: Sequence[Run], plots: Sequence[tuple[Plot, bytes]]) -> Iterator[str]:
    first = runs[0]
    yield f"<p>{escaped(first.spec.system.doc)}</p>"
    yield table(SUMMARY, [_summary(run) for run in runs])
    yield from _differences(runs)
    if not plots:
        yield "<p>No step was taken yet, so there is nothing to plot.</p>"
    yield from (_figure(plot, svg) for plot, svg in plots)
    yield "<h2>Levels</h2>"
    yield level_table(first.spec.system)
    drawing = picture(first.spec.system)
    if drawing:
        yield image(drawing.encode(), "the levels of the spec, the outermost on top")
    yield "<h2>Spec</h2>"
    yield folded("as written", first.written)
    yield folded("resolved", first.spec.resolved_yaml())
    yield "<h2>Environment</h2>"
    yield from (part for run in runs for part in _environment(run))


def _summary(run: Run) -> tuple[object, ...]:
    losses = [value for _, value in run.column("train_loss")][-LAST:]
    seconds = [value for _, value in run.column("seconds")]
    speeds = [value for _, value in run.tokens_per_second()]
    validation = [value for _, value in run.column("val_loss")]
    return (
        run.folder,
        run.spec.system.training.seed,
        f"{run.steps:,} of {run.spec.system.training.steps:,}",
        f"{statistics.fmean(losses):.4f}" if losses else "",
        f"{min(validation):.4f}" if validation else "",
        _last(run.column("val_bits_per_byte")),
        count(statistics.median(speeds)) if speeds else "",
        f"{sum(seconds) / 3600:.3f}" if seconds else "",
    )


def _last(column: Column) -> str:
    return f"{column[-1][1]:.4f}" if column else ""


def _differences(runs: Sequence[Run]) -> Iterator[str]:
    """Yield whatever else than their seeds differs between runs."""
    for run in runs[1:]:
        diff = compare(runs[0].spec.system, run.spec.system)
        seed_only = [change.name for change in diff.training] in ([], ["seed"])
        if diff.levels or diff.stack or diff.nodes or diff.edges or not seed_only:
            yield f"<p>{escaped(run.folder)} is no repetition of {escaped(runs[0].folder)}:</p>"
            yield f"<pre>{escaped(diff)}</pre>"


def _figure(plot: Plot, svg: bytes) -> str:
    files = f"{plot.name}.svg, {plot.name}.png"
    words = f"{plot.title}, {plot.unit} over steps"
    return f"<figure>{image(svg, words)}<figcaption>{escaped(files)}</figcaption></figure>"


def _environment(run: Run) -> Iterator[str]:
    if not run.environment:
        yield f"<p>{escaped(run.folder)}: not known.</p>"
        return
    starts = run.environment
    names = list(dict.fromkeys(name for start in starts for name in start))
    rows = [(name, *(start.get(name, "") for start in starts)) for name in names]
    header = ("", *(f"start {number}" for number in range(1, len(starts) + 1)))
    yield f"<h3>{escaped(run.folder)}</h3>{table(header, rows)}"
