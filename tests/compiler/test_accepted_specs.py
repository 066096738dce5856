"""What the checks accept runs, and what does not run they say: over specs with any fields."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import field_draws
import pytest
import torch
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import as_yaml, seeds

from nestgraph.analysis.support import unsupported
from nestgraph.cli.check import check_specs
from nestgraph.compiler import compile_model
from nestgraph.compiler.equivalence import verify
from nestgraph.compiler.optimizers import compile_optimizer
from nestgraph.errors import SpecError
from nestgraph.language.groups import Traits
from nestgraph.language.spec import Spec
from nestgraph.reference.optimizer import OptimizerReference
from nestgraph.training import compile

FILE = "drawn.yaml"
FEW = {"models": 16, "optimizers": 80}
MANY, FIELDS = 2500, 6000
SHAPES = {"a": (4, 3), "b": (4, 5), "kernel": (4, 2, 3), "states": (2, 4, 3), "bias": (4,)}
SHAPES |= {"embed": (7, 3), "head": (7, 3)}
TRAITS = {
    name: Traits(
        name=name,
        axes=len(shape),
        kind={"embed": "embeddings", "head": "head"}.get(name),
        linear_map=name in ("a", "b"),
        stacked=name == "states",
    )
    for name, shape in SHAPES.items()
}


def judged(spec: dict[str, Any], seed: int) -> str:
    """Return what became of a spec: `refused`, `not yet`, `stopped` with a code, or `ran`."""
    try:
        read = Spec.from_sources({FILE: as_yaml(spec)}, FILE, {})
    except SpecError as error:
        return _ended(error, "refused")
    model = read.system.model is not None
    if unsupported(read.system):
        with pytest.raises(SpecError):
            (compile_model if model else compile_optimizer)(read.system)
        return "not yet"
    try:
        (train if model else move)(read, seed)
    except SpecError as error:
        return _ended(error, "stopped")
    return "ran"


def _ended(error: SpecError, how: str) -> str:
    """Return the end, once it is plain that the error holds one."""
    assert any(one.severity == "error" for one in error.diagnostics), error
    return how


def train(spec: Spec, seed: int) -> None:
    """Run both executors on a few tokens, and two steps of training."""
    verify(spec.system, tokens=7, seed=seed)
    torch.manual_seed(seed)
    module = compile(spec)
    optimizer: Any = module.configure_optimizers()["optimizer"]  # type: ignore[index,call-overload]
    assert spec.system.model is not None
    for _ in range(2):
        optimizer.zero_grad()
        tokens = torch.randint(spec.system.model.vocab, (2, 8))
        model: Any = module.model
        model.loss(tokens[:, :-1], tokens[:, 1:])[0].backward()
        optimizer.step()


def move(spec: Spec, seed: int) -> None:
    """Take two steps of parameters of all kinds, compiled and interpreted."""
    torch.manual_seed(seed)
    first = {name: torch.randn(shape) for name, shape in SHAPES.items()}
    parameters = {name: x.clone().requires_grad_() for name, x in first.items()}
    optimizer = compile_optimizer(spec.system)(
        [
            {
                "params": [(name, parameter)],
                "kind": TRAITS[name].kind,
                "linear_map": TRAITS[name].linear_map,
                "stacked": TRAITS[name].stacked,
            }
            for name, parameter in parameters.items()
        ]
    )
    reference = OptimizerReference(spec.system, first, traits=TRAITS)
    for _ in range(2):
        fed = {name: torch.randn(5, SHAPES[name][1]) for name in ("a", "b")}
        gradients = {name: torch.randn(shape) for name, shape in SHAPES.items()}
        if optimizer.needs_inputs:
            optimizer.capture.wanted = {id(parameters[name]): parameters[name] for name in fed}
            for name, rows in fed.items():
                optimizer.capture.note(parameters[name], rows)
        for name, parameter in parameters.items():
            parameter.grad = gradients[name].clone()
        optimizer.step()
        reference.step(gradients, lr=1e-3, inputs=fed)


def fates(specs: st.SearchStrategy[dict[str, Any]], count: int, *, fresh: bool) -> Counter[str]:
    """Return how many of so many specs met which end; any other exception is the test's."""
    found: Counter[str] = Counter()

    @settings(
        max_examples=count,
        derandomize=not fresh,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(specs, seeds())
    def judge(spec: dict[str, Any], seed: int) -> None:
        found[judged(spec, seed)] += 1

    judge()
    return found


KINDS = {"models": field_draws.models(), "optimizers": field_draws.optimizers()}


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_checks_accept_runs_and_trains(kind: str):
    found = fates(KINDS[kind], FEW[kind], fresh=False)

    assert found["ran"] >= FEW[kind] // 10, found
    assert found["refused"] >= FEW[kind] // 10, found


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_checks_accept_of_many_fresh_specs_runs_and_trains(kind: str):
    found = fates(KINDS[kind], MANY, fresh=True)

    assert found["ran"] >= MANY // 10, found


@pytest.mark.slow
def test_every_field_of_the_schema_is_drawn():
    seen: set[str] = set()

    @settings(max_examples=FIELDS, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.one_of(*KINDS.values()))
    def draw(spec: dict[str, Any]) -> None:
        seen.update(field_draws.fields_of(spec))

    draw()

    assert field_draws.every_field() - seen == set()


@settings(max_examples=20, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.one_of(*KINDS.values()))
def test_check_ends_with_status_0_if_and_only_if_the_spec_loads(
    tmp_path_factory: pytest.TempPathFactory, spec: dict[str, Any]
):
    path: Path = tmp_path_factory.mktemp("drawn") / FILE
    path.write_text(as_yaml(spec), encoding="utf-8")
    try:
        Spec.from_sources({FILE: as_yaml(spec)}, FILE, {})
        loads = True
    except SpecError:
        loads = False
    try:
        check_specs([str(path)], "text", [])
        status = 0
    except typer.Exit as end:
        status = end.exit_code

    assert (status == 0) == loads
