"""What is said about the machine."""

from __future__ import annotations

import nestgraph
from benchmarks import environment
from benchmarks.environment import Neighbours


def test_the_surroundings_name_versions_processor_and_threads() -> None:
    line = environment.sentence(environment.describe(threads=3))
    assert f"nestgraph {nestgraph.__version__}" in line
    assert "3 threads" in line
    assert environment.processor() in line


def test_neighbours_use_between_none_and_all_cores() -> None:
    neighbours = Neighbours()
    sum(range(300_000))
    found = neighbours.cores()
    assert found is None or found >= 0
    assert str(neighbours)
