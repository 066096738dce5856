"""What a page knows of one spec: its pictures, its clocks, and each box's values and places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nestgraph.analysis.levels import LevelRow, nested_levels
from nestgraph.errors import NO_SOURCES, Diagnostic, render
from nestgraph.language.system import System
from nestgraph.language.trainer import opened
from nestgraph.viz.clocks.picture import raster
from nestgraph.viz.flows.difference import GONE
from nestgraph.viz.flows.outline import Outline, Part
from nestgraph.viz.flows.training_outline import moved_parts
from nestgraph.viz.flows.views import VIEWS, ViewName, Wish, scene_of
from nestgraph.viz.levels.level_scene import level_id
from nestgraph.viz.page.details import Details
from nestgraph.viz.page.raster import raster_data
from nestgraph.viz.routing.engine import DrawError, as_one_picture
from nestgraph.viz.routing.flow_layout import flow_scene
from nestgraph.viz.writers.svg import inline_svg

_LONGEST = 65_536  # places of the slider, in either unit
_LEAST = 64
_OF_MODELS: Mapping[ViewName, str] = {
    "nested": "this is an optimizer itself: there is nothing to nest beside its levels",
    "block": "the flows of an optimizer are in its view `optimizer`",
    "system": "there is no model around this optimizer; its flows are in the view `optimizer`",
}
"""Views that an optimizer has not, and why."""


Side = tuple[System, Mapping[str, str]]


class Keys:
    """A short name for each id, the same in all views; a memory's write is the memory."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        return self.known.setdefault(name.removesuffix(".write"), f"k{len(self.known)}")


def spec_data(
    system: System,
    sources: Mapping[str, str] = NO_SOURCES,
    path: str = "",
    warnings: Sequence[Diagnostic] = (),
    wish: Wish | None = None,
) -> dict[str, Any]:
    """Return everything that a page shows of a spec.

    Args:
        system: what it means.
        sources: texts by file name, for the lines that boxes come from.
        path: its file.
        warnings: findings that are shown above its pictures.
        wish: the view that is shown first, and what of it.

    Raises:
        DrawError: if the view that was asked for, unless it is the whole first one, can't be drawn.
    """
    keys = Keys()
    with as_one_picture():
        views, left_out = _views(system, wish, keys)
    problems = [render(finding, sources) for finding in warnings]
    problems += [f"{view}: {why}" for view, why in left_out.items()]
    absent = dict(_OF_MODELS) if system.model is None else {}
    return {
        "name": system.name,
        "path": path,
        "views": views,
        "absent": {**absent, **left_out},
        "nodes": Details(system, sources, keys).all(),
        "raster": raster_data(raster(system, wish.span if wish is not None else None), keys),
        "problems": problems,
        **_time(system, keys),
    }


def _views(
    system: System, wish: Wish | None, keys: Keys
) -> tuple[dict[ViewName, str], dict[ViewName, str]]:
    """Return the pictures of all views, and why there is none of the others."""
    views: dict[ViewName, str] = {}
    left_out: dict[ViewName, str] = {}
    for one in _wishes(system, wish):
        try:
            views[one.view] = inline_svg(scene_of(system, one), keys)
        except DrawError as error:
            if one is wish and wish != Wish():  # asked for, not only the one that comes first
                raise
            left_out[one.view] = str(error)
    return views, left_out


def difference_data(old: Side, new: Side, outline: Outline) -> dict[str, Any]:
    """Return everything that a page shows of what differs between two systems.

    Args:
        old: what was, and its texts by file name.
        new: what is, and its texts.
        outline: both of them in one picture.

    Raises:
        DrawError: if it can't be drawn.
    """
    keys = Keys()
    picture = inline_svg(flow_scene(outline), keys)
    shown = {keys(part.id): part for part in outline.all()}
    known = Details(*old, lambda name: keys(GONE + name)).all()
    known |= Details(*new, keys).all()
    return {
        "name": outline.name,
        "path": "",
        "views": {"difference": picture},
        "nodes": {key: _changed(known[key], shown[key]) for key in shown if key in known},
        "raster": [],
        "problems": [],
        **_time(new[0], keys),
    }


def _changed(known: dict[str, Any], part: Part) -> dict[str, Any]:
    """Return what is known of a box, with what became of it."""
    kind = f"{part.status} {known['kind']}" if part.status else known["kind"]
    return {**known, "kind": kind}


def broken_data(name: str, findings: Sequence[str]) -> dict[str, Any]:
    """Return the same for a spec that can't be drawn: only why."""
    return {
        "name": name,
        "path": name,
        "views": {},
        "nodes": {},
        "raster": [],
        "problems": list(findings),
        "clocks": [],
        "units": ["tokens"],
        "context": 1,
        "spans": [_LEAST],
    }


def _wishes(system: System, first: Wish | None) -> list[Wish]:
    """Return all views, the one that was asked for before the others."""
    ahead = [] if first is None else [first]
    return ahead + [
        Wish(view=name) for name in _names(system) if first is None or name != first.view
    ]


def _names(system: System) -> tuple[ViewName, ...]:
    """Return every view that applies; those of the optimizer need one that has been read."""
    if system.model is None:
        return tuple(name for name in VIEWS if name not in _OF_MODELS)
    return VIEWS


def _time(system: System, keys: Callable[[str], str]) -> dict[str, Any]:
    """Return what the slider goes over: places in each unit, and what ticks there."""
    rows = nested_levels(opened(system))
    units = ("tokens", "steps") if system.model is not None else ("steps",)
    context = system.training.context
    return {
        "clocks": list(_clocks(system, rows, keys)),
        "units": list(units),
        "context": context,
        "spans": [_span(rows, unit, context) for unit in units],
    }


def _clocks(
    system: System, rows: Sequence[LevelRow], keys: Callable[[str], str]
) -> Iterator[dict[str, Any]]:
    moved = moved_parts(system)
    for row in rows:
        steps = row.clock.unit == "steps"
        parts = moved.get(row.clock.period, ()) if steps else ()
        yield {
            "name": f"{row.name} (optimizer)" if row.foreign else row.name,
            "unit": row.clock.unit,
            "period": row.clock.period,
            "keys": [keys(level_id(row)), *map(keys, (*row.memories, *row.optimizer, *parts))],
        }


def _span(rows: Sequence[LevelRow], unit: str, context: int) -> int:
    """Return two ticks of the slowest level that moves, as far as a slider goes."""
    steps = [row.clock.period for row in rows if row.clock.unit == "steps"]
    tokens = [row.clock.period for row in rows if row.clock.unit == "tokens"]
    periods = steps if unit == "steps" else [*tokens, *(context * period for period in steps)]
    return min(_LONGEST, 2 * max([_LEAST // 2, *periods]))
