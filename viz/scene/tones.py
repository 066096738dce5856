"""The colours of levels: outer ones red, inner ones from blue to green."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nestgraph.analysis.levels import LevelRow
from nestgraph.viz.scene.theme import token_tone

Ticks = tuple[str, int]
"""Unit and period of a clock."""


def tones(rows: Sequence[LevelRow]) -> Mapping[Ticks, str]:
    """Return the paint of each level, by its clock."""
    clocks = [(str(row.clock.unit), row.clock.period) for row in rows]
    moving = [clock for clock in clocks if clock[0] == "tokens" and clock[1] > 0]
    found = {clock: token_tone(at, len(moving)) for at, clock in enumerate(moving)}
    for clock in clocks:
        if clock not in found:
            found[clock] = {"never": "frozen", "steps": "outer"}.get(clock[0], "recomputed")
    return found
