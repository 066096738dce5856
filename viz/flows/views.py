"""The views of a system, and what a reader may ask of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from nestgraph.findings import did_you_mean
from nestgraph.graph.build import build_graph
from nestgraph.language.system import System
from nestgraph.language.trainer import opened, trainer_of
from nestgraph.viz.clocks.picture import Raster, raster, raster_scene
from nestgraph.viz.flows.block_view import block_outline
from nestgraph.viz.flows.build import build_view
from nestgraph.viz.flows.outline import Outline, closed, near
from nestgraph.viz.flows.training_outline import together, training_outline
from nestgraph.viz.flows.view import View
from nestgraph.viz.levels.level_outline import level_outline
from nestgraph.viz.levels.level_scene import level_scene
from nestgraph.viz.levels.nested import nested_view
from nestgraph.viz.routing.engine import DrawError
from nestgraph.viz.routing.flow_layout import flow_scene
from nestgraph.viz.routing.layout import arranged
from nestgraph.viz.scene.shapes import Scene

ViewName = Literal["levels", "nested", "block", "clock", "optimizer", "system"]
VIEWS: tuple[ViewName, ...] = get_args(ViewName)
_LEVELS = ("levels", "nested")
_FLOWS = ("block", "optimizer", "system")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What to show.

    Attributes:
        view: which view.
        depth: how many blocks inside each other are open; all when None.
        focus: a node, by its id or the end of it; only it and its neighbours are shown.
        span: the positions of the clock view, as `raster` reads them.
    """

    view: ViewName = "levels"
    depth: int | None = None
    focus: str | None = None
    span: str | None = None

    def __post_init__(self) -> None:
        if self.depth is not None and self.view not in _FLOWS:
            raise DrawError(f"a depth is for the views {', '.join(_FLOWS)}, not for {self.view}")
        if self.focus is not None and self.view == "clock":
            raise DrawError("the clock view has no nodes to focus on; leave focus away")
        if self.span is not None and self.view != "clock":
            raise DrawError(f"a span is for the clock view, not for {self.view}")


def scene_of(system: System, wish: Wish) -> Scene:
    """Return a view with everything at its place."""
    if wish.view == "clock":
        return raster_scene(raster(system, wish.span))
    if wish.view in _LEVELS:
        return level_scene(arranged(_levels(system, wish)))
    return flow_scene(outline_of(system, wish))


def written_of(system: System, wish: Wish) -> Outline | Raster:
    """Return a view for writers of text, that need no places."""
    if wish.view == "clock":
        return raster(system, wish.span)
    return outline_of(system, wish)


def outline_of(system: System, wish: Wish) -> Outline:
    """Return a view of boxes and links without places."""
    if wish.view in _LEVELS:
        return level_outline(_levels(system, wish))
    outline = _outline(system, wish.view)
    if wish.focus is not None:
        outline = near(outline, found(outline, wish.focus))
    return outline if wish.depth is None else closed(outline, wish.depth)


def _outline(system: System, view: ViewName) -> Outline:
    if view == "optimizer" or system.model is None:
        return training_outline(system)
    outline = block_outline(build_graph(system, roll=True), system)
    return together(outline, training_outline(system)) if view == "system" else outline


def _levels(system: System, wish: Wish) -> View:
    view = _nested(system) if wish.view == "nested" else level_view(system)
    if wish.focus is None:
        return view
    focus = found(level_outline(view), wish.focus)
    return around(view, focus)


def level_view(system: System) -> View:
    """Return the levels of a model, or of an optimizer with those that it names."""
    return build_view(build_graph(opened(system), roll=True))


def _nested(system: System) -> View:
    if trainer_of(system) is None:
        raise DrawError(
            f"{system.name} is an optimizer itself, so that there is nothing to nest; draw its "
            "levels"
        )
    return nested_view(system)


def around(view: View, focus: str) -> View:
    """Return what is left of the levels around a memory, a frame or what trains them."""
    own = {focus}
    for group in view.groups:
        if focus == group.id or focus in {box.id for box in group.boxes}:
            own |= {group.id, *(box.id for box in group.boxes)} if group.framed else set()
    wires = tuple(wire for wire in view.wires if {wire.source, wire.target} & own)
    shown = own | {end for wire in wires for end in (wire.source, wire.target)}
    bands = (
        replace(
            band,
            groups=tuple(
                group
                for group in band.groups
                if group.id in shown or shown & {box.id for box in group.boxes}
            ),
        )
        for band in view.bands
    )
    return replace(view, bands=tuple(band for band in bands if band.groups), wires=wires)


def found(outline: Outline, address: str) -> str:
    """Return the id of the part that an address names, whole (`0.hope.a.q`) or by its end (`q`).

    Raises:
        DrawError: if there is none.
    """
    wanted = address.replace("/", ".")
    for part in outline.all():
        for name in (part.id, *part.members):
            plain = name.replace("/", ".").removesuffix(".write")
            if f".{plain}".endswith(f".{wanted.removesuffix('.write')}"):
                return part.id
    known = sorted({part.id.replace("/", ".").rpartition(".")[2] for part in outline.all()})
    hint = did_you_mean(wanted.rpartition(".")[2], known)
    raise DrawError(f"`{address}` names nothing in this view{f'; {hint}' if hint else ''}")
