"""What a model knows before a stream: one base for all clocks and rates of an architecture."""

from __future__ import annotations

import pytest
import torch

from nestgraph import training
from nestgraph.errors import InputError
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.continual import base as base_module
from nestgraph.evaluation.continual.base import base
from nestgraph.evaluation.continual.clocks import on_one_clock
from nestgraph.evaluation.fitted import fitted
from nestgraph.evaluation.task import Task
from nestgraph.evaluation.training import Training
from nestgraph.language.spec import Spec

EMBEDDING = "model.weights.embed.weight"


@pytest.fixture
def task() -> Task:
    return find_task("banking77:T=16")


def as_trained(spec: Spec, task: Task, *, rate: float = 1e-3, seed: int = 0) -> Spec:
    return fitted(spec, task, rate=rate, seed=seed, steps=4, constant=False)


def test_without_steps_it_is_the_first_weights(clocked: Spec, task: Task) -> None:
    spec = as_trained(clocked, task)
    first = training.compile(spec).state_dict()
    for name, value in base(task, spec, 0).items():
        assert torch.equal(value, first[name])


def test_it_is_learned_once_for_all_rates_and_clocks(clocked: Spec, task: Task) -> None:
    one = base(task, as_trained(clocked, task), 3)
    assert base(task, as_trained(clocked, task, rate=1e-2), 3) is one
    assert base(task, as_trained(on_one_clock(clocked), task), 3) is one
    other = base(task, as_trained(clocked, task, seed=1), 3)
    assert not torch.equal(other[EMBEDDING], one[EMBEDDING])


def test_it_does_not_read_the_texts_of_the_task(
    clocked: Spec, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = base_module.windows

    def watched(name: str, *rest: object) -> object:
        read.append(name)
        return real(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(base_module, "windows", watched)
    base(task, as_trained(clocked, task, seed=2), 2)
    assert set(read) == {"shakespeare", "austen", "encyclopaedia"}


def test_a_base_that_does_not_learn_to_read_is_told(
    clocked: Spec, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Training(steps=7, seconds=0.1, skipped=7, ended="NG732 no number", failed=True)
    monkeypatch.setattr(base_module, "train", lambda *_: broken)
    with pytest.raises(InputError, match=r"NG945 .* can't learn to read .*NG732 no"):
        base(task, as_trained(clocked, task, seed=5), 40)
