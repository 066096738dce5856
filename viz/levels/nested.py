"""The levels of a model and of its optimizer in one picture: one nested system.

The optimizer's memories take their places among the levels, each where the parameters move that
it is kept for. The loss is their stream, the schedule gives their rates, and what they move are
the parameters and the model's memories on steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nestgraph.analysis.levels import LevelRow, instances, nested_levels
from nestgraph.analysis.moving import Moving, memories_on_steps, moving
from nestgraph.analysis.parameters import ParameterSpec
from nestgraph.graph.build import build_graph
from nestgraph.language.system import System, Training
from nestgraph.viz.flows.build import build_view
from nestgraph.viz.flows.sources import PARAMETERS, SCHEDULE, STREAM
from nestgraph.viz.flows.view import Band, Facts, Group, View, Wire
from nestgraph.viz.scene.boxes import LOSS, OPTIMIZER

_FED = "fed"
_SHARED = {STREAM: LOSS, _FED: STREAM, SCHEDULE: SCHEDULE}
"""What an optimizer's view calls parts of the model's."""


def nested_view(system: System) -> View:
    """Return the view of a model, with the memories of the optimizer that trains it.

    Args:
        system: a model whose optimizer has been read.
    """
    trained = moving(system)
    assert trained is not None
    model = build_view(build_graph(system, roll=True))
    graph = build_graph(trained.system, roll=True)
    trainer = _renamed(build_view(graph, fed=_FED), system.training)
    moves = tuple(_moves(system, trained, model, trainer))
    bands = (
        Band(row=row, groups=tuple(_groups(row, model, trainer))) for row in nested_levels(system)
    )
    return replace(
        model,
        bands=tuple(bands),
        wires=(*_of_model(model, {wire.target for wire in moves}), *trainer.wires, *moves),
    )


def schedule_facts(training: Training) -> Facts:
    """Return the learning rate over a training, in two lines."""
    return (
        ("", f"{training.lr:g} to {training.min_lr:g}"),
        ("", f"{training.warmup} steps to warm up"),
    )


def _groups(row: LevelRow, *views: View) -> Iterator[Group]:
    """Yield what both views hold on the clock of a row."""
    for band in (band for view in views for band in view.bands):
        if _ticks(band.row) == _ticks(row):
            yield from (group for group in band.groups if group.id != OPTIMIZER)


def _ticks(row: LevelRow) -> tuple[str, int]:
    return row.clock.unit, row.clock.period


def _of_model(view: View, moved: set[str]) -> Iterator[Wire]:
    """Yield the wires of the model, less those that tell in short what the optimizer does."""
    for wire in view.wires:
        short = wire.kind == "task" and wire.source == LOSS and wire.target in moved
        if not short and OPTIMIZER not in (wire.source, wire.target):
            yield wire


def _moves(system: System, trained: Moving, model: View, trainer: View) -> Iterator[Wire]:
    """Yield moves from what learns by the task to what it moves, which differs from group to
    group.
    """
    shown = {box.id for group in model.groups for box in group.boxes}
    on_steps = {prefix: box for box, prefix in memories_on_steps(system)}
    names = [f"{OPTIMIZER}/{path}/" for path, _ in instances(trained.system)]
    for name, held in zip(names, trained.moved, strict=True):
        targets = dict.fromkeys(_target(parameter, on_steps) for parameter in held)
        for box in (box for group in trainer.groups for box in group.boxes):
            learns = any(key == "objective" and text.startswith("task") for key, text in box.facts)
            if learns and box.id.startswith(name):
                for target in targets:
                    if target in shown:  # equal layers are drawn once
                        yield Wire(source=box.id, target=target, kind="task")


def _target(parameter: ParameterSpec, on_steps: dict[str, str]) -> str:
    """Return the box of a parameter: the memory on steps that it is, or the one for all others."""
    owner = parameter.name
    while owner:
        owner = owner.rpartition(".")[0]
        if f"{owner}." in on_steps:
            return on_steps[f"{owner}."]
    return PARAMETERS


def _renamed(view: View, training: Training) -> View:
    """Return the view with ids that no model has, fed by the loss."""
    bands = tuple(
        replace(band, groups=tuple(_renamed_group(group, training) for group in band.groups))
        for band in view.bands
    )
    wires = tuple(
        replace(wire, source=_name(wire.source), target=_name(wire.target)) for wire in view.wires
    )
    return replace(view, bands=bands, wires=wires)


def _renamed_group(group: Group, training: Training) -> Group:
    if group.id == SCHEDULE:
        return replace(group, boxes=(replace(group.boxes[0], facts=schedule_facts(training)),))
    boxes = tuple(replace(box, id=_name(box.id)) for box in group.boxes)
    return replace(group, id=_name(group.id), boxes=boxes)


def _name(name: str) -> str:
    return _SHARED.get(name, f"{OPTIMIZER}/{name}")
