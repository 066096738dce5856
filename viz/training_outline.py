"""What trains a model: its optimizer, with the optimizer's own memories, and what it moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from nestgraph import zoo
from nestgraph.graph import build_graph
from nestgraph.parameters import ParameterSpec, parameter_table
from nestgraph.spec import load
from nestgraph.system import System, Training
from nestgraph.viz.block import block_outline
from nestgraph.viz.boxes import LOSS, OPTIMIZER
from nestgraph.viz.outline import Link, Outline, Part


def training_outline(system: System, optimizer: System | None = None) -> Outline:
    """Loss, optimizer and parameters of a model, or the flows of an optimizer.

    Args:
        system: a model or an optimizer.
        optimizer: what trains the model, where it is a spec: it is opened.
    """
    if system.optimizer is not None:
        return block_outline(build_graph(system, roll=True), system)
    loss = Part(id=LOSS, kind="loss", title="loss", facts=(("", "next token"),), tone="outer")
    moved = tuple(_moved(system))
    inner = None if optimizer is None else training_outline(optimizer)
    trainer = _optimizer(system.training, inner)
    links = [Link(source=LOSS, target=OPTIMIZER, kind="task")]
    ends = [OPTIMIZER]
    if inner is not None:
        links = [_fed(link) for link in inner.links]
        ends = [part.id for part in trainer.all() if _is_parameter(part)]
    links += [Link(source=end, target=part.id, kind="task") for end in ends for part in moved]
    return Outline(
        name=system.name, doc=system.doc, parts=(loss, trainer, *moved), links=tuple(links)
    )


def optimizer_of(system: System) -> System | None:
    """The optimizer of a model, if it is a spec that comes with nestgraph."""
    name = system.training.optimizer
    if system.model is None or name not in zoo.names():
        return None
    found = load(name).system
    return found if found.optimizer is not None else None


def together(model: Outline, training: Outline) -> Outline:
    """A model and what trains it; they meet at the loss."""
    known = {part.id for part in model.all()}
    more = tuple(part for part in training.parts if part.id not in known)
    return replace(model, parts=(*model.parts, *more), links=(*model.links, *training.links))


def _is_parameter(part: Part) -> bool:
    """Whether a part is what learns from the task: the parameter itself, or another optimizer."""
    learns = any(key == "objective" and text.startswith("task") for key, text in part.facts)
    return part.kind == OPTIMIZER or (part.kind == "write" and learns)


def _optimizer(training: Training, inner: Outline | None) -> Part:
    facts = (
        ("rate", f"{training.lr:g} to {training.min_lr:g}, warmup {training.warmup} steps"),
        ("betas", f"{training.betas[0]:g}, {training.betas[1]:g}"),
        ("decay", f"{training.weight_decay:g}"),
        ("clip", f"{training.clip:g}"),
    )
    if inner is None:
        return Part(
            id=OPTIMIZER, kind=OPTIMIZER, title=training.optimizer, facts=facts, tone="outer"
        )
    parts = tuple(_renamed(part) for part in inner.parts if part.id != LOSS)
    title = f"optimizer: {training.optimizer}"
    return Part(id=OPTIMIZER, kind="block", title=title, parts=parts)


def _renamed(part: Part) -> Part:
    return replace(part, id=_name(part.id), parts=tuple(map(_renamed, part.parts)), members=())


def _fed(link: Link) -> Link:
    return replace(link, source=_name(link.source), target=_name(link.target))


def _name(part: str) -> str:
    return part if part == LOSS else f"{OPTIMIZER}/{part}"


def _moved(system: System) -> Iterator[Part]:
    """The parameters by how often they move, the slowest first."""
    by_level: dict[tuple[int, str], list[ParameterSpec]] = {}
    for parameter in parameter_table(system):
        if parameter.trained:
            by_level.setdefault((-parameter.period, parameter.level), []).append(parameter)
    for (period, level), held in sorted(by_level.items()):
        counted: Counter[str] = Counter()
        for parameter in held:
            counted[parameter.role] += parameter.size
        yield Part(
            id=f"parameters {level}",
            kind="parameters",
            title=f"parameters: {level}",
            badge=f"{sum(counted.values()):,}",
            facts=(
                ("moves", "every step" if period == -1 else f"every {-period} steps"),
                *((role, f"{count:,}") for role, count in counted.items()),
            ),
            tone="outer",
        )
