"""Levels that learn while a model reads on: their settings, what came of one, and the tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nestgraph.display import markdown_text

MEMORIES = {"fast": "F", "mid": "M", "slow": "S"}  # of each level, in the spec
PLACES = {"fast": "first", "mid": "second", "slow": "third"}
MOST_LEVELS = 3
APART = 4  # periods of neighbouring levels


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """Which MLPs move while the model reads.

    Attributes:
        levels: how many.
        slowest: tokens between two moves of the slowest; 0 without levels.
        rate: of the sum of a period's losses.
    """

    levels: int
    slowest: int
    rate: float

    def periods(self) -> dict[str, int]:
        """Return the period of each level that moves, the fastest first."""
        names = list(MEMORIES)[MOST_LEVELS - self.levels :]
        return {
            name: self.slowest // APART ** (len(names) - 1 - place)
            for place, name in enumerate(names)
        }

    def overrides(self) -> dict[str, str]:
        """Return what it changes in the spec."""
        periods = self.periods()
        found = {f"vars.{PLACES[name]}": name for name in periods}
        found |= {f"vars.{name}": str(period) for name, period in periods.items()}
        if periods:
            found |= {"vars.horizon": next(iter(periods)), "vars.rate": repr(self.rate)}
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """One setting of levels, with the weights of one seed; all losses in bits a byte.

    Attributes:
        key: what it was made with.
        seed: of the weights.
        levels: that moved.
        slowest: the period of the slowest.
        online: of the second text, while the levels learned from it.
        back: of the first text, read on behind that, levels still learning.
        lost: by level: of the first text with that level as it had become behind the second text
            and all else as trained, nothing moving; over the same weights as trained.
        gained: the same of more of the second text, the other way round.
        minutes: on the wall.
    """

    key: str
    seed: int
    levels: int
    slowest: int
    online: float
    back: float
    lost: Mapping[str, float]
    gained: Mapping[str, float]
    minutes: float


def paid(found: list[Reading]) -> str:
    """Return levels and periods against what was paid a byte while reading."""
    head = ("levels", "slowest", "second author", "gain", "back at the first", "gain", "seeds")
    still = {one.seed: one for one in found if not one.levels}
    lines = []
    for group in _groups(found):
        pairs = [(one, still[one.seed]) for one in group if one.levels and one.seed in still]
        lines.append(
            (
                str(group[0].levels),
                f"{group[0].slowest:,}" if group[0].levels else "",
                _spread([one.online for one in group], ""),
                _spread([frozen.online - one.online for one, frozen in pairs], "+"),
                _spread([one.back for one in group], ""),
                _spread([frozen.back - one.back for one, frozen in pairs], "+"),
                str(len(group)),
            )
        )
    return "\n".join(markdown_text.table(head, lines))


def kept_by_level(found: list[Reading]) -> str:
    """Return what each level alone has learned of the second author, and lost of the first."""
    head = (
        *("levels", "slowest", "level", "moves every"),
        *("learned of the second", "lost of the first"),
    )
    lines = []
    for group in _groups(found):
        levels, slowest = group[0].levels, group[0].slowest
        for name, period in Setting(levels=levels, slowest=slowest, rate=0.0).periods().items():
            learned = _spread([one.gained[name] for one in group], "+")
            lost = _spread([one.lost[name] for one in group], "+")
            lines.append((str(levels), f"{slowest:,}", name, f"{period:,}", learned, lost))
    return "\n".join(markdown_text.table(head, lines))


def _groups(found: list[Reading]) -> Iterator[list[Reading]]:
    """Yield readings that differ by seed alone."""
    for place in sorted({(one.levels, one.slowest) for one in found}):
        yield [one for one in found if (one.levels, one.slowest) == place]


def _spread(values: list[float], sign: str) -> str:
    if not values:
        return ""
    mean = format(statistics.fmean(values), f"{sign}.4f")
    return f"{mean} ± {statistics.stdev(values):.4f}" if len(values) > 1 else mean
