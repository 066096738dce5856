"""What levels that learn while they read make of a second author, and keep of the first.

One model is trained on the first text, with all its MLPs still. Then, with the very same weights,
some of its MLPs are put on clocks (ad-hoc level stacking, arXiv 2512.24695, section 7.3), and it
reads a second author's text once, in order; then more of the first text. The table is over the
number of levels and the period of the slowest one, as in the paper's Fig. 7. Levels are a factor
of four apart, and the slowest is the last MLP of each layer.

A finished reading is one line of a file, as in the zoo.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from benchmarks import cells, environment
from benchmarks.levels_read import (
    MEMORIES,
    MOST_LEVELS,
    Reading,
    Setting,
    kept_by_level,
    paid,
)
from benchmarks.online import grafted, read, rows_of
from benchmarks.training import Task, train
from nestgraph.compiler import compile_model
from nestgraph.data import load_corpus
from nestgraph.language.spec import load
from nestgraph.training import load_run

SPEC = Path(__file__).with_suffix(".yaml")
CELLS = "readings.jsonl"
PERIODS = (512, 2048)  # of the slowest level


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to read.

    Attributes:
        first: the text that the model is trained on.
        second: another author's.
        seeds: of trainings.
        steps: of each training; the spec's own if None.
        rate: of the levels.
        rows: parts of a text that are read side by side; each has levels of its own.
        length: tokens of each row of the second text.
        back: tokens of each row of the first text that is read after it.
        out: the folder that keeps runs and readings.
        threads: that PyTorch may use.
        table_only: whether to print what is finished and train nothing.
    """

    first: str
    second: str
    seeds: tuple[int, ...]
    steps: int | None
    rate: float
    rows: int
    length: int
    back: int
    out: Path
    threads: int
    table_only: bool

    def settings(self) -> list[Setting]:
        """Return no level, then one, two and three, each with every slowest period."""
        still = Setting(levels=0, slowest=0, rate=0.0)
        return [still] + [
            Setting(levels=levels, slowest=period, rate=self.rate)
            for levels in range(1, MOST_LEVELS + 1)
            for period in PERIODS
        ]

    def task(self, seed: int) -> Task:
        """Return the training of a seed."""
        return Task(
            spec=str(SPEC),
            seed=seed,
            threads=self.threads,
            settings={"training.data": self.first},
            steps=self.steps,
        )

    def key(self, setting: Setting, seed: int) -> str:
        """Return what other weights, levels, texts or lengths don't share."""
        levels = load(str(SPEC), setting.overrides()).resolved_yaml()
        wishes = f"{levels}{self.second} {self.rows} {self.length} {self.back}"
        digest = hashlib.sha256(wishes.encode()).hexdigest()[:8]
        return f"{self.task(seed).folder()}/{setting.levels}-{setting.slowest}-{digest}"

    def texts(self) -> Texts:
        """Return what is read, in this order; the model has seen none of it."""
        first, second = load_corpus(self.first), load_corpus(self.second)
        return Texts(
            second=rows_of(second.train, self.rows, self.length),
            back=rows_of(first.validation, self.rows, self.back),
            more=rows_of(second.validation, self.rows, self.back),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Texts:
    """Tokens (rows, time + 1) that the model has not seen.

    Attributes:
        second: the second author's.
        back: held out of the first text; what is forgotten is measured on it too.
        more: of the second author, by which is measured what a level has learned.
    """

    second: torch.Tensor
    back: torch.Tensor
    more: torch.Tensor


def read_on(plan: Plan) -> int:
    """Train and read what is missing, and print the tables."""
    torch.set_num_threads(plan.threads)
    print(environment.sentence(environment.describe(plan.threads)), flush=True)
    file = plan.out / CELLS
    wanted = {plan.key(s, seed): (s, seed) for seed in plan.seeds for s in plan.settings()}
    done = {reading.key for reading in cells.read(file, Reading)}
    missing = {} if plan.table_only else {k: w for k, w in wanted.items() if k not in done}
    for number, (key, (setting, seed)) in enumerate(missing.items(), start=1):
        reading = _reading(plan, key, setting, seed)
        cells.add(file, reading)
        name = f"{setting.levels} levels, slowest {setting.slowest}, seed {seed}"
        print(f"{number} of {len(missing)}: {name}: {reading.online:.4f}", flush=True)
    # Two commands at a time may both have made one: it counts once.
    each = {reading.key: reading for reading in cells.read(file, Reading)}
    found = [reading for key, reading in each.items() if key in wanted]
    print(f"\n{_sizes(plan)}\n\n{paid(found)}\n\n{kept_by_level(found)}")
    return 0


def _reading(plan: Plan, key: str, setting: Setting, seed: int) -> Reading:
    run = Path(train(plan.task(seed), plan.out).run)
    began, texts = time.monotonic(), plan.texts()
    still, frozen = _model({}, run), _frozen(run, plan)
    model = _model(setting.overrides(), run)
    second = read(model, texts.second)
    back = read(model, texts.back, second.state)

    def alone(level: str, text: torch.Tensor) -> float:
        return read(still, text, grafted(still, second.state, [MEMORIES[level]])).bits

    return Reading(
        key=key,
        seed=seed,
        levels=setting.levels,
        slowest=setting.slowest,
        online=second.bits,
        back=back.bits,
        lost={name: alone(name, texts.back) - frozen[0] for name in setting.periods()},
        gained={name: frozen[1] - alone(name, texts.more) for name in setting.periods()},
        minutes=(time.monotonic() - began) / 60,
    )


@cache
def _frozen(run: Path, plan: Plan) -> tuple[float, float]:
    """Return bits a byte of the weights as trained: of what is read last of the first text, of
    `more`.
    """
    texts, model = plan.texts(), _model({}, run)
    return read(model, texts.back).bits, read(model, texts.more).bits


def _model(overrides: Mapping[str, str], run: Path) -> torch.nn.Module:
    """Return the weights of a run under levels."""
    model = compile_model(load(str(SPEC), overrides).system)
    model.load_state_dict(load_run(run).model.state_dict())
    return model


def _sizes(plan: Plan) -> str:
    """Return what the numbers of the tables are of."""
    return (
        f"Trained on {plan.first}, {plan.task(0).load().system.training.steps:,} steps; then "
        f"{plan.rows} x {plan.length:,} bytes of {plan.second}, then {plan.rows} x {plan.back:,} "
        f"held out of {plan.first}. Rate {plan.rate:g}. Bits per byte, means of seeds ± deviation."
    )
