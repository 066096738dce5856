"""Levels over tokens: which moved when, and how far; drawn from the metrics of a stream.

One lane for each level, slowest on top as in the other pictures, with a bar where it moved within
a piece; bars are as high as the step was large, relative to the lane's largest. Below them runs
the loss of each piece.
"""

from __future__ import annotations

import csv
import html
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

WIDTH, LANE, GAP, LEFT, TOP = 900.0, 60.0, 26.0, 170.0, 34.0
MOST_BARS = 900  # one a point of width; of more, the largest in each point is shown
STYLE = (
    "text{font:12px Helvetica,Arial,sans-serif;fill:#222}"
    ".bar{stroke:#2a6f97;stroke-width:1}.loss{fill:none;stroke:#b23a48;stroke-width:1.2}"
    ".axis{stroke:#999;stroke-width:.7}"
)

Row = dict[str, float]


def draw_history(path: Path) -> str:
    """Return the picture of a metrics.csv as SVG.

    Raises:
        OSError: when the file can't be read.
        ValueError: when it holds no pieces of a stream.
    """
    rows = _rows(path)
    if not rows or "tokens" not in rows[0]:
        raise ValueError("the metrics hold no pieces of a stream")
    levels = _levels(rows)
    lanes = [_lane(rows, level, place) for place, level in enumerate(levels)]
    height = TOP + (len(levels) + 1) * (LANE + GAP) + GAP
    size = f'width="{LEFT + WIDTH + 20:.0f}" height="{height:.0f}"'
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
            f"<style>{STYLE}</style>",
            f'<text x="10" y="20">levels over {rows[-1]["tokens"]:.0f} tokens</text>',
            *(line for lane in lanes for line in lane),
            *_loss(rows, len(levels)),
            "</svg>\n",
        )
    )


def _rows(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {key: float(value) for key, value in row.items() if value}
            for row in csv.DictReader(file)
        ]


def _levels(rows: Sequence[Row]) -> list[str]:
    """Return slowest first."""
    prefix = "updates/"
    last = {k.removeprefix(prefix): v for k, v in rows[-1].items() if k.startswith(prefix)}
    return sorted(last, key=lambda level: (last[level], level))


def _lane(rows: Sequence[Row], level: str, place: int) -> Iterator[str]:
    base = TOP + (place + 1) * (LANE + GAP) - GAP / 2
    steps = list(_moves(rows, level))
    largest = max((size for _, size in steps), default=0.0)
    label = html.escape(level)
    yield f'<text x="10" y="{base - LANE / 2:.0f}">{label}</text>'
    updates = f"{rows[-1][f'updates/{level}']:.0f} updates, largest {largest:.3g}"
    yield f'<text x="10" y="{base - LANE / 2 + 15:.0f}" font-size="10">{updates}</text>'
    yield f'<path class="axis" d="M{LEFT:.0f} {base:.1f}H{LEFT + WIDTH:.0f}"/>'
    for x, share in _thinned(rows, steps, largest):
        yield f'<path class="bar" d="M{x:.1f} {base:.1f}v{-LANE * share:.1f}"/>'


def _moves(rows: Sequence[Row], level: str) -> Iterator[tuple[float, float]]:
    """Yield (token, size) of every piece in which a level moved."""
    before = 0.0
    for row in rows:
        now = row.get(f"updates/{level}", before)
        if now > before:
            yield row["tokens"], row.get(f"moved/{level}", 0.0)
        before = now


def _thinned(
    rows: Sequence[Row], steps: Iterable[tuple[float, float]], largest: float
) -> Iterator[tuple[float, float]]:
    tallest: dict[int, float] = {}
    for token, size in steps:
        at = int(token / rows[-1]["tokens"] * MOST_BARS)
        tallest[at] = max(tallest.get(at, 0.0), size / largest if largest else 0.0)
    return ((LEFT + WIDTH * at / MOST_BARS, max(share, 0.05)) for at, share in tallest.items())


def _loss(rows: Sequence[Row], place: int) -> Iterator[str]:
    base, losses = TOP + (place + 1) * (LANE + GAP) - GAP / 2, [row["train_loss"] for row in rows]
    low, high = min(losses), max(losses)
    span = high - low or 1.0
    stride = max(1, len(rows) // MOST_BARS)
    points = " ".join(
        f"{LEFT + WIDTH * row['tokens'] / rows[-1]['tokens']:.1f},"
        f"{base - LANE * (row['train_loss'] - low) / span:.1f}"
        for row in rows[::stride]
    )
    yield f'<text x="10" y="{base - LANE / 2:.0f}">loss of each piece</text>'
    yield f'<text x="10" y="{base - LANE / 2 + 15:.0f}">{low:.3f} to {high:.3f} nats</text>'
    yield f'<polyline class="loss" points="{points}"/>'
