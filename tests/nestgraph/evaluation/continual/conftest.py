"""A small model with MLPs on three clocks, and jobs for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from streams import CLOCKED, Jobs, two_tasks

from nestgraph.evaluation.fitted import fitted
from nestgraph.evaluation.procedures import Job
from nestgraph.evaluation.task import Split
from nestgraph.language.spec import Spec, load


@pytest.fixture
def clocked(tmp_path: Path) -> Spec:
    """Return the spec."""
    file = tmp_path / "clocked.yaml"
    file.write_text(CLOCKED)
    return load(file)


@pytest.fixture
def job(clocked: Spec) -> Jobs:
    """Return a job on two tasks of four symbols each, whose answers are different tokens."""

    def made(way: str = "", *, steps: int = 120, rate: float = 3e-2, **settings: object) -> Job:
        task = two_tasks(**settings)
        spec = fitted(clocked, task, rate=rate, seed=3, steps=steps, constant=False)
        return Job(task=task, spec=spec, split=Split.TEST, seed=3, way=way)

    return made
