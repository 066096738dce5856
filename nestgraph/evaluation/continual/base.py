"""What a model knows before a stream of tasks: English, byte by byte, and none of its labels.

All sides of one architecture and seed begin with the same weights, which learned on one clock and
at one rate, whatever the clocks and the rate of the stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from nestgraph import training
from nestgraph.errors import InputError
from nestgraph.evaluation.continual.clocks import on_one_clock
from nestgraph.evaluation.continual.texts import DOMAINS, mixed, windows
from nestgraph.evaluation.task import Batch, Split, Task
from nestgraph.evaluation.training import derived, train
from nestgraph.language.spec import Spec
from nestgraph.training.options import with_settings

RATE = 2e-3
OWN_TEXT = {"banking77": "customers", "dbpedia14": "encyclopaedia"}
"""The domain that a task's own texts are of, which its base doesn't read."""

MOST = 8  # that are kept
_KNOWN: dict[str, Mapping[str, Tensor]] = {}


def base(task: Task, spec: Spec, steps: int) -> Mapping[str, Tensor]:
    """Return the weights of a model that has read texts.

    Args:
        task: that comes afterwards.
        spec: of the model, as the task trains it.
        steps: of reading; its first weights if 0.

    Raises:
        InputError: the loss or the gradients became no numbers (NG945).
    """
    rates = {"training.lr": RATE, "training.min_lr": RATE / 10}
    one = on_one_clock(with_settings(spec, {**rates, "training.steps": max(1, steps)}))
    key = f"{OWN_TEXT.get(task.name)}/{steps}/{one.resolved_yaml()}"
    if key not in _KNOWN:
        while len(_KNOWN) >= MOST:
            del _KNOWN[next(iter(_KNOWN))]
        _KNOWN[key] = _learned(task, one, steps)
    return _KNOWN[key]


def _learned(task: Task, spec: Spec, steps: int) -> Mapping[str, Tensor]:
    module = training.compile(spec)
    read = [name for name in DOMAINS if name != OWN_TEXT.get(task.name)]
    parts = [partial(windows, name, task.context) for name in read]
    rows, seed = spec.system.training.batch, spec.system.training.seed

    def batch_at(step: int) -> Batch:
        return mixed(parts, Split.TRAIN, derived(seed, step), rows)

    trained = train(module, batch_at) if steps else None
    if trained is not None and trained.failed:
        said = f"`{spec.path}` can't learn to read before `{task.label}`: {trained.ended}"
        raise InputError("NG945", said, "lower the rates of its memories, or set `base=0`")
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
