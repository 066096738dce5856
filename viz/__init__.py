"""Pictures of systems: `draw` makes one from a spec.

A graph becomes a `View` (what is shown), a `View` becomes a `Picture` (where), and writers
turn that into DOT, SVG or PNG. Nothing here imports PyTorch.
"""

from __future__ import annotations

from nestgraph.viz.draw import FORMATS, draw
from nestgraph.viz.engine import DrawError

__all__ = ["FORMATS", "DrawError", "draw"]
