"""Finds and runs the program that turns a drawing into SVG or PNG.

The order is: the file that `NESTGRAPH_DOT` names, graphviz-pure from this installation (the
same pictures on every machine), `dot` on the path. Drawings come with their positions, so
that the program only paints.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

VARIABLE = "NESTGRAPH_DOT"
_PURE = "graphviz-pure"
_SECONDS = 120  # the largest pictures take a few seconds


class DrawError(RuntimeError):
    """Raised when a picture can't be made; the message says what to do."""


def renderer() -> Path:
    """The program to paint with.

    Raises:
        DrawError: if there is none.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return _chosen(chosen)
    for name, folder in ((_PURE, sysconfig.get_path("scripts")), (_PURE, None), ("dot", None)):
        found = shutil.which(name, path=folder)
        if found:
            return Path(found)
    raise DrawError(
        "no program to draw with was found; install it with `pip install graphviz-pure`, "
        f"put Graphviz' `dot` on the path, or name one in {VARIABLE} "
        "(format dot needs none)"
    )


def _chosen(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise DrawError(f"{VARIABLE}={name} is not a program that can be run; correct or unset it")
    return Path(found)


def paint(source: str, form: str, dpi: int = 72) -> bytes:
    """Paints DOT source that holds its own positions, as `svg` or `png` (of some dots per inch).

    Raises:
        DrawError: if no program is found, or the one found fails.
    """
    program = renderer()
    command = [str(program), "-Kneato", "-n2", "-q", f"-T{form}"]
    command += [f"-Gdpi={dpi}"] if form == "png" else []
    try:
        done = subprocess.run(
            command, input=source.encode(), capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DrawError(f"{program} could not be run: {error}") from error
    if done.returncode != 0 or not done.stdout:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        reason = said[0] if said else f"it ended with status {done.returncode}"
        raise DrawError(f"{program} could not draw the picture: {reason}")
    return _without_comments(done.stdout) if form == "svg" else done.stdout


def _without_comments(svg: bytes) -> bytes:
    """Comments name the program's version: a picture of the same spec should stay the same."""
    text = re.sub(r"<!--.*?-->\n?", "", svg.decode(), flags=re.DOTALL)
    return text.encode()
