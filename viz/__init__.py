"""Pictures of systems: `draw` makes one from a spec, `draw_diff` from two.

Levels go from a graph over a `View` and its `Picture` (where everything stands) to a `Scene`;
flows over an `Outline`; clocks over a `Raster`. Writers turn a scene into SVG, PDF, DOT or PNG,
and an outline or raster into text. Nothing here imports PyTorch.
"""

from __future__ import annotations

from nestgraph.viz.draw import FORMATS, draw, draw_diff
from nestgraph.viz.routing.engine import DrawError

__all__ = ["FORMATS", "DrawError", "draw", "draw_diff"]
