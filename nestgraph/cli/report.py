"""`nestgraph report`: the page and the plots of one or several runs."""

from __future__ import annotations

from pathlib import Path

from nestgraph.cli.saying import say
from nestgraph.report import write_report


def report_runs(folders: list[Path], out: Path | None) -> None:
    """Write the report and say where."""
    page, plots = write_report(folders, out)
    say(f"Wrote {page}\nplots in {plots}")
