"""Which optimizers train what with which learning rates, and what is known of it so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import cells
from benchmarks.failure import BenchmarkError
from benchmarks.training import Task

MODELS = ("transformer-tiny", "hope-tiny")
OPTIMIZERS = ("adamw", "muon", "m3-ema", "delta-momentum", "dmgd", "dgd")
RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
MORE_SEEDS = (1, 2)
LAST, WARMUP = 0.1, 0.1  # the last rate as a share of the highest; steps of warm-up as a share
CELLS = "cells.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """One optimizer with one rate and one seed on one model, trained.

    Attributes:
        key: the folder of its run, which other settings or an edited spec don't share.
        spec: name of the model.
        optimizer: name of it.
        rate: the highest learning rate.
        seed: of first weights and batches.
        steps: that it was to take.
        nats: loss a byte over the whole validation text after the last step; None if it diverged.
        seconds: of one step with its optimizer, a median; None if it diverged.
        threads: that PyTorch might use.
        reason: why it ended early; empty if it didn't.
    """

    key: str
    spec: str
    optimizer: str
    rate: float
    seed: int
    steps: int
    nats: float | None
    seconds: float | None
    threads: int
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to train.

    Attributes:
        only: names of models and optimizers; all of either if none of it is named.
        rates: the grid, ascending.
        steps: of every training.
        data: in place of the specs' own.
        jobs: trainings at a time.
        threads: that PyTorch may use in each.
        out: the folder that keeps runs and cells.
        plot: the picture to write, or None.
        table_only: whether to print what is finished and train nothing.
    """

    only: tuple[str, ...]
    rates: tuple[float, ...]
    steps: int
    data: str | None
    jobs: int
    threads: int
    out: Path
    plot: Path | None
    table_only: bool

    def models(self) -> tuple[str, ...]:
        """Return those to train."""
        return _chosen(MODELS, self.only)

    def optimizers(self) -> tuple[str, ...]:
        """Return those to train with."""
        return _chosen(OPTIMIZERS, self.only)

    def require_known(self) -> None:
        """Refuse names that are no part of the comparison.

        Raises:
            BenchmarkError: naming them all.
        """
        unknown = [f"`{name}`" for name in self.only if name not in MODELS + OPTIMIZERS]
        if unknown:
            known = ", ".join(MODELS + OPTIMIZERS)
            raise BenchmarkError(f"{', '.join(unknown)}: not compared; choose from {known}")

    def task(self, model: str, optimizer: str, rate: float, seed: int) -> Task:
        """Return one training; warm-up and last rate keep their proportions whatever the rate."""
        settings = {
            "training.optimizer": optimizer,
            "training.lr": repr(rate),
            "training.min_lr": f"{LAST * rate:g}",
            "training.warmup": str(round(WARMUP * self.steps)),
            "training.val_interval": str(self.steps),
        }
        if self.data is not None:
            settings["training.data"] = self.data
        return Task(
            spec=model, seed=seed, threads=self.threads, settings=settings, steps=self.steps
        )


def current(plan: Plan) -> list[Training]:
    """Return the finished trainings of the plan, of the specs as they are now."""
    found = []
    for cell in cells.read(plan.out / CELLS, Training):
        if cell.spec not in plan.models() or cell.optimizer not in plan.optimizers():
            continue
        task = plan.task(cell.spec, cell.optimizer, cell.rate, cell.seed)
        if cell.rate in plan.rates and cell.key == task.folder():
            found.append(cell)
    return found


def best_rate(found: Iterable[Training], model: str, optimizer: str) -> float | None:
    """Return the rate with the lowest loss of seed 0; None if nothing was trained or all
    diverged.
    """
    losses = {
        cell.rate: cell.nats
        for cell in found
        if (cell.spec, cell.optimizer, cell.seed) == (model, optimizer, 0) and cell.nats is not None
    }
    return min(losses, key=lambda rate: losses[rate]) if losses else None


def _chosen(known: tuple[str, ...], only: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in known if name in only) or known
