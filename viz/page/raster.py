"""Where the clock view stands, so that a page can move a cursor over it and turn its leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nestgraph.viz.clocks.picture import Placed, Raster, placed, text_id
from nestgraph.viz.levels.level_scene import level_id
from nestgraph.viz.routing.place import MARGIN


def raster_data(made: Raster, keys: Callable[[str], str]) -> list[dict[str, Any]]:
    """Return what a page knows of each panel.

    Args:
        made: the clock view.
        keys: a short name for each id, as in the picture.
    """
    return [_panel(one, keys) for one in placed(made)]


def _panel(one: Placed, keys: Callable[[str], str]) -> dict[str, Any]:
    panel = one.panel
    return {
        "unit": panel.unit,
        "first": panel.first,
        "each": panel.each,
        "count": len(panel.rows[0].ticks),
        "left": one.left,
        "column": one.column,
        "top": one.rows[0].top,
        "bottom": one.axis,
        "told": keys(text_id(MARGIN, one.top)),
        "labels": [
            [at, keys(text_id(one.left + at * one.column, one.axis))] for at, _ in panel.labels
        ],
        "rows": [
            {
                "key": keys(level_id(row.level)),
                "unit": row.level.clock.unit,
                "period": row.level.clock.period,
                "top": band.top,
                "paint": f"var(--{row.tone}-line)",
            }
            for row, band in zip(panel.rows, one.rows, strict=True)
        ],
    }
