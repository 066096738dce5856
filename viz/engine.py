"""Finds and runs the program that places the boxes of flows, and paints PNG.

The order is: the file that `NESTGRAPH_DOT` names, graphviz-pure from this installation (the
same pictures on every machine), `dot` on the path. What it paints comes with its positions.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from functools import lru_cache
from pathlib import Path

VARIABLE = "NESTGRAPH_DOT"
_PURE = "graphviz-pure"
_SECONDS = 120  # the largest pictures take a few seconds
_PATIENCE = 4  # seconds for places; most take a tenth of one
_KEPT = 32  # placements that a live page is likely to need again


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
        "(levels as svg, pdf or dot need none)"
    )


def _chosen(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise DrawError(f"{VARIABLE}={name} is not a program that can be run; correct or unset it")
    return Path(found)


def paint(source: str, dpi: int) -> bytes:
    """DOT source that holds its own positions, as PNG of some dots per inch.

    Raises:
        DrawError: if no program is found, or the one found fails.
    """
    return _run(renderer(), source, "-Kneato", "-n2", "-Tpng", f"-Gdpi={dpi}")


def lay_out(source: str) -> str:
    """DOT source with places for all its nodes, clusters and edges, as JSON.

    Raises:
        DrawError: if no program is found, or the one found fails.
    """
    return _laid_out(renderer(), source)


@lru_cache(maxsize=_KEPT)
def _laid_out(program: Path, source: str) -> str:
    """Sizes and links decide places: what a save leaves as it was isn't laid out anew."""
    return _run(program, source, "-Kdot", "-Tjson", seconds=_PATIENCE).decode()


def _run(program: Path, source: str, *options: str, seconds: int = _SECONDS) -> bytes:
    command = [str(program), "-q", *options]
    try:
        done = subprocess.run(
            command, input=source.encode(), capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        cure = "close blocks by `--depth 0`, or draw what is near one node by `--focus NODE`"
        raise DrawError(
            f"{program} has not drawn the picture within {seconds} seconds; {cure}"
        ) from error
    except OSError as error:
        raise DrawError(f"{program} could not be run: {error}") from error
    if done.returncode != 0 or not done.stdout:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        reason = said[0] if said else f"it ended with status {done.returncode}"
        raise DrawError(f"{program} could not draw the picture: {reason}")
    return done.stdout
