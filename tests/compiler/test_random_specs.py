"""Random specs over everything that the executors run: compiled = reference, in float64."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from strategies import as_yaml, lengths, seeds, specs

from nestgraph.compiler import plan
from nestgraph.compiler.equivalence import verify
from nestgraph.language.spec import Spec
from nestgraph.language.system import System

COUNT = 150  # specs in one run; each takes about a fifth of a second
KERNELS = {
    "attention",
    "attention_scan",
    "static",
    "chunked_decay",
    "chunked_delta",
    "diagonal_delta",
    "selective_scan",
    "anchored_chunk",
    "generic_scan",
    "task",
}


def system_of(spec: Mapping[str, Any]) -> System:
    return Spec.from_sources({"random.yaml": as_yaml(dict(spec))}, "random.yaml", {}).system


def kernels_met(count: int, *, fresh: bool) -> set[str]:
    """Hold `count` random specs against the reference; returns the kernels that they needed."""
    met: set[str] = set()

    @settings(max_examples=count, derandomize=not fresh)
    @given(specs(), lengths(), seeds())
    def compiled_is_reference(spec: Mapping[str, Any], length: int, seed: int) -> None:
        system = system_of(spec)
        met.update(m.kernel for f in plan(system).functions for m in f.memories)
        found = verify(system, tokens=length, seed=seed, spread=0.02)
        assert found.agrees, str(found)

    compiled_is_reference()
    return met


def test_random_specs_compute_the_same_compiled_and_interpreted() -> None:
    """Outputs, final states and the gradient of every parameter; every kernel is met."""
    assert kernels_met(COUNT, fresh=False) == KERNELS


@pytest.mark.slow
def test_many_fresh_random_specs_compute_the_same_compiled_and_interpreted() -> None:
    assert kernels_met(1500, fresh=True) == KERNELS
