"""The table of the zoo: a part for each setting, its systems ranked by loss, those alike tied.

Losses are compared within a setting, a context and a number of steps. A system is tied with the
first of its rank while it lies within one standard error of their difference; where a system has
one seed, its deviation is taken to be that of the systems with several.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.cells import Cell
from nestgraph.display import markdown_text
from nestgraph.language.spec import load

HEAD = (
    *("rank", "", "parameters", "nats", "seeds", "tokens/s", "state bytes", "steps", "minutes"),
)


@dataclass(frozen=True, kw_only=True)
class System:
    """The cells of one system, a seed each.

    Attributes:
        cells: its trainings, sorted by seed.
    """

    cells: tuple[Cell, ...]

    @property
    def nats(self) -> float:
        """The mean over seeds."""
        return statistics.fmean(cell.nats for cell in self.cells)

    @property
    def setting(self) -> tuple[int, int]:
        """Bytes of context, and steps."""
        first = self.cells[0]
        return load(first.spec).system.training.context, first.steps


def table(found: Iterable[Cell]) -> str:
    """Return all settings as Markdown, that of the most systems first; one line of each is a
    system.
    """
    groups: dict[str, list[Cell]] = {}
    for cell in found:
        groups.setdefault(cell.spec, []).append(cell)
    systems = [
        System(cells=tuple(sorted(group, key=lambda cell: cell.seed))) for group in groups.values()
    ]
    settings: dict[tuple[int, int], list[System]] = {}
    for system in sorted(systems, key=lambda system: system.nats):
        settings.setdefault(system.setting, []).append(system)
    deviation = pooled_deviation(systems)
    parts = sorted(settings.items(), key=lambda part: (-len(part[1]), part[0]))
    return "\n\n".join(_part(setting, group, deviation) for setting, group in parts)


def ranks(systems: Sequence[System], deviation: float | None) -> list[int]:
    """Return the rank of each, which those share that can't be told apart.

    Args:
        systems: by loss, the lowest first.
        deviation: of one seed, where a system has no other; None if nobody has.
    """
    found: list[int] = []
    leader = systems[0]
    for place, system in enumerate(systems, start=1):
        tied = bool(found) and system.nats - leader.nats <= _error(leader, system, deviation)
        leader = leader if tied else system
        found.append(found[-1] if tied else place)
    return found


def pooled_deviation(systems: Iterable[System]) -> float | None:
    """Return the deviation over seeds, from all systems that have several; None if none has."""
    several = [[cell.nats for cell in system.cells] for system in systems]
    several = [nats for nats in several if len(nats) > 1]
    freedom = sum(len(nats) - 1 for nats in several)
    squares = sum((len(nats) - 1) * statistics.variance(nats) for nats in several)
    return math.sqrt(squares / freedom) if freedom else None


def _error(one: System, other: System, deviation: float | None) -> float:
    """Return the standard error of the difference of two means."""
    return math.hypot(*(_error_of(system, deviation) for system in (one, other)))


def _error_of(system: System, deviation: float | None) -> float:
    nats = [cell.nats for cell in system.cells]
    own = statistics.stdev(nats) if len(nats) > 1 else deviation
    return (own or 0.0) / math.sqrt(len(nats))


def _part(setting: tuple[int, int], systems: Sequence[System], deviation: float | None) -> str:
    context, steps = setting
    rows = map(_row, ranks(systems, deviation), systems)
    lines = [f"Context {context}, {steps:,} steps:", "", *markdown_text.table(HEAD, rows, words=2)]
    lines += _notes(systems, deviation)
    return "\n".join(lines)


def _notes(systems: Sequence[System], deviation: float | None) -> Iterator[str]:
    short = [system for system in systems if system.cells[0].steps < system.cells[0].whole]
    if short or deviation is None:
        yield ""
    if short:
        yield "\\* fewer steps than the spec asks for"
    if deviation is None:
        yield "No system has several seeds, so that no rank says more than the order of losses."


def _row(rank: int, system: System) -> tuple[str, ...]:
    cells, first = system.cells, system.cells[0]
    nats = [f"{cell.nats:.4f}" for cell in cells]
    star = "\\*" if first.steps < first.whole else ""
    return (
        str(rank),
        f"`{first.spec}`",
        f"{first.parameters:,}",
        f"{system.nats:.4f}",
        ", ".join(nats) if len(nats) > 1 else "",
        f"{statistics.median(cell.tokens_per_second for cell in cells):,.0f}",
        f"{first.state_bytes:,}",
        f"{first.steps:,}{star}",
        f"{statistics.fmean(cell.minutes for cell in cells):.1f}",
    )
