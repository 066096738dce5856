"""The one way to a picture."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from nestgraph.system import System
from nestgraph.viz.clock import Raster
from nestgraph.viz.dot import to_dot
from nestgraph.viz.engine import DrawError, paint
from nestgraph.viz.mermaid import to_mermaid
from nestgraph.viz.pdf import to_pdf
from nestgraph.viz.scene import Scene
from nestgraph.viz.svg import to_svg
from nestgraph.viz.text import outline_text, raster_text
from nestgraph.viz.theme import THEMES, Theme
from nestgraph.viz.views import VIEWS, ViewName, Wish, scene_of, written_of

_MOST_DOTS = 16_000  # along a side of a PNG


class HasSystem(Protocol):
    """A `Spec`, or anything else that holds a system."""

    @property
    def system(self) -> System: ...


def draw(
    spec: HasSystem | System,
    path: str | Path | None = None,
    format: str | None = None,
    *,
    view: ViewName = "levels",
    depth: int | None = None,
    focus: str | None = None,
    span: str | None = None,
    theme: str = "light",
) -> str | bytes | Path:
    """Draws a system.

    Args:
        spec: a spec or a system.
        path: where to write the picture; its ending names the format.
        format: one of `FORMATS`; by default the ending of `path`, or `svg`.
        view: `levels`, `block`, `clock`, `optimizer` or `system` (model and optimizer).
        depth: how many blocks inside each other are open, in views of flows; all when None.
        focus: a node, by its id or the end of it; only it and its neighbours are shown.
        span: positions of the clock view: `64`, `100:164`, `64 steps`.
        theme: `light`, `dark` or `print`.

    Returns:
        The path if one was given, else the picture: bytes for png and pdf, else text.

    Raises:
        DrawError: if something is asked for that there is not, no program to paint with is
            found, or the file can't be written.
    """
    target = None if path is None else Path(path)
    form = _format(target, format)
    if view not in VIEWS:
        raise DrawError(f"`{view}` is no view; give one of {', '.join(VIEWS)}")
    if theme not in THEMES:
        raise DrawError(f"`{theme}` is no theme; give one of {', '.join(THEMES)}")
    wish = Wish(view=view, depth=depth, focus=focus, span=span)
    system = spec if isinstance(spec, System) else spec.system
    content = _WRITERS[form](system, wish, THEMES[theme])
    if target is None:
        return content
    _write(target, content.encode() if isinstance(content, str) else content)
    return target


def _svg(system: System, wish: Wish, theme: Theme) -> str:
    return to_svg(scene_of(system, wish), theme)


def _dot(system: System, wish: Wish, theme: Theme) -> str:
    return to_dot(scene_of(system, wish), theme)


def _png(system: System, wish: Wish, theme: Theme) -> bytes:
    return to_png(scene_of(system, wish), theme)


def to_png(scene: Scene, theme: Theme) -> bytes:
    """Sharp on screens of today, but never more dots than a viewer can load."""
    dpi = max(1, min(144, int(72 * _MOST_DOTS / max(scene.width, scene.height))))
    return paint(to_dot(scene, theme), dpi)


def _pdf(system: System, wish: Wish, theme: Theme) -> bytes:
    return to_pdf(scene_of(system, wish), theme)


def _mermaid(system: System, wish: Wish, theme: Theme) -> str:
    made = written_of(system, wish)
    if isinstance(made, Raster):
        raise DrawError("Mermaid has no form for the clock view; draw it as svg or txt")
    return to_mermaid(made, theme)


def _text(system: System, wish: Wish, theme: Theme) -> str:
    made = written_of(system, wish)
    return raster_text(made) if isinstance(made, Raster) else outline_text(made)


_WRITERS: dict[str, Callable[[System, Wish, Theme], str | bytes]] = {
    "svg": _svg,
    "png": _png,
    "pdf": _pdf,
    "dot": _dot,
    "mmd": _mermaid,
    "txt": _text,
}
FORMATS = tuple(_WRITERS)


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
