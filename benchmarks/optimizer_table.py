"""What the optimizers reached, as Markdown: one table for each model."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.optimizer_plan import MORE_SEEDS, Plan, Training, best_rate
from nestgraph.display import markdown_text

DIVERGED, STAR = "diverged", "\\*"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One optimizer on one model.

    Attributes:
        optimizer: its name.
        rate: the best of the grid; None if nothing ended well.
        grid: its trainings with seed 0, by rate.
        best: its trainings with the best rate, by seed.
    """

    optimizer: str
    rate: float | None
    grid: dict[float, Training]
    best: dict[int, Training]

    @property
    def losses(self) -> list[float]:
        """Nats of the best rate, seed by seed, without those that diverged."""
        return [cell.nats for cell in self.best.values() if cell.nats is not None]


def rows(plan: Plan, found: Sequence[Training], model: str) -> list[Row]:
    """Return the optimizers that were trained on a model, the lowest mean loss first."""
    every = [_row(plan, found, model, optimizer) for optimizer in plan.optimizers()]
    return sorted((row for row in every if row.grid), key=_order)


def tables(plan: Plan, found: Sequence[Training]) -> str:
    """Return a table for each model that anything was trained on, with remarks below it."""
    parts = [_table(plan, found, model) for model in plan.models()]
    return "\n\n".join(part for part in parts if part) or "nothing is finished yet"


def _table(plan: Plan, found: Sequence[Training], model: str) -> str:
    every = rows(plan, found, model)
    if not every:
        return ""
    head = (
        f"`{model}`, {plan.steps} steps",
        "rate",
        "mean nats",
        *(f"seed {seed}" for seed in (0, *MORE_SEEDS)),
        *(f"rate {rate:g}" for rate in plan.rates),
        "ms a step",
    )
    lines = markdown_text.table(head, (tuple(_cells(plan, row)) for row in every))
    return "\n".join([*lines, *(f"\n{remark}" for remark in _remarks(plan, every))])


def _row(plan: Plan, found: Sequence[Training], model: str, optimizer: str) -> Row:
    own = [cell for cell in found if (cell.spec, cell.optimizer) == (model, optimizer)]
    rate = best_rate(own, model, optimizer)
    return Row(
        optimizer=optimizer,
        rate=rate,
        grid={cell.rate: cell for cell in own if cell.seed == 0},
        best={cell.seed: cell for cell in own if cell.rate == rate},
    )


def _order(row: Row) -> float:
    return statistics.fmean(row.losses) if row.losses else float("inf")


def _cells(plan: Plan, row: Row) -> Iterator[str]:
    yield f"`{row.optimizer}`"
    star = STAR if _at_edge(plan, row) else ""
    yield "" if row.rate is None else f"{row.rate:g}{star}"
    yield f"{statistics.fmean(row.losses):.4f}" if row.losses else DIVERGED
    yield from (_nats(row.best.get(seed)) for seed in (0, *MORE_SEEDS))
    yield from (_nats(row.grid.get(rate)) for rate in plan.rates)
    seconds = [cell.seconds for cell in row.best.values() if cell.seconds is not None]
    yield f"{1000 * statistics.median(seconds):.0f}" if seconds else ""


def _nats(cell: Training | None) -> str:
    if cell is None:
        return ""
    return DIVERGED if cell.nats is None else f"{cell.nats:.4f}"


def _at_edge(plan: Plan, row: Row) -> bool:
    """Return whether a rate outside the grid may be better."""
    return row.rate in (min(plan.rates), max(plan.rates))


def _remarks(plan: Plan, every: Iterable[Row]) -> Iterator[str]:
    every = list(every)
    if any(_at_edge(plan, row) for row in every):
        yield f"{STAR} at the edge of the grid: a rate outside of it may be better"
    for row in every:
        cells = {cell.key: cell for cell in (*row.grid.values(), *row.best.values())}
        for cell in cells.values():
            if cell.reason:
                yield f"`{cell.optimizer}`, rate {cell.rate:g}, seed {cell.seed}: {cell.reason}"
