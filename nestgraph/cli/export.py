"""`nestgraph export`: the graph of a spec for other programs."""

from __future__ import annotations

from pathlib import Path

from nestgraph.cli.opening import open_spec
from nestgraph.cli.saying import say
from nestgraph.export import exported, form_of
from nestgraph.graph.build import build_graph
from nestgraph.training.files import replace_file


def export_spec(
    path: str, out: Path | None, form: str | None, roll: bool, changes: list[str]
) -> None:
    """Write the graph to a file, or print it where none is named.

    Raises:
        InputError: the file names no format, or can't be written.
    """
    chosen = form or (form_of(out) if out is not None else "node-link")
    with open_spec(path, changes) as spec:
        text = exported(build_graph(spec.system, roll), chosen)
    if out is None:
        say(text, nl=False)
        return
    replace_file(out, text.encode())
    say(f"Wrote {out}")
