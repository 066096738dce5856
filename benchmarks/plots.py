"""What the plots of the benchmarks share: they look like those of `nestgraph report`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.failure import BenchmarkError


@contextmanager
def figure(file: Path, size: tuple[float, float]) -> Iterator[Any]:
    """Provide a figure to draw into, saved as `file` at the end: the same bytes for the same
    numbers.

    Args:
        file: ends with `.svg` or `.png`.
        size: in inches.

    Raises:
        BenchmarkError: when matplotlib is not installed, or can't draw such a file.
    """
    if find_spec("matplotlib") is None:
        raise BenchmarkError("a plot needs matplotlib: pip install 'nestgraph[report]'")
    if file.suffix not in (".svg", ".png"):
        raise BenchmarkError(f"`{file}` can't be drawn; name a file that ends with .svg or .png")
    import matplotlib
    from matplotlib.figure import Figure

    from nestgraph.report.plots import DPI, STYLE

    with matplotlib.rc_context(STYLE):
        drawn = Figure(figsize=size, layout="constrained")
        yield drawn
        date: dict[str, Any] = {"Date": None} if file.suffix == ".svg" else {}
        file.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(file, dpi=DPI, metadata=date)
