"""A stream that is only read: nothing is trained, and levels that count tokens learn on the way.

A trained model reads the rows of one task after another as one sequence, and its levels learn from
the labels of each position behind it. After each task the whole model, with all its levels as they
have become and standing still, is scored on all tasks; rows that are scored begin anew.

The rate of such a run is that of the levels, the var `rate` of the spec, which is 0 in training
and where the model is scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from nestgraph import training
from nestgraph.errors import InputError
from nestgraph.evaluation.continual.base import RATE, base
from nestgraph.evaluation.continual.ways import trimmed
from nestgraph.evaluation.procedures import Job
from nestgraph.evaluation.task import Batch, Draw, Split
from nestgraph.evaluation.training import Training, derived, train
from nestgraph.language.models import model_of
from nestgraph.language.spec import Spec
from nestgraph.runtime.labels import IGNORED
from nestgraph.runtime.output import Output
from nestgraph.training.options import with_settings

VAR = "rate"
PIECE = 512  # tokens that are given at once; the numbers don't depend on it

State = Mapping[str, Any]


class Reading:
    """A model that reads on.

    Attributes:
        nats: of each label that was read, before it was learned.
    """

    def __init__(self, job: Job, steps: int) -> None:
        """Take up the weights of the base.

        Args:
            job: that is carried out; its rate is that of the levels.
            steps: of training in the first task, where that is trained.

        Raises:
            InputError: the spec has no level that learns while it reads, or no such var (NG950).
        """
        self._job = job
        self._levels = levels_that_read(job.spec)
        rates = {"training.lr": RATE, "training.min_lr": RATE / 10, "training.steps": steps}
        begun = with_settings(job.spec, {f"vars.{VAR}": 0, **rates})
        self._still = training.compile(begun)
        self._still.load_state_dict(base(job.task, begun, int(job.task.settings["base"])))
        self._still.eval()
        inner = {f"vars.{VAR}": job.spec.system.training.lr}
        self._learner = training.compile(with_settings(begun, inner)).eval()
        self._state: State | None = None
        self.nats: list[float] = []

    def train(self, draw: Draw) -> Training:
        """Learn a task by training, with all levels still.

        Raises:
            InputError: the loss or the gradients became no numbers (NG945).
        """
        seed, rows = self._job.seed, self._job.spec.system.training.batch

        def batch_at(step: int) -> Batch:
            return trimmed(draw(Split.TRAIN, derived(seed, step), rows))

        self._still.train()
        trained = train(self._still, batch_at)
        if trained.failed:
            said = f"`{self._job.spec.path}` can't learn the first task: {trained.ended}"
            raise InputError("NG945", said, "lower the rates of its memories")
        return trained

    def read(self, draw: Draw, rows: int) -> None:
        """Read rows of a task behind each other."""
        if self._state is None:
            self._learner.load_state_dict(self._still.state_dict())
            self._state = self._learner.initial_state(1)
        batch = draw(Split.TRAIN, self._job.seed, rows)
        tokens, targets = _one_sequence(batch)
        for begin in range(0, tokens.shape[1], PIECE):
            part = slice(begin, begin + PIECE)
            with torch.no_grad():
                answer = self._learner(tokens[:, part], self._state, targets=targets[:, part])
            self._state = answer.state
            asked = targets[:, part] != IGNORED
            found = F.cross_entropy(
                answer.logits[asked].double(), targets[:, part][asked], reduction="none"
            )
            self.nats += found.tolist()

    def __call__(self, tokens: Tensor, state: State | None = None) -> Output:
        """Return scores by the whole model as it has become; rows without a state begin anew."""
        begun = self._begun(len(tokens)) if state is None else state
        return cast(Output, self._still(tokens, dict(begun)))

    def _begun(self, rows: int) -> State:
        """Return a first state whose levels are those of the reader."""
        first = self._still.initial_state(rows)
        if self._state is None:
            return first
        layers = {path: dict(parts) for path, parts in first["layers"].items()}
        for path, name in self._levels:
            moved = self._state["layers"][path][name].weights
            wide = tuple(weight.expand(rows, *weight.shape[1:]).clone() for weight in moved)
            layers[path][name] = layers[path][name]._replace(weights=wide)
        return {**first, "layers": layers, "open": {**first["open"], "layers": layers}}


def levels_that_read(spec: Spec) -> list[tuple[str, str]]:
    """Return layers and names of the memories that learn from the model's own loss while it reads.

    Raises:
        InputError: there are none, or their rate is no var (NG950).
    """
    found = [
        (layer.path, memory.name)
        for layer in model_of(spec.system).layers
        for memory in layer.block.memories.values()
        if memory.is_online
    ]
    if not found or VAR not in (field.name for field in spec.variables()):
        said = f"`moves=reading` needs levels on tokens whose rate is `${VAR}`, and `{spec.path}`"
        raise InputError("NG950", f"{said} has none", "`cms-chain` and `hope-online` have")
    return found


def _one_sequence(batch: Batch) -> tuple[Tensor, Tensor]:
    """Return all rows behind each other, without their padding (1, time)."""
    read = batch.tokens >= 0
    return batch.tokens[read][None], batch.targets[read][None]
