"""What a page knows of one spec: its pictures, its clocks, and each box's values and places."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nestgraph.errors import NO_SOURCES, Diagnostic, render
from nestgraph.levels import LevelRow, levels
from nestgraph.system import System
from nestgraph.trainer import trainer_of
from nestgraph.viz.clock import raster
from nestgraph.viz.difference import GONE
from nestgraph.viz.engine import DrawError
from nestgraph.viz.flow_layout import flow_scene
from nestgraph.viz.level_scene import level_id
from nestgraph.viz.outline import Outline, Part
from nestgraph.viz.page.details import Details
from nestgraph.viz.page.raster import raster_data
from nestgraph.viz.svg import inline_svg
from nestgraph.viz.training_outline import trained_name
from nestgraph.viz.views import ViewName, Wish, scene_of

_LONGEST = 65_536  # positions of the slider
_LEAST = 64


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
    """Everything that a page shows of a spec.

    Args:
        system: what it means.
        sources: texts by file name, for the lines that boxes come from.
        path: its file.
        warnings: findings that are shown above its pictures.
        wish: the view that is shown first, and what of it.

    Raises:
        DrawError: if the view that was asked for can't be drawn.
    """
    keys = Keys()
    views: dict[str, str] = {}
    problems = [render(finding, sources) for finding in warnings]
    for one in _wishes(system, wish):
        try:
            views[one.view] = inline_svg(scene_of(system, one), keys)
        except DrawError as error:
            if one is wish:  # what was asked for; the others are shown as far as they can be
                raise
            problems.append(f"{one.view}: {error}")
    rows = levels(system)
    context = system.training.context
    return {
        "name": system.name,
        "path": path,
        "views": views,
        "nodes": Details(system, sources, keys).all(),
        "clocks": [_clock(row, keys, _trained(system, row)) for row in rows],
        "raster": raster_data(raster(system, wish.span if wish is not None else None), keys),
        "unit": "tokens" if system.model is not None else "steps",
        "context": context,
        "span": _span(rows, context, system.model is not None),
        "problems": problems,
    }


def difference_data(old: Side, new: Side, outline: Outline) -> dict[str, Any]:
    """Everything that a page shows of what differs between two systems.

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
    system, _ = new
    rows = levels(system)
    counts_tokens = system.model is not None
    return {
        "name": outline.name,
        "path": "",
        "views": {"difference": picture},
        "nodes": {key: _changed(known[key], shown[key]) for key in shown if key in known},
        "clocks": [_clock(row, keys) for row in rows],
        "raster": [],
        "unit": "tokens" if counts_tokens else "steps",
        "context": system.training.context,
        "span": _span(rows, system.training.context, counts_tokens),
        "problems": [],
    }


def _changed(known: dict[str, Any], part: Part) -> dict[str, Any]:
    """What is known of a box, with what became of it."""
    kind = f"{part.status} {known['kind']}" if part.status else known["kind"]
    return {**known, "kind": kind}


def broken_data(name: str, findings: Sequence[str]) -> dict[str, Any]:
    """The same for a spec that can't be drawn: only why."""
    return {
        "name": name,
        "path": name,
        "views": {},
        "nodes": {},
        "clocks": [],
        "raster": [],
        "unit": "tokens",
        "context": 1,
        "span": _LEAST,
        "problems": list(findings),
    }


def _wishes(system: System, first: Wish | None) -> list[Wish]:
    """All views, the one that was asked for before the others."""
    names: tuple[ViewName, ...] = ("levels", "block", "clock", "optimizer")
    if system.model is None:  # the flows of an optimizer are its optimizer view
        names = ("levels", "optimizer", "clock")
    ahead = [] if first is None else [first]
    return ahead + [Wish(view=name) for name in names if first is None or name != first.view]


def _trained(system: System, row: LevelRow) -> list[str]:
    """Memories of a model's optimizer that tick with a level of the model."""
    trainer = trainer_of(system)
    return [
        trained_name(memory)
        for other in (() if trainer is None else levels(trainer))
        for memory in other.memories
        if (other.clock.unit, other.clock.period) == (row.clock.unit, row.clock.period)
    ]


def _clock(row: LevelRow, keys: Callable[[str], str], more: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "rank": row.rank,
        "name": row.name,
        "unit": row.clock.unit,
        "period": row.clock.period,
        "keys": [keys(level_id(row.rank)), *map(keys, (*row.memories, *more))],
    }


def _span(rows: Sequence[LevelRow], context: int, counts_tokens: bool) -> int:
    """Two ticks of the slowest level that moves, as far as a slider goes."""
    periods = [
        row.clock.period * (context if counts_tokens and row.clock.unit == "steps" else 1)
        for row in rows
    ]
    return min(_LONGEST, max([_LEAST, *(2 * period for period in periods)]))
