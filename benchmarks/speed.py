"""Runs a speed benchmark: times its sides in turn, and prints a table of each comparison."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import environment
from benchmarks.cli import ROUNDS
from benchmarks.memory import peak_bytes
from benchmarks.steps import Numbers, Product, Size
from benchmarks.suites import Comparison, Side, suite
from benchmarks.timing import Spread, Times, interleave, speed_ratio

LEGEND = """\
speed: how many times as fast as the first side, a ratio a round, their median and quartiles
by CPU time: the same of processor time; trust it more where others use the machine
peak: the most bytes alive in tensors that a step adds to what lived before it"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What was measured of one side.

    Attributes:
        name: of the side.
        seconds: of one step.
        best: the shortest step.
        speed: how many times as fast as the first side, round by round; 1 for that one.
        busy: the same of the time on the processors.
        tokens: a second; None for a side that has no tokens.
        flops: a second, by the formula; None if nobody counted.
        peak: bytes alive at once during a step; None where it means nothing.
        goal: of `speed`.
    """

    name: str
    seconds: Spread
    best: float
    speed: Spread | None
    busy: Spread | None
    tokens: float | None
    flops: float | None
    peak: int | None
    goal: float | None


def measure_suite(name: str, *, rounds: int, threads: int, file: Path | None = None) -> None:
    """Measure every comparison of a suite, print it, and perhaps writes the numbers down."""
    torch.set_num_threads(threads)
    surroundings = environment.describe(threads)
    print(environment.sentence(surroundings))
    print(f"float32, {rounds} rounds, the sides taking turns in each")
    if rounds < ROUNDS:
        print(f"fewer than {ROUNDS} rounds: a glance, nothing to quote")
    print(LEGEND)
    records = []
    for comparison in suite(name).comparisons():
        neighbours = environment.Neighbours()
        rows = measure(comparison, rounds)
        print(f"\n{table(comparison, rows)}\nmeanwhile others used {neighbours}")
        records.append(_record(comparison, rows, neighbours))
    if file is not None:
        content = {"benchmark": name, "rounds": rounds, "environment": surroundings}
        file.write_text(json.dumps(content | {"comparisons": records}, indent=2) + "\n")


def measure(comparison: Comparison, rounds: int) -> list[Row]:
    """Time the sides of a comparison, then take the peak memory of each."""
    steps = {side.name: side.build() for side in comparison.sides}
    times = interleave(steps, rounds=rounds)
    reference = times[comparison.sides[0].name]
    return [
        _row(side, comparison.size, times[side.name], reference, steps[side.name])
        for side in comparison.sides
    ]


def _row(side: Side, size: Size | Numbers, times: Times, reference: Times, step: Any) -> Row:
    seconds = Spread.of(times.wall)
    alien = isinstance(step, Product)
    return Row(
        name=side.name,
        seconds=seconds,
        best=min(times.wall),
        speed=None if alien else speed_ratio(times.wall, reference.wall),
        busy=None if alien else speed_ratio(times.processor, reference.processor),
        tokens=size.tokens / seconds.median if isinstance(size, Size) and not alien else None,
        flops=side.flops / seconds.median if side.flops else None,
        peak=None if alien else peak_bytes(step),
        goal=side.goal,
    )


def table(comparison: Comparison, rows: list[Row]) -> str:
    """Return the comparison as text."""
    first = comparison.sides[0].name
    head = [
        "",
        "ms a step",
        "quartiles",
        "best",
        "tokens/s",
        f"speed / {first}",
        "quartiles",
        "goal",
        "by CPU time",
        "peak MiB",
    ]
    counted = any(row.flops for row in rows)
    most = max((row.flops or 0.0 for row in rows if row.speed is None), default=0.0)
    cells = [[*head, *(["GFLOP/s", "of product"] if counted else [])]]
    cells += [[*_cells(row), *(_flops_cells(row, most) if counted else [])] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [f"{comparison.title}; {comparison.size}"]
    for name, *numbers in cells:
        aligned = [text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True)]
        lines.append("  ".join([f"  {name.ljust(widths[0])}", *aligned]).rstrip())
    checked = [comparison.check()] if comparison.check is not None else []
    return "\n".join([*lines, *checked, *comparison.notes])


def _cells(row: Row) -> list[str]:
    speed = row.speed
    return [
        row.name,
        f"{row.seconds.median * 1e3:.1f}",
        f"{row.seconds.low * 1e3:.1f}–{row.seconds.high * 1e3:.1f}",
        f"{row.best * 1e3:.1f}",
        _or(row.tokens, 1, ",.0f"),
        "" if speed is None else f"{speed.median:.3f}",
        "" if speed is None else f"{speed.low:.3f}–{speed.high:.3f}",
        "" if row.goal is None else f"{row.goal:g}",
        "" if row.busy is None else f"{row.busy.median:.3f}",
        _or(row.peak, 2**-20, ",.1f"),
    ]


def _flops_cells(row: Row, most: float) -> list[str]:
    """Return FLOP/s, and their share of what one large product reached in the same rounds."""
    share = row.flops / most if row.flops and most else None
    return [_or(row.flops, 1e-9, ".1f"), _or(share, 100, ".0f") + "%" * (share is not None)]


def _or(value: float | None, factor: float, form: str) -> str:
    return "" if value is None else format(value * factor, form)


def _record(
    comparison: Comparison, rows: list[Row], neighbours: environment.Neighbours
) -> dict[str, Any]:
    return {
        "title": comparison.title,
        "size": asdict(comparison.size),
        "cores_used_by_others": neighbours.cores(),
        "sides": [asdict(row) for row in rows],
    }
