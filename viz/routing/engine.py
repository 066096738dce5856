"""Finds and runs the program that places the boxes of flows, and paints PNG.

The order is: the file that `NESTGRAPH_DOT` names, graphviz-pure from this installation (the
same pictures on every machine), `dot` on the path. What it paints comes with its positions.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

if sys.platform == "linux":
    import resource

VARIABLE = "NESTGRAPH_DOT"
_PURE = "graphviz-pure"
_SECONDS = 120  # the largest pictures take a few seconds
_PATIENCE = 5  # seconds of processor time for places; most pictures take a tenth of one
_OUT_OF_TIME = (-9, -24)  # killed, and out of processor time
_KEPT = 32  # placements that a live page is likely to need again
_LEFT: ContextVar[list[float] | None] = ContextVar("left", default=None)


class DrawError(RuntimeError):
    """Raised when a picture can't be made; the message says what to do."""


def renderer() -> Path:
    """Return the program to paint with.

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
    """Return DOT source that holds its own positions, as PNG of some dots per inch.

    Raises:
        DrawError: if no program is found, or the one found fails.
    """
    return _run(renderer(), source, "-Kneato", "-n2", "-Tpng", f"-Gdpi={dpi}")


@contextmanager
def as_one_picture() -> Iterator[None]:
    """Provide a context within which all that is laid out takes no more processor time together
    than one picture may.

    For pages, which hold many views; those that come first have the time.
    """
    token = _LEFT.set([_PATIENCE])
    try:
        yield
    finally:
        _LEFT.reset(token)


def lay_out(source: str) -> str:
    """Return DOT source with places for all its nodes, clusters and edges, as JSON.

    Raises:
        DrawError: if no program is found, or the one found fails.
    """
    return _laid_out(renderer(), source)


@lru_cache(maxsize=_KEPT)
def _laid_out(program: Path, source: str) -> str:
    """Return places, laid out anew only where sizes or links, which decide them, changed."""
    left: list[float] = _LEFT.get() or [_PATIENCE]
    if left[0] <= 0:
        raise DrawError(f"other views took the {_PATIENCE} seconds for places; draw this one alone")
    before = _spent()
    try:
        patience = math.ceil(left[0])
        return _run(program, source, "-Kdot", "-Tjson", patience=patience).decode()
    finally:
        left[0] -= _spent() - before


def _spent() -> float:
    """Return seconds of processor time of programs that have ended, where the system knows."""
    if sys.platform != "linux":
        return 0.0
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(program: Path, source: str, *options: str, patience: int = _SECONDS) -> bytes:
    command = [str(program), "-q", *options]
    pipe = subprocess.PIPE
    try:
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
            _limit(process.pid, patience)
            try:
                picture, told = process.communicate(source.encode(), timeout=_SECONDS)
            except BaseException:  # as `subprocess.run` does: nothing stays behind
                process.kill()
                raise
    except subprocess.TimeoutExpired as error:
        raise _too_long(program, _SECONDS) from error
    except OSError as error:
        raise DrawError(f"{program} could not be run: {error}") from error
    if process.returncode in _OUT_OF_TIME:
        raise _too_long(program, patience)
    if process.returncode != 0 or not picture:
        said = told.decode(errors="replace").strip().splitlines()
        reason = said[0] if said else f"it ended with status {process.returncode}"
        raise DrawError(f"{program} could not draw the picture: {reason}")
    return picture


def _limit(process: int, seconds: int) -> None:
    """Bound the processor time of a process, where the system can."""
    if sys.platform == "linux":
        resource.prlimit(process, resource.RLIMIT_CPU, (seconds, seconds + 1))


def _too_long(program: Path, seconds: int) -> DrawError:
    cure = "close blocks by `--depth 0`, or draw what is near one node by `--focus NODE`"
    return DrawError(f"{program} has not drawn the picture within {seconds} seconds; {cure}")
