"""A training run, or the same training under several seeds, as one page of HTML with its plots.

The page is one file that needs nothing else: plots and pictures lie inside it. Each plot is also a
file of its own, SVG and PNG, for papers and slides.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nestgraph.report.frame import require_matplotlib
from nestgraph.report.runs import Run, read_run
from nestgraph.training.files import replace_file, unwritable

PAGE = "report.html"
PLOTS = "plots"


def write_report(folders: Sequence[Path], page: Path | None = None) -> tuple[Path, Path]:
    """Write the report.

    Args:
        folders: of runs, such as those of several seeds.
        page: the file to write; `report.html` in the first folder when None. Plots go into
            `plots` beside it.

    Returns:
        The page and the folder of the plots.

    Raises:
        InputError: when a folder holds no run, matplotlib is not installed, or something can't
            be written.
    """
    require_matplotlib()
    from nestgraph.report.page import html_page
    from nestgraph.report.plots import drawn, figures

    runs = [read_run(folder) for folder in folders]
    target = page if page is not None else folders[0] / PAGE
    folder = target.parent / PLOTS
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    plots = []
    for figure in figures(runs):
        svg = drawn(figure, "svg")
        replace_file(folder / f"{figure.name}.svg", svg)
        replace_file(folder / f"{figure.name}.png", drawn(figure, "png"))
        plots.append((figure, svg))
    replace_file(target, html_page(runs, plots).encode())
    return target, folder


__all__ = ["PAGE", "PLOTS", "Run", "read_run", "write_report"]
