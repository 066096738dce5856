"""Do the memories learn in context? The same trained weights, with and without their learning.

A model is trained, then reads the validation text twice, in windows that each begin from the
initial state: once as it is, once with the inner rates at 0. Both give a loss at every position
of the window. Where memories are read as of their last tick, both agree before the first one.
Weights that were trained with learning may lean on it, so `--retrain` also trains a model that
never had it.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import environment
from benchmarks.failure import BenchmarkError
from benchmarks.training import Task, train
from nestgraph.compiler import compile_model
from nestgraph.data import load_corpus
from nestgraph.spec import Spec
from nestgraph.training import NestModule, load_run
from nestgraph.training.batches import ValidationBatches

WITH, WITHOUT, NEVER = "as trained", "without", "trained without"


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What to look at.

    Attributes:
        spec: a name or a path.
        without: PATH=VALUE that switches the inner learning off.
        steps: of training.
        seed: of training.
        run: a finished run in place of a training.
        retrain: also train without inner learning.
        context: tokens in a window; that of training if None.
        windows: at most so many; None takes all.
        out: the folder that keeps the runs and the curve.
        threads: that PyTorch may use.
    """

    spec: str
    without: str
    steps: int
    seed: int
    run: Path | None
    retrain: bool
    context: int | None
    windows: int | None
    out: Path
    threads: int

    def task(self, **settings: str) -> Task:
        """The training that it needs."""
        return Task(
            spec=self.spec,
            seed=self.seed,
            threads=self.threads,
            steps=self.steps,
            settings=settings,
        )


def answer(question: Question) -> int:
    """Trains, evaluates, prints, and keeps the curve in `curve.csv`."""
    torch.set_num_threads(question.threads)
    print(environment.sentence(environment.describe(question.threads)))
    path, value = _setting(question.without)
    run = question.run or Path(train(question.task(), question.out).run)
    module = load_run(run)
    windows = torch.cat(list(_windows(module.spec, question.context, question.windows)))
    losses = {
        WITH: losses_of(module.model, windows),
        WITHOUT: losses_of(switched_off(module, path, value), windows),
    }
    if question.retrain:
        never = load_run(train(question.task(**{path: value}), question.out).run)
        losses[NEVER] = losses_of(never.model, windows)
    print(f"\n{run}: {len(windows):,} windows of {windows.shape[1] - 1} bytes of validation text")
    print(f"{WITHOUT}: the same weights with {question.without}\n\n{summary(losses)}\n")
    print(curve(losses))
    question.out.mkdir(parents=True, exist_ok=True)
    write(question.out / "curve.csv", losses)
    print(f"\nevery position in {question.out / 'curve.csv'}")
    return 0


def switched_off(module: NestModule, path: str, value: str) -> torch.nn.Module:
    """The same weights under a spec with one value changed."""
    spec = module.spec
    changed = Spec.from_sources(spec.sources, spec.path, {**spec.overrides, path: value})
    model = compile_model(changed.system)
    model.load_state_dict(module.model.state_dict())
    return model


def losses_of(model: torch.nn.Module, windows: Tensor, batch: int = 64) -> Tensor:
    """Nats of every prediction, (windows, positions), in float64."""
    found = []
    with torch.no_grad():
        for rows in windows.split(batch):
            logits = model(rows[:, :-1]).logits
            loss = F.cross_entropy(logits.mT, rows[:, 1:], reduction="none")
            found.append(loss.double())
    return torch.cat(found)


def summary(losses: dict[str, Tensor]) -> str:
    """Means of each way, and how sure the difference is over windows."""
    lines = [f"{'':<17}{'nats':>8}{'bits/byte':>11}{'difference':>20}"]
    for name, found in losses.items():
        mean = found.mean().item()
        line = f"{name:<17}{mean:>8.4f}{mean / math.log(2):>11.4f}"
        if name != WITH:
            difference = (found - losses[WITH]).mean(1)
            error = difference.std() / math.sqrt(len(difference))
            line += f"{difference.mean().item():>+11.4f} ± {error.item():.4f}"
        lines.append(line)
    return "\n".join(lines)


def curve(losses: dict[str, Tensor]) -> str:
    """Loss by position in the window, in runs that double."""
    names = list(losses)
    lines = ["positions".ljust(11) + "".join(name.rjust(17) for name in [*names, "difference"])]
    for first, last in spans(losses[WITH].shape[1]):
        means = [losses[name][:, first - 1 : last].mean().item() for name in names]
        label = str(first) if first == last else f"{first}–{last}"
        numbers = "".join(f"{mean:>17.4f}" for mean in means)
        lines.append(f"{label:<11}{numbers}{means[1] - means[0]:>+17.4f}")
    return "\n".join(lines)


def spans(length: int) -> Iterator[tuple[int, int]]:
    """1, 2, 3–4, 5–8, 9–16, ... up to a length."""
    first = last = 1
    while first <= length:
        yield first, min(last, length)
        first, last = last + 1, last * 2


def write(file: Path, losses: dict[str, Tensor]) -> None:
    """The mean loss at every position."""
    means = [found.mean(0).tolist() for found in losses.values()]
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["position", *losses])
        writer.writerows(zip(itertools.count(1), *means, strict=False))


def _windows(spec: Spec, context: int | None, most: int | None) -> Iterator[Tensor]:
    """Windows of the validation text, all of one length."""
    training = spec.system.training
    context = context or training.context
    text = load_corpus(training.data).validation
    if len(text) <= context:
        raise BenchmarkError(
            f"the validation text holds {len(text):,} bytes, and a window takes {context + 1:,};"
            " set a smaller --context"
        )
    left = most or len(text)
    for rows in ValidationBatches(text, context=context, batch=training.batch):
        if left > 0 and rows.shape[1] == context + 1:
            yield rows[:left]
            left -= len(rows)


def _setting(text: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    if not (path and equals and value):
        raise BenchmarkError(f"`--without {text}` sets nothing; write `vars.max_rate=0`")
    return path, value
