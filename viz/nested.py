"""The levels of a model and of its optimizer in one picture: one nested system.

The optimizer's memories take their places among the levels; the loss is their stream, and what
they move are the parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nestgraph.graph import build_graph
from nestgraph.levels import LevelRow, nested_levels
from nestgraph.system import System
from nestgraph.viz.boxes import LOSS, OPTIMIZER, PARAMETERS
from nestgraph.viz.build import build_view
from nestgraph.viz.sources import STREAM
from nestgraph.viz.view import Band, Group, View, Wire


def nested_view(system: System, optimizer: System) -> View:
    """The view of a model, with the memories of the optimizer that trains it.

    Args:
        system: a model.
        optimizer: what trains it, opened.
    """
    model = build_view(build_graph(system, roll=True))
    trainer = _renamed(build_view(build_graph(optimizer, roll=True)))
    rows = nested_levels(replace(system, training=replace(system.training, system=optimizer)))
    return replace(
        model,
        bands=tuple(Band(row=row, groups=tuple(_groups(row, model, trainer))) for row in rows),
        wires=(*_of_model(model), *trainer.wires, *_moves(trainer)),
    )


def _groups(row: LevelRow, *views: View) -> Iterator[Group]:
    """What both views hold on the clock of a row."""
    for band in (band for view in views for band in view.bands):
        if _ticks(band.row) == _ticks(row):
            yield from (group for group in band.groups if group.id != OPTIMIZER)


def _ticks(row: LevelRow) -> tuple[str, int]:
    return row.clock.unit, row.clock.period


def _of_model(view: View) -> Iterator[Wire]:
    return (wire for wire in view.wires if OPTIMIZER not in (wire.source, wire.target))


def _moves(trainer: View) -> Iterator[Wire]:
    """From what learns by the task to the parameters that it stands for."""
    for group in trainer.groups:
        for box in group.boxes:
            learns = any(key == "objective" and text.startswith("task") for key, text in box.facts)
            if learns:
                yield Wire(source=box.id, target=PARAMETERS, kind="task")


def _renamed(view: View) -> View:
    """The view with ids that no model has, fed by the loss."""
    bands = tuple(
        replace(band, groups=tuple(map(_renamed_group, band.groups))) for band in view.bands
    )
    wires = tuple(
        replace(wire, source=_name(wire.source), target=_name(wire.target)) for wire in view.wires
    )
    return replace(view, bands=bands, wires=wires)


def _renamed_group(group: Group) -> Group:
    boxes = tuple(replace(box, id=_name(box.id)) for box in group.boxes)
    return replace(group, id=_name(group.id), boxes=boxes)


def _name(name: str) -> str:
    return LOSS if name == STREAM else f"{OPTIMIZER}/{name}"
