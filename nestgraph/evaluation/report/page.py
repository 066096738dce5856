"""Summaries as one page of HTML with their plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from nestgraph.display.html_text import escaped, table
from nestgraph.errors import InputError
from nestgraph.evaluation.report.summary import Summary
from nestgraph.evaluation.report.table import about, notes, table_rows
from nestgraph.report.frame import framed, image, require_matplotlib
from nestgraph.training.files import replace_file

TITLE = "Results of nestgraph eval"


def write_page(summaries: Sequence[Summary], page: Path, results: Path) -> None:
    """Write the page.

    Args:
        summaries: what it shows.
        page: the file to write.
        results: the file that they were read from, which isn't overwritten.

    Raises:
        InputError: the page would take the place of the results (NG938), matplotlib is not
            installed (NG809), or the page can't be written (NG721).
    """
    require_matplotlib()
    if page.resolve() == results.resolve():
        said = f"a page would take the place of the results in `{results}`"
        raise InputError("NG938", said, "give -o another file, such as results.html")
    body = "\n".join(part for summary in summaries for part in _section(summary))
    replace_file(page, framed(TITLE, body).encode())


def _section(summary: Summary) -> Iterator[str]:
    from nestgraph.evaluation.report.plots import plots_of
    from nestgraph.report.plots import drawn

    head, *rows = table_rows(summary)
    yield f"<h2>{escaped(summary.label)}</h2>"
    yield _lines(about(summary))
    yield table(head, rows)
    yield _lines(notes(summary))
    for plot in plots_of(summary):
        yield f"<figure>{image(drawn(plot, 'svg'), plot.title)}</figure>"


def _lines(lines: Sequence[str]) -> str:
    return f"<p>{'<br>'.join(escaped(line) for line in lines)}</p>"
