"""How far each level moves, what surprises it, and how large it is, while a model trains.

For a level on steps, `update_norm` is the Euclidean norm of one update of its parameters,
`surprise` that of the gradient behind it, after clipping, in the mean over the steps since its
last tick, and `state_norm` that of the parameters. For a level on tokens, the first and the last
are of one memory's running matrices in the mean over its memories and the rows of a batch: how far
a training sequence has moved them from where they started, and how large they are at its end;
`surprise` is that of the gradient behind its last move where it learns from the task, and else,
at validations, that of the gradients at the first positions of a row (`reference.surprise`); both
as a root mean square over its memories.

Measured is about every tenth step, or every tick of a level that ticks more rarely, so that it
costs next to nothing; a step is measured or not by its number alone, so that a run that was stopped
and resumed has the same table as one that never stopped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from nestgraph.analysis.online_memories import online_memories
from nestgraph.compiler.optimizers.optimizer import (
    LEVEL,
    PERIOD,
    UPDATES,
    WAITED,
    Group,
    NestedOptimizer,
)
from nestgraph.language.system import System
from nestgraph.training.levels import token_levels, token_memories
from nestgraph.training.metrics_file import Row
from nestgraph.training.module import NestModule, inputs_and_targets
from nestgraph.training.surprise import Surprise

EVERY = 10  # steps from measurement to measurement
RUNNING = re.compile(r"A\d+$")
"""Names of the running matrices within a memory's state."""


class Sizes(L.Callback):
    """Measures the levels; `row` has the numbers of the last step."""

    def __init__(self, system: System) -> None:
        self._token_levels = tuple(token_levels(system))
        self._homes = {f"{name}.": one.level.name for name, one in token_memories(system)}
        self._from_task = _task_levels(system)
        self._surprise = Surprise(system)
        self._batch: Any = None
        self._row: Row = {}
        self._names: dict[str, None] = {}
        self._before: list[tuple[str, list[Tensor], list[Tensor]]] = []
        self._handles: list[RemovableHandle] = []
        self._squares: dict[str, float] = {}
        self._optimizer: NestedOptimizer | None = None
        self._due = False

    def row(self) -> Row:
        """Return every column, without a number where nothing was measured."""
        return {**dict.fromkeys(self._names), **self._row}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Look at the optimizer's updates and at the states of the model from now on."""
        module = cast(NestModule, pl_module)
        optimizer = module.optimizers(use_pl_optimizer=False)
        levels = list(self._token_levels)
        surprised = [*self._surprise.levels, *self._from_task]
        if isinstance(optimizer, NestedOptimizer):
            levels += [group[LEVEL] for group in optimizer.param_groups]
            self._optimizer, optimizer.seen = optimizer, self._see
            pre, post = self._keep_parameters, self._measure_updates
            self._handles = [
                optimizer.register_step_pre_hook(pre),
                optimizer.register_step_post_hook(post),
            ]
        if self._homes:
            self._handles.append(module.model.register_forward_hook(self._look_at_states))
        surprised += [level for level in levels if level not in self._token_levels]
        columns = (("update_norm", levels), ("surprise", surprised), ("state_norm", levels))
        self._names = dict.fromkeys(f"{what}/{level}" for what, some in columns for level in some)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Forget the last step."""
        self._row, self._batch = {}, batch
        self._due = (trainer.global_step + 1) % EVERY == 0

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Ask how much the step's first row surprises memories with objectives of their own."""
        if self._batch is not None:
            tokens, _ = inputs_and_targets(self._batch)
            found = self._surprise.of(cast(NestModule, pl_module), tokens)
            self._row |= {f"surprise/{level}": size for level, size in found.items()}

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Look no more."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        if self._optimizer is not None:
            self._optimizer.seen = None

    def _look_at_states(self, model: Any, _inputs: Any, output: Any) -> None:
        if self._due and model.training:
            self._measure_states(model, output[1])  # of an `Output`, or of a loss

    def _keep_parameters(self, optimizer: Any, _args: Any, _kwargs: Any) -> None:
        due: dict[str, list[Tensor]] = {}
        for group in filter(_is_measured, optimizer.param_groups):
            due.setdefault(group[LEVEL], []).extend(group["params"])
        self._squares = dict.fromkeys(due, 0.0)
        self._before = [
            (level, parameters, [p.detach().clone() for p in parameters])
            for level, parameters in due.items()
        ]

    def _see(self, group: Group, gradients: list[Tensor]) -> None:
        """Add up what a tick learns from."""
        if group[LEVEL] in self._squares:
            self._squares[group[LEVEL]] += _norm(gradients) ** 2
            self._row[f"surprise/{group[LEVEL]}"] = math.sqrt(self._squares[group[LEVEL]])

    def _measure_updates(self, _optimizer: Any, _args: Any, _kwargs: Any) -> None:
        for level, parameters, before in self._before:
            moved = [p.detach() - old for p, old in zip(parameters, before, strict=True)]
            self._row[f"update_norm/{level}"] = _norm(moved)
            self._row[f"state_norm/{level}"] = _norm([p.detach() for p in parameters])
        self._before = []

    @torch.no_grad()
    def _measure_states(self, model: Any, state: Mapping[str, Any]) -> None:
        last, first = model.flat_state(state), model.flat_state(model.initial_state(1))
        sizes: dict[str, list[tuple[float, float]]] = {}
        for memory, level in self._homes.items():
            names = [n for n in last if n.startswith(memory) and RUNNING.match(n[len(memory) :])]
            moved = _row_norm([last[name] - first[name] for name in names])
            sizes.setdefault(level, []).append((moved, _row_norm([last[name] for name in names])))
        for level, pairs in sizes.items():
            moved, size = (math.fsum(numbers) / len(pairs) for numbers in zip(*pairs, strict=True))
            self._row |= {f"update_norm/{level}": moved, f"state_norm/{level}": size}
        for level, moves in model.moves(state).items():
            self._row[f"surprise/{level}"] = math.sqrt(moves.surprise)


def _is_measured(group: Group) -> bool:
    """Return whether a group ticks at this step and this tick is one to measure."""
    ticks = group[WAITED] + 1 >= group[PERIOD]
    return ticks and bool((group[UPDATES] + 1) % max(1, EVERY // group[PERIOD]) == 0)


def _task_levels(system: System) -> set[str]:
    """Return the levels on tokens whose memories learn from the task's own loss."""
    return {m.level.name for _, m in online_memories(system.model)} if system.model else set()


def _norm(tensors: list[Tensor]) -> float:
    """Return the Euclidean norm of all numbers together."""
    return math.sqrt(math.fsum(float(t.double().square().sum()) for t in tensors))


def _row_norm(tensors: list[Tensor]) -> float:
    """Return the Euclidean norm of each row's numbers together, in the mean over the rows."""
    squares = [t.double().flatten(1).square().sum(1) for t in tensors]
    return float(torch.stack(squares).sum(0).sqrt().mean())
