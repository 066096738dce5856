"""What trains a model: its optimizer, with the optimizer's own memories, and what it moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from nestgraph.analysis.levels import instances
from nestgraph.analysis.parameters import ParameterSpec, parameter_table
from nestgraph.display.describe import aim
from nestgraph.graph.build import build_graph
from nestgraph.language.groups import choose, rules, traits_of
from nestgraph.language.models import model_of
from nestgraph.language.system import System, Training
from nestgraph.language.trainer import opened, trainer_of
from nestgraph.viz.flows.block_view import block_outline
from nestgraph.viz.flows.outline import Link, Outline, Part
from nestgraph.viz.flows.view import Facts
from nestgraph.viz.levels.nested import schedule_facts
from nestgraph.viz.scene.boxes import LOSS, OPTIMIZER

Moved = Mapping[str, tuple[ParameterSpec, ...]]
"""Parameters by the level that moves them, the slowest first."""


def training_outline(system: System) -> Outline:
    """Return loss, optimizer and parameters of a model, or the flows of an optimizer."""
    trainer = trainer_of(system)
    if trainer is None:
        whole = opened(system)
        return block_outline(build_graph(whole, roll=True), whole)
    inner = training_outline(trainer)
    frame = Part(
        id=OPTIMIZER,
        kind="block",
        title=f"optimizer: {trainer.name}",
        parts=tuple(_named(part, system.training) for part in inner.parts if part.id != LOSS),
    )
    moved = _moved(system)
    loss = Part(id=LOSS, kind="loss", title="loss", facts=_loss_facts(system), tone="outer")
    return Outline(
        name=system.name,
        doc=system.doc,
        parts=(loss, frame, *(_moved_part(level, held) for level, held in moved.items())),
        links=(*map(_fed, inner.links), *_moves(system, trainer, frame, moved)),
    )


def together(model: Outline, training: Outline) -> Outline:
    """Return a model and what trains it; they meet at the loss, of which training tells more."""
    known = {part.id for part in model.all()}
    loss = {part.id: part for part in training.parts if part.id in known}
    more = tuple(part for part in training.parts if part.id not in known)
    parts = tuple(loss.get(part.id, part) for part in model.parts)
    return replace(model, parts=(*parts, *more), links=(*model.links, *training.links))


def _loss_facts(system: System) -> Facts:
    model, clip = model_of(system), system.training.clip
    cut = (("", f"gradient cut at norm {clip:g}"),) if clip else ()
    return (("", aim(model.vocab, model.classes)), *cut)


def _named(part: Part, training: Training) -> Part:
    """Return a part of the optimizer's own outline under a name that no model has."""
    parts = tuple(_named(inner, training) for inner in part.parts)
    facts = part.facts
    if part.kind == "input" and part.title == "lr":
        facts = schedule_facts(training)
    return replace(part, id=trained_name(part.id), parts=parts, facts=facts, members=())


def _fed(link: Link) -> Link:
    return replace(link, source=trained_name(link.source), target=trained_name(link.target))


def trained_name(part: str) -> str:
    """Return the id of a part of an optimizer where a model stands beside it; the loss is of
    both.
    """
    return part if part == LOSS else f"{OPTIMIZER}/{part}"


def _moved(system: System) -> Moved:
    by_level: dict[tuple[int, str], list[ParameterSpec]] = {}
    for parameter in parameter_table(system):
        if parameter.trained:
            by_level.setdefault((-parameter.period, parameter.level), []).append(parameter)
    return {level: tuple(held) for (_, level), held in sorted(by_level.items())}


def moved_parts(system: System) -> Mapping[int, tuple[str, ...]]:
    """Return the boxes of parameters in a model's optimizer view, by the steps between their
    moves.
    """
    if trainer_of(system) is None:
        return {}
    found: dict[int, tuple[str, ...]] = {}
    for level, held in _moved(system).items():
        period = held[0].period
        found[period] = (*found.get(period, ()), _moved_id(level))
    return found


def _moved_id(level: str) -> str:
    return f"parameters {level}"


def _moved_part(level: str, held: tuple[ParameterSpec, ...]) -> Part:
    counted: Counter[str] = Counter()
    for parameter in held:
        counted[parameter.role] += parameter.size
    period = held[0].period
    return Part(
        id=_moved_id(level),
        kind="parameters",
        title=f"parameters: {level}",
        badge=f"{sum(counted.values()):,}",
        facts=(
            ("moves", "every step" if period == 1 else f"every {period} steps"),
            *((role, f"{count:,}") for role, count in counted.items()),
        ),
        tone="outer",
    )


def _moves(system: System, trainer: System, frame: Part, moved: Moved) -> Iterator[Link]:
    """Yield moves from what learns by the task in each group to the levels whose parameters it
    moves.
    """
    assert system.training.system is not None
    listed = rules(system.training.system)
    paths = [trained_name(path) for path, _ in instances(trainer)]
    learners = [[part.id for part in frame.all() if _learns(part, path)] for path in paths]
    for level, held in moved.items():
        chosen = {choose(listed, traits_of(parameter)) for parameter in held}
        for place in sorted(place for place in chosen if place is not None):
            for learner in learners[place]:
                yield Link(source=learner, target=_moved_id(level), kind="task")


def _learns(part: Part, group: str) -> bool:
    """Return whether a part is what learns from the task in a group: the parameter itself."""
    task = any(key == "objective" and text.startswith("task") for key, text in part.facts)
    return part.kind == "write" and task and part.id.startswith(f"{group}/")
