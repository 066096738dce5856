"""What `ng.eval` gives back, and what the command runs: cells with their table."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from nestgraph.errors import InputError
from nestgraph.evaluation.cells import Cell
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.controls import Controls, Match
from nestgraph.evaluation.report import Summary, summaries, text_of
from nestgraph.evaluation.run import Plan, carry_out_plan
from nestgraph.evaluation.sides import sides_of
from nestgraph.evaluation.smoke import SEEDS as SMOKE_SEEDS
from nestgraph.evaluation.smoke import smoked
from nestgraph.findings import did_you_mean, listed
from nestgraph.language.spec import Spec
from nestgraph.runtime.seeds import checked_seed

SEEDS = (0, 1, 2)


@dataclass(frozen=True, kw_only=True)
class Results:
    """Results of an evaluation; as text they are a table of Markdown.

    Attributes:
        cells: one for each training, those that chose a rate among them.
    """

    cells: tuple[Cell, ...]

    @property
    def summaries(self) -> list[Summary]:
        """Means over seeds and differences by pairs, for each task."""
        return summaries(self.cells)

    def __str__(self) -> str:
        return "\n\n".join(text_of(summary) for summary in self.summaries)


def evaluate(
    task: str,
    specs: Sequence[Spec],
    *,
    seeds: Sequence[int] | None = None,
    steps: int | None = None,
    budget: float | None = None,
    rates: Sequence[float] | None = None,
    controls: Controls = "none",
    ablate: Sequence[str] = (),
    match: Match = "none",
    smoke: bool = False,
    file: Path | None = None,
    tell: Callable[[Cell], None] = lambda cell: None,
) -> Results:
    """Train and score specs on a task.

    Args:
        task: its name, with settings behind a colon: `mqar:K=16,T=128`.
        specs: of models, or of optimizers where the task is about them.
        seeds: of weights and rows; each is a training. 0, 1 and 2 if None.
        steps: of each training; those of the task if None.
        budget: seconds of processor time of each training, in place of steps.
        rates: learning rates to choose from; those of the task if None.
        controls: what to put beside each spec: `none`, `static`, `rates-off` or `all`.
        ablate: names of parts to leave out, one at a time.
        match: what every spec is to have as much of as the first: `parameters` or `flops`.
        smoke: whether to do the same on less of everything, one seed and one rate: whether a
            table will come to its end, not what it will say.
        file: where cells are kept; those that are there are not run again.
        tell: is given each cell once it is there.

    Raises:
        InputError: something can't be done as it was asked for.
        SpecError: a spec has errors with the settings of the task.
        KeyboardInterrupt: somebody stopped it; finished cells are in the file.
    """
    if controls not in get_args(Controls):
        known = did_you_mean(str(controls), get_args(Controls))
        raise InputError("NG937", f"there are no controls `{controls}`", known)
    found = find_task(task)
    if smoke:
        _require_plain(seeds=seeds, steps=steps, budget=budget, rates=rates)
        found, seeds = smoked(found), SMOKE_SEEDS
    sides = sides_of(specs, found, controls=controls, ablations=ablate, match=match)
    plan = Plan(
        task=found,
        sides=sides,
        seeds=tuple(checked_seed(seed) for seed in (SEEDS if seeds is None else seeds)),
        steps=None if steps is None else _whole(steps),
        budget=None if budget is None else _number("--budget", budget),
        rates=None if rates is None else tuple(_number("--lr", rate) for rate in rates),
        file=file,
        smoke=smoke,
    )
    return Results(cells=tuple(carry_out_plan(plan, tell)))


def _require_plain(**chosen: object) -> None:
    """Refuse what a smoke test chooses itself."""
    words = {"seeds": "--seeds", "steps": "--steps", "budget": "--budget", "rates": "--lr"}
    given = [words[name] for name, value in chosen.items() if value is not None]
    if given:
        said = f"`--smoke` stands beside {listed(given)}, and chooses seeds, steps and rates itself"
        raise InputError("NG932", said, "leave one of them away")


def _whole(steps: object) -> int:
    """Return steps as a plain number; those of other libraries count as such."""
    if isinstance(steps, bool) or not hasattr(steps, "__index__"):
        said = f"`--steps` (={steps!r}) must be a whole number"
        raise InputError("NG932", said, "leave it away for those of the task")
    return operator.index(steps)


def _number(name: str, value: object) -> float:
    """Return a plain number; those of other libraries count as such."""
    if isinstance(value, bool | str) or not hasattr(value, "__float__"):
        raise InputError("NG932", f"`{name}` (={value!r}) must be a number", "leave it away")
    return float(value)
