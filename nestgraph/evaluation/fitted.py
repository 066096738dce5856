"""The spec of a model as a task needs it: vocabulary, context, batch, steps, rate and seed."""

from __future__ import annotations

import json

from nestgraph.errors import InputError
from nestgraph.evaluation.task import Task
from nestgraph.findings import listed
from nestgraph.language.models import model_of
from nestgraph.language.spec import Spec, load
from nestgraph.training.options import with_settings

MODEL = "transformer-tiny"
"""What an optimizer trains."""

OF_THE_RUN = {
    "vocab": "the task has its own",
    "vars.vocab": "the task has its own",
    "model.embed.vocab": "the task has its own",
    "training.context": "the task has its own",
    "training.lr": "give it with --lr",
    "training.min_lr": "it follows from --lr",
    "training.steps": "give them with --steps",
    "training.seed": "give it with --seeds",
}
"""Places of a spec that its author can't set, and why."""

BATCH, WARM = "training.batch", "training.warmup"
"""Places that an author may set, in place of the task."""

WARMUP = 100  # steps at most; a tenth of all if that is less


def require_fit(spec: Spec, task: Task) -> None:
    """Make sure that a task can take a spec as it was given.

    Raises:
        InputError: it is an optimizer where a model is wanted (NG723), or sets what the task and
            its run say (NG933).
    """
    if spec.system.optimizer is not None and task.kind != "optimizer":
        model_of(spec.system)
    for path in spec.overrides:
        if path in OF_THE_RUN:
            said = f"`{spec.path}` is given with `--set {path}=…`, which a run of eval sets itself"
            raise InputError("NG933", said, f"leave it away: {OF_THE_RUN[path]}")


def fitted(spec: Spec, task: Task, *, rate: float, seed: int, steps: int, constant: bool) -> Spec:
    """Return the spec that is trained.

    Args:
        spec: as given.
        task: what sets its vocabulary, its context and, unless its author did, its batch.
        rate: the highest learning rate.
        seed: of its weights.
        steps: of training.
        constant: whether the rate stays after the warm-up; else it falls to a tenth by a cosine.

    Raises:
        InputError: it is an optimizer (NG723).
        SpecError: it has errors with these settings.
    """
    settings = _of_task(spec, task) | {
        "training.lr": rate,
        "training.min_lr": rate if constant else rate / 10,
        "training.steps": steps,
        "training.seed": seed,
    }
    preferred = {BATCH: task.batch, WARM: min(WARMUP, steps // 10)}
    settings |= {path: it for path, it in preferred.items() if path not in spec.overrides}
    changed = with_settings(spec, settings)
    model_of(changed.system)
    return changed


def of_its_size(spec: Spec, task: Task) -> Spec:
    """Return the spec with the vocabulary and the context of a task, which sizes depend on.

    Raises:
        SpecError: it has errors with these settings.
    """
    return with_settings(spec, _of_task(spec, task))


def _of_task(spec: Spec, task: Task) -> dict[str, object]:
    settings: dict[str, object] = {
        "training.context": task.context,
        "model.embed.vocab": task.vocab,
    }
    if any(field.name == "vocab" for field in spec.variables()):
        settings["vars.vocab"] = task.vocab  # other parts may refer to it
    return settings


def as_chosen(made: Spec, spec: Spec) -> Spec:
    """Return a spec that was made from another one, with the batch and the warm-up that its author
    chose.

    Raises:
        SpecError: it has errors with these settings.
    """
    chosen = {path: spec.overrides[path] for path in (BATCH, WARM) if path in spec.overrides}
    return with_settings(made, chosen)


def model_of_optimizer(spec: Spec) -> Spec:
    """Return the model that an optimizer trains which was given as a spec of its own.

    Raises:
        InputError: the optimizer's spec was changed by overrides, which don't reach it (NG933).
        SpecError: it can't train this model.
    """
    if spec.overrides:
        said = f"{listed(spec.overrides)} can't be set in `{spec.path}`, which trains `{MODEL}`"
        raise InputError("NG933", said, "write a spec that extends it")
    name = spec.system.name if spec.path in spec.shipped else spec.path
    return load(MODEL, {"training.optimizer": json.dumps(name)})
