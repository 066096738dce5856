"""Who takes part: specs, and beside each its controls and ablations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nestgraph.errors import InputError
from nestgraph.evaluation.controls import Controls, Match, ablations_of, controls_of
from nestgraph.evaluation.fitted import (
    as_chosen,
    fitted,
    model_of_optimizer,
    of_its_size,
    require_fit,
)
from nestgraph.evaluation.task import Task
from nestgraph.findings import did_you_mean, listed
from nestgraph.language.spec import Spec
from nestgraph.rewriting import ABLATIONS, Measure, as_large


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a comparison.

    Attributes:
        name: of it in a table.
        spec: of its model.
        of: the side that it is a control or an ablation of; empty if it is none.
        way: of carrying the task out, where its kind has several; empty for the plain one.
    """

    name: str
    spec: Spec
    of: str = ""
    way: str = ""


def sides_of(
    specs: Sequence[Spec],
    task: Task,
    *,
    controls: Controls,
    ablations: Sequence[str],
    match: Match = "none",
) -> tuple[Side, ...]:
    """Return all sides of a table, each spec followed by those that are made from it.

    Args:
        specs: of models; of optimizers where the task is about them.
        task: that all must be able to take.
        controls: which to put beside each spec.
        ablations: names of what to leave out, one at a time.
        match: what every spec is to have as much of as the first.

    Raises:
        InputError: a spec is named twice or doesn't fit (NG933), a name is no ablation (NG937),
            or a spec lacks what a control or ablation takes away (NG955), or can't be matched in
            size (NG956).
        SpecError: a spec has errors with the settings of the task.
    """
    if not specs:
        raise InputError("NG933", f"no spec is to be evaluated on `{task.label}`", "name one")
    names = [_name(spec, specs) for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise InputError("NG933", f"`{name}` is named twice", "leave one of them away")
    found: list[Side] = []
    _require_ablations(ablations)
    for name, spec in zip(names, specs, strict=True):
        require_fit(spec, task)
        if spec.system.optimizer is not None:
            spec = model_of_optimizer(spec)
        found.append(_matched(Side(name=name, spec=spec), found, task, match))
        found.extend(_made_from(found[-1], task, controls, ablations))
    for side in found:
        fitted(side.spec, task, rate=task.rates[0], seed=0, steps=task.steps, constant=False)
    return tuple(found)


def _matched(side: Side, before: Sequence[Side], task: Task, match: Match) -> Side:
    """Return a side that is as large as the first one, with the vocabulary and the context of the
    task.
    """
    if match == "none" or not before:
        return side
    one, first = of_its_size(side.spec, task), of_its_size(before[0].spec, task)
    sized = as_large(one, first, Measure(match))
    if not sized.changed:
        return side
    return Side(name=f"{side.name} ({sized.changed})", spec=as_chosen(sized.spec, side.spec))


def _require_ablations(names: Sequence[str]) -> None:
    for name in names:
        if name not in ABLATIONS:
            hint = did_you_mean(name, ABLATIONS) or f"there are {listed(ABLATIONS)}"
            raise InputError("NG937", f"nothing called `{name}` can be left out", hint)


def _name(spec: Spec, specs: Sequence[Spec]) -> str:
    """Return its name if it ships, else its path; with what was changed where another is called
    alike.
    """
    name = _plain_name(spec)
    if sum(name == _plain_name(other) for other in specs) == 1 or not spec.overrides:
        return name
    changes = ", ".join(f"{path}={value}" for path, value in spec.overrides.items())
    return f"{name} ({changes})"


def _plain_name(spec: Spec) -> str:
    return spec.system.name if spec.path in spec.shipped else spec.path


def _made_from(
    side: Side, task: Task, controls: Controls, ablations: Sequence[str]
) -> Iterator[Side]:
    if controls == "baselines" or (controls == "all" and task.kind == "continual"):
        yield from _baselines(side, task)
    if controls in ("none", "baselines") and not ablations:
        return
    spec = of_its_size(side.spec, task)
    for made in (*controls_of(spec, controls), *ablations_of(spec, ablations)):
        note = f" ({made.note})" if made.note else ""
        yield Side(
            name=f"{side.name}: {made.name}{note}",
            spec=as_chosen(made.spec, side.spec),
            of=side.name,
        )


def _baselines(side: Side, task: Task) -> Iterator[Side]:
    """Yield what stands beside a model that learns one task after another."""
    if task.kind != "continual":
        said = f"`{task.label}` is one task, and baselines are for tasks that come in a row"
        raise InputError("NG937", said, "use --controls none")
    from nestgraph.evaluation.continual.baselines import baselines

    for name, spec, way in baselines(task, side.spec):
        yield Side(name=f"{side.name}: {name}", spec=spec, of=side.name, way=way)
