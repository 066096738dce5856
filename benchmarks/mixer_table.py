"""Every recurrent mixer of the zoo beside attention and its own eager reference, as one table.

A finished row is one line of `cells.jsonl`, so that the command may be stopped, and split over
calls with `--only`. Speed is measured in processor time, all threads together: others on the
machine stretch it much less than the time on the wall.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks import environment, naive
from benchmarks.compiled import system_of
from benchmarks.families import Family, chosen
from benchmarks.memory import peak_bytes
from benchmarks.obstacles import obstacles
from benchmarks.products import flops_of, plain_seconds, products_of
from benchmarks.steps import Size, Step
from benchmarks.suites.gated_deltanet import attention_step
from nestgraph.reference import Reference

CHUNKS = (16, 64)
TOKENS = 2048  # in a step, in as many sequences as it takes; longer ones alone
ATTENTION = "SDPA attention"
EAGER_TOKENS = 32  # positions for the interpreter, whose cost is that of one position times them
ENOUGH = 0.4
HEAD = ("", "chunk", "tokens/s", "× attention", "× eager", "× naive", "MiB", "of GEMM", "else")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One mixer at one chunk length.

    Attributes:
        name: of its spec.
        chunk: tokens between two commits; 0 where there are none.
        threads: that PyTorch might use.
        tokens: a second of processor time, forward and backward.
        attention: the same of an SDPA attention mixer, timed in the same rounds.
        eager: the same of the interpreter in float32.
        naive: the same of a mixer around flash-linear-attention's naive function; 0 without.
        peak: bytes.
        share: of the FLOP/s that plain products of the same shapes reach in this run.
        gflops: a second, of the products executed.
        obstacles: what takes the rest of the time.
        length: tokens of a sequence.
    """

    name: str
    chunk: int
    threads: int
    tokens: float
    attention: float
    eager: float
    naive: float
    peak: int
    share: float
    gflops: float
    obstacles: str
    length: int = 512


def fill_mixers(
    names: tuple[str, ...],
    *,
    rounds: int,
    threads: int,
    out: Path,
    table_only: bool,
    length: int = 512,
) -> int:
    """Measure what isn't measured yet, and print the table."""
    size = Size(batch=max(1, TOKENS // length), time=length)
    torch.set_num_threads(threads)
    print(environment.sentence(environment.describe(threads)), flush=True)
    file = out / "cells.jsonl"
    out.mkdir(parents=True, exist_ok=True)
    done = {(cell.name, cell.chunk) for cell in _kept(file, threads, length)}
    for family in () if table_only else chosen(names):
        for chunk in CHUNKS if family.chunk else (0,):
            if (family.name, chunk) in done:
                continue
            cell = measure(family, chunk, rounds=rounds, threads=threads, size=size)
            with file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(asdict(cell)) + "\n")
            print(f"{family.name} {chunk or ''}: {cell.tokens:,.0f} tokens/s", flush=True)
    print(f"\n{size}\n\n{table(_kept(file, threads, length))}")
    return 0


def measure(family: Family, chunk: int, *, rounds: int, threads: int, size: Size) -> Cell:
    """Return one row of the table."""
    steps = {"mine": family.step(size, chunk or None), "attention": attention_step(size)}
    other = naive.step(family.name, size)
    steps |= {"naive": other} if other is not None else {}
    seconds = _seconds(steps, rounds)
    found = products_of(steps["mine"])
    return Cell(
        name=family.name,
        chunk=chunk,
        threads=threads,
        tokens=size.tokens / seconds["mine"],
        attention=size.tokens / seconds["attention"],
        eager=_eager(family, size),
        naive=size.tokens / seconds["naive"] if other is not None else 0.0,
        peak=peak_bytes(steps["mine"]),
        share=plain_seconds(found) / seconds["mine"],
        gflops=flops_of(found) / seconds["mine"] / 1e9,
        obstacles=obstacles(steps["mine"]),
        length=size.time,
    )


def _seconds(steps: dict[str, Step], rounds: int) -> dict[str, float]:
    """Return median processor time of each step, the steps taking turns."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            spent = _spent(step)
            if turn:  # the first one warms up
                taken[name].append(spent)
    return {name: statistics.median(times) for name, times in taken.items()}


def _spent(step: Callable[[], object]) -> float:
    began = time.process_time()
    step()
    return time.process_time() - began


def _eager(family: Family, size: Size) -> float:
    """Return tokens a second of the interpreter: the whole model of one layer, token by token."""
    time_ = min(EAGER_TOKENS, size.time)
    settings = {"width": size.width, "heads": size.heads, "depth": 1, **family.settings}
    model = Reference(system_of(family.name, settings), dtype=torch.float32)
    tokens = torch.randint(16, (size.batch, time_))
    return size.batch * time_ / _spent(lambda: model(tokens).logits.sum().backward())


def _kept(file: Path, threads: int, length: int) -> list[Cell]:
    """Return finished rows of sequences that long; the last one of each mixer and chunk."""
    if not file.is_file():
        return []
    cells = [Cell(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
    fits = [cell for cell in cells if (cell.threads, cell.length) == (threads, length)]
    return list({(cell.name, cell.chunk): cell for cell in fits}.values())


def table(cells: Iterable[Cell]) -> str:
    """Return Markdown; what stands in the way is named where less than `ENOUGH` is reached."""
    rows = [HEAD, ("---", *["---:"] * (len(HEAD) - 2), "---"), *map(_row, cells)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(cell: Cell) -> tuple[str, ...]:
    return (
        f"`{cell.name}`",
        str(cell.chunk or ""),
        f"{cell.tokens:,.0f}",
        f"{cell.tokens / cell.attention:.2f}",
        f"{cell.tokens / cell.eager:.0f}",
        f"{cell.tokens / cell.naive:.1f}" if cell.naive else "",
        f"{cell.peak / 2**20:,.0f}",
        f"{cell.share:.0%}",
        cell.obstacles if cell.share < ENOUGH else "",
    )
