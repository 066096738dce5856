"""What stands beside a model that learns tasks in a row: one clock, and other ways to learn."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.data.labelled import LABELLED
from nestgraph.evaluation.continual.clocks import has_clocks, on_one_clock
from nestgraph.evaluation.continual.stream import NEAREST
from nestgraph.evaluation.continual.ways import WAYS
from nestgraph.evaluation.task import Task
from nestgraph.language.spec import Spec

ONE_CLOCK = "one clock"


def baselines(task: Task, spec: Spec) -> Iterator[tuple[str, Spec, str]]:
    """Yield names, specs and ways of the sides beside a spec.

    Args:
        task: whose parts come one after another.
        spec: the model; where its levels move at different steps, it stands there once more with
            all of them on one clock.
    """
    if task.settings["moves"] != "reading":
        if has_clocks(spec):
            yield ONE_CLOCK, on_one_clock(spec), ""
        for way in filter(None, WAYS):
            yield way, spec, way
    if task.name in LABELLED:
        yield NEAREST, spec, NEAREST
