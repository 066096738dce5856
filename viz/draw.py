"""The one way to a picture: of a system, or of what differs between two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from nestgraph.errors import NO_SOURCES
from nestgraph.language.spec import Spec
from nestgraph.language.system import System
from nestgraph.runtime.drafts import write_whole
from nestgraph.system_errors import cause_of, cure_of
from nestgraph.viz.clocks.clock_outline import clock_outline
from nestgraph.viz.clocks.picture import Raster
from nestgraph.viz.flows.outline import Outline
from nestgraph.viz.flows.views import VIEWS, ViewName, Wish, scene_of, written_of
from nestgraph.viz.routing.engine import DrawError, paint
from nestgraph.viz.routing.flow_layout import flow_scene
from nestgraph.viz.scene.shapes import Scene
from nestgraph.viz.scene.theme import THEMES, Theme
from nestgraph.viz.writers.dot import to_dot
from nestgraph.viz.writers.mermaid import to_mermaid
from nestgraph.viz.writers.pdf import to_pdf
from nestgraph.viz.writers.svg import to_svg
from nestgraph.viz.writers.text import outline_text, raster_text

_MOST_DOTS = 16_000  # along a side of a PNG


class HasSystem(Protocol):
    """A `Spec`, or anything else that holds a system."""

    @property
    def system(self) -> System: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What a writer is given."""

    spec: HasSystem | System
    wish: Wish
    theme: str

    @property
    def system(self) -> System:
        """Return what to draw."""
        return _system(self.spec)

    @property
    def colours(self) -> Theme:
        """Return what to draw it in."""
        return THEMES[self.theme]

    @property
    def scene(self) -> Scene:
        """Everything at its place."""
        return scene_of(self.system, self.wish)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What a writer of differences is given."""

    old: HasSystem | System
    new: HasSystem | System
    outline: Outline
    theme: str

    @property
    def colours(self) -> Theme:
        """Return what to draw it in."""
        return THEMES[self.theme]

    @property
    def scene(self) -> Scene:
        """Everything at its place."""
        return flow_scene(self.outline)


_Job = TypeVar("_Job")


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
    """Draw a system.

    Args:
        spec: a spec or a system.
        path: where to write the picture; its ending names the format.
        format: one of `FORMATS`; by default the ending of `path`, or `svg`.
        view: `levels`, `nested` (with those of the optimizer), `block`, `clock`, `optimizer` or
            `system` (the flows of model and optimizer).
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
    _known("view", view, VIEWS)
    _known("theme", theme, THEMES)
    wish = Wish(view=view, depth=depth, focus=focus, span=span)
    return _drawn(Job(spec=spec, wish=wish, theme=theme), _WRITERS, path, format)


def draw_diff(
    old: HasSystem | System,
    new: HasSystem | System,
    path: str | Path | None = None,
    format: str | None = None,
    *,
    theme: str = "light",
) -> str | bytes | Path:
    """Draw what differs between two systems: added, removed and changed boxes and lines.

    Args:
        old: a spec or a system.
        new: another one.
        path: where to write the picture; its ending names the format.
        format: one of `FORMATS`; by default the ending of `path`, or `svg`.
        theme: `light`, `dark` or `print`.

    Returns:
        The path if one was given, else the picture: bytes for png and pdf, else text.

    Raises:
        DrawError: as `draw` does.
    """
    from nestgraph.viz.flows.difference import (
        difference,  # pictures of one system need no comparison
    )

    _known("theme", theme, THEMES)
    outline = difference(_system(old), _system(new))
    job = Comparison(old=old, new=new, outline=outline, theme=theme)
    return _drawn(job, _DIFF_WRITERS, path, format)


def _known(what: str, given: str, known: Iterable[str]) -> None:
    if given not in known:
        raise DrawError(f"`{given}` is no {what}; give one of {', '.join(known)}")


def _system(spec: HasSystem | System) -> System:
    return spec if isinstance(spec, System) else spec.system


def _drawn(
    job: _Job,
    writers: Mapping[str, Callable[[_Job], str | bytes]],
    path: str | Path | None,
    format: str | None,
) -> str | bytes | Path:
    """Return what a writer makes of a job, in a file if one is named."""
    target = None if path is None else Path(path)
    content = writers[_format(target, format, writers)](job)
    if target is None:
        return content
    _write(target, content.encode() if isinstance(content, str) else content)
    return target


def to_png(scene: Scene, theme: Theme) -> bytes:
    """Return a scale that is sharp on screens of today, but never more dots than a viewer can
    load.
    """
    dpi = max(1, min(144, int(72 * _MOST_DOTS / max(scene.width, scene.height))))
    return paint(to_dot(scene, theme), dpi)


def _mermaid(job: Job) -> str:
    made = written_of(job.system, job.wish)
    outline = clock_outline(made) if isinstance(made, Raster) else made
    return to_mermaid(outline, job.colours)


def _text(job: Job) -> str:
    made = written_of(job.system, job.wish)
    return raster_text(made) if isinstance(made, Raster) else outline_text(made)


def _html(job: Job) -> str:
    from nestgraph.viz.page import page
    from nestgraph.viz.page.data import spec_data

    spec = job.spec
    if isinstance(spec, Spec):
        data = spec_data(spec.system, spec.sources, spec.path, spec.warnings, job.wish)
    else:
        data = spec_data(job.system, wish=job.wish)
    return page([data], theme=_reader_theme(job.theme))


def _diff_html(job: Comparison) -> str:
    from nestgraph.viz.page import page
    from nestgraph.viz.page.data import difference_data

    old, new = (
        (_system(spec), spec.sources if isinstance(spec, Spec) else NO_SOURCES)
        for spec in (job.old, job.new)
    )
    return page([difference_data(old, new, job.outline)], theme=_reader_theme(job.theme))


def _reader_theme(theme: str) -> str:
    """Return the theme of a page: as its reader has it, unless it is to be dark."""
    return theme if theme == "dark" else ""


_SCENES: Mapping[str, Callable[[Job | Comparison], str | bytes]] = {
    "svg": lambda job: to_svg(job.scene, job.colours),
    "png": lambda job: to_png(job.scene, job.colours),
    "pdf": lambda job: to_pdf(job.scene, job.colours),
    "dot": lambda job: to_dot(job.scene, job.colours),
}
_WRITERS: Mapping[str, Callable[[Job], str | bytes]] = {
    **_SCENES,
    "mmd": _mermaid,
    "txt": _text,
    "html": _html,
}
_DIFF_WRITERS: Mapping[str, Callable[[Comparison], str | bytes]] = {
    **_SCENES,
    "mmd": lambda job: to_mermaid(job.outline, job.colours),
    "txt": lambda job: outline_text(job.outline),
    "html": _diff_html,
}
FORMATS = tuple(_WRITERS)


def _format(target: Path | None, given: str | None, known: Iterable[str]) -> str:
    ending = target.suffix.removeprefix(".").lower() if target is not None else ""
    form = given or ending or ("svg" if target is None else "")
    if form not in known:
        what = f"`{form}`" if form else f"the ending of {target}"
        said = f"{what} is no format to draw in; give one of {', '.join(known)}"
        from nestgraph.export import ENDINGS  # who draws has no use for it

        data = "; `nestgraph export` writes it" if f".{form}" in ENDINGS else ""
        raise DrawError(f"{said}{data}")
    return form


def _write(target: Path, content: bytes) -> None:
    """Write all or nothing: a disk that fills leaves an older picture as it was."""
    try:
        write_whole(target, content)
    except OSError as error:
        cure = f"; {cure_of(error)}" if cure_of(error) else ""
        raise DrawError(f"{target} can't be written: {cause_of(error)}{cure}") from error
