"""`nestgraph draw`: the picture of a spec, in a file."""

from __future__ import annotations

from pathlib import Path

import typer

from nestgraph.cli.opening import open_spec
from nestgraph.errors import InputError


def draw_spec(path: str, out: Path, changes: list[str]) -> None:
    """Writes the picture in the format that the file's ending names."""
    from nestgraph.viz import DrawError, draw

    with open_spec(path, changes) as spec:
        try:
            draw(spec, out)
        except DrawError as error:
            raise InputError("NG805", str(error)) from error
    typer.echo(f"Wrote {out}")
