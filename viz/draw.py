"""The one way to a picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from nestgraph.graph import build_graph
from nestgraph.system import System
from nestgraph.viz.build import build_view
from nestgraph.viz.dot import to_dot
from nestgraph.viz.engine import DrawError, paint
from nestgraph.viz.layout import Picture, arranged

FORMATS = ("svg", "png", "dot")
_MOST_DOTS = 16_000  # along a side of a PNG


class HasSystem(Protocol):
    """A `Spec`, or anything else that holds a system."""

    @property
    def system(self) -> System: ...


def draw(
    spec: HasSystem | System, path: str | Path | None = None, format: str | None = None
) -> str | bytes | Path:
    """Draws the levels of a system.

    Args:
        spec: a spec or a system.
        path: where to write the picture; its ending names the format.
        format: `svg`, `png` or `dot`; by default the ending of `path`, or `svg`.

    Returns:
        The path if one was given, else the picture: text for svg and dot, bytes for png.

    Raises:
        DrawError: if the format is unknown, no program to paint with is found, or the file
            can't be written.
    """
    target = None if path is None else Path(path)
    form = _format(target, format)
    system = spec if isinstance(spec, System) else spec.system
    picture = arranged(build_view(build_graph(system, roll=True)))
    source = to_dot(picture)
    content = source.encode() if form == "dot" else paint(source, form, _dpi(picture))
    if target is not None:
        _write(target, content)
        return target
    return content if form == "png" else content.decode()


def _dpi(picture: Picture) -> int:
    """Sharp on screens of today, but never more dots than a viewer can load."""
    return max(1, min(144, int(72 * _MOST_DOTS / max(picture.width, picture.height))))


def _format(target: Path | None, given: str | None) -> str:
    ending = target.suffix.removeprefix(".").lower() if target is not None else ""
    form = given or ending or ("svg" if target is None else "")
    if form not in FORMATS:
        what = f"`{form}`" if form else f"the ending of {target}"
        raise DrawError(f"{what} is no format to draw in; give one of {', '.join(FORMATS)}")
    return form


def _write(target: Path, content: bytes) -> None:
    """Writes all or nothing: a disk that fills leaves an older picture as it was."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DrawError(f"{target} can't be written: {error.strerror or error}") from error
