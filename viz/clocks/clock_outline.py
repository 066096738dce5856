"""The clocks as an outline, for Mermaid: it has no raster, so each level lists its first ticks.

Of Mermaid's own charts `gantt` comes nearest, but gives each tick a line of its own, takes
positions for dates, and has no way to write a name with signs that mean something to it.
"""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.viz.clocks.picture import Panel, Raster, Row
from nestgraph.viz.flows.outline import Outline, Part
from nestgraph.viz.levels.level_scene import level_id

_MOST = 8  # ticks that are listed


def clock_outline(raster: Raster) -> Outline:
    """Return a frame for each panel, in it a box for each level, the slowest first."""
    parts = tuple(
        Part(
            id=f"panel {at}",
            kind="panel",
            title=panel.told,
            parts=tuple(_part(row, panel) for row in panel.rows),
        )
        for at, panel in enumerate(raster.panels)
    )
    return Outline(name=raster.name, doc="", parts=parts, links=())


def _part(row: Row, panel: Panel) -> Part:
    told = ", ".join(_told(row, panel))
    return Part(
        id=level_id(row.level),
        kind="level",
        title=row.title,
        facts=(("", f"ticks at {told}" if told else "no tick"),),
        tone=row.tone,
    )


def _told(row: Row, panel: Panel) -> Iterator[str]:
    """Yield positions of the first ticks; of a column with several positions, the first and the
    last.
    """
    columns = [at for at, tick in enumerate(row.ticks) if tick]
    for at in columns[:_MOST]:
        first = panel.first + at * panel.each
        yield f"{first}" if panel.each == 1 else f"{first} to {first + panel.each - 1}"
    if len(columns) > _MOST:
        yield f"and {len(columns) - _MOST} more"
