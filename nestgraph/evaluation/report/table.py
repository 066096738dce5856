"""A summary as text: a table of Markdown, and what must be known to read it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from nestgraph.display.markdown_text import table
from nestgraph.display.wording import count
from nestgraph.evaluation.cells import Cell
from nestgraph.evaluation.procedures import SCORE
from nestgraph.evaluation.report.summary import Row, Summary
from nestgraph.evaluation.scoring import METRICS
from nestgraph.evaluation.task import Task
from nestgraph.evaluation.training import ALL_STEPS, ENOUGH, SPENT

FINE = (ALL_STEPS, ENOUGH, SPENT)
SMOKE = (
    "**A smoke test**: a twentieth of the steps, one seed, one rate, few rows; "
    "no number here is a result."
)
LOSSES = ("nats learned", "nats lost")


def text_of(summary: Summary) -> str:
    """Return a summary for a terminal or a file of Markdown."""
    head, *rows = table_rows(summary)
    lines = table(head, rows)
    return "\n".join([f"## {summary.label}", "", *about(summary), "", *lines, "", *notes(summary)])


def table_rows(summary: Summary) -> list[list[str]]:
    """Return the table, its head first: a row for each side."""
    scores = summary.scores
    head = [
        "",
        *(_score_word(summary.task, name) for name in scores),
        "against",
        "rate",
        "steps",
        "seconds",
        "skipped",
        "parameters",
        "FLOPs a token",
        "seeds",
    ]
    return [head, *(_row(row, scores) for row in summary.rows if row.results)]


def about(summary: Summary) -> list[str]:
    """Return what the task is, and what is known of it; one sentence a line."""
    task = summary.task
    if task is None:
        return ["This version of nestgraph has no such task."]
    known = {"Guessing": task.chance, "The best possible": task.floor}
    bounds = [f"{word} gets {value:.4g}." for word, value in known.items() if value is not None]
    better = "more" if task.higher else "less"
    told = [task.doc, f"Score: {METRICS[task.metric].unit}; {better} is better."]
    references = [f"- {one.model}: {one.value:g} ({one.source})" for one in task.references]
    return [*told, *bounds, *(["Others have reached:", *references] if references else [])]


def notes(summary: Summary) -> list[str]:
    """Return what the numbers rest on: rates that were tried, trainings that failed."""
    lines = ["Errors are standard errors over seeds, those of differences over pairs of one seed."]
    if any(cell.setting.smoke for row in summary.rows for cell in row.results):
        lines.append(SMOKE)
    for row in summary.rows:
        if row.tuned:
            points = (f"{c.rate:g}: {_number(c.score)}{_losses(c)}" for c in row.tuned)
            tried = ", ".join(points)
            lines.append(f"`{row.side}`: rates on rows of their own, {tried}.{_edge(row)}")
        lines += [f"`{row.side}`, {where}: {said}" for where, said in _failures(row)]
    return lines


def _losses(cell: Cell) -> str:
    """Return what a stream of tasks learned and lost at a rate: a point of the curve over rates."""
    found = [(name, cell.scores[name]) for name in LOSSES if cell.scores.get(name) is not None]
    told = ", ".join(f"{name} {_number(value)}" for name, value in found)
    return f" ({told})" if told else ""


def _edge(row: Row) -> str:
    """Return a word on a rate beyond which none was tried."""
    tried = [cell.rate for cell in row.tuned]
    if len(tried) < 2 or not row.results or row.results[0].rate not in (min(tried), max(tried)):
        return ""
    which = "smallest" if row.results[0].rate == min(tried) else "largest"
    return f" The {which} was best; beyond it none was tried."


def _failures(row: Row) -> Iterator[tuple[str, str]]:
    for cell in (*row.tuned, *row.results):
        if cell.ended not in FINE:
            yield f"seed {cell.seed} at rate {cell.rate:g}", cell.ended


def _row(row: Row, scores: Sequence[str]) -> list[str]:
    cells, first = row.results, row.results[0]
    difference = "" if row.difference is None else f"{_signed(row)} ({row.of})"
    return [
        row.side,
        *(_mean(row, name) for name in scores),
        difference,
        f"{first.rate:g}",
        count(statistics.fmean(cell.taken for cell in cells)),
        count(statistics.fmean(cell.seconds for cell in cells)),
        str(sum(cell.skipped for cell in cells)),
        f"{first.parameters:,}",
        count(first.flops),
        " ".join(str(cell.seed) for cell in cells),
    ]


def _mean(row: Row, name: str) -> str:
    if name not in row.names:
        return ""
    mean = row.mean(name)
    if mean is None:
        return "no number"
    missing = len(row.results) - mean.of
    return f"{mean}, {missing} without a number" if missing else str(mean)


def _signed(row: Row) -> str:
    assert row.difference is not None
    sign = "+" if row.difference.value >= 0 else ""
    return f"{sign}{row.difference}"


def _score_word(task: Task | None, name: str) -> str:
    if name != SCORE:
        return name
    return SCORE if task is None else task.metric


def _number(value: float | None) -> str:
    return "no number" if value is None else f"{value:.4f}"
