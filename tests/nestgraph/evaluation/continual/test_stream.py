"""Tasks in a row: what each way forgets, and that R is scored when it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from streams import FIRST, SYMBOLS, Jobs, rows_of

from nestgraph import training
from nestgraph.errors import InputError
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.continual import stream as stream_module
from nestgraph.evaluation.continual.baselines import baselines
from nestgraph.evaluation.continual.clocks import on_one_clock
from nestgraph.evaluation.continual.stream import carry_out_stream
from nestgraph.evaluation.procedures import SCORE, Outcome
from nestgraph.evaluation.sides import sides_of
from nestgraph.evaluation.task import Split
from nestgraph.evaluation.training import Training
from nestgraph.language.spec import Spec
from nestgraph.training import NestModule


def matrix(found: Outcome) -> list[list[float]]:
    """Return R, as the series tell it."""
    return [[value for _, value in found.series[f"task, after {n}"]] for n in (1, 2)]


def test_a_model_that_nothing_holds_forgets_the_first_task(job: Jobs) -> None:
    found = carry_out_stream(job())

    (first, before), (kept, second) = matrix(found)
    assert (first, before, second) == (1.0, 0.0, 1.0)
    assert kept <= 0.75
    assert found.scores[SCORE] == (kept + 1) / 2
    assert (found.scores["learned"], found.scores["forgetting"]) == (1.0, 1 - kept)
    assert (found.scores["BWT"], found.scores["FWT"]) == (kept - 1, 0.0)
    assert found.series["tasks learned"] == ((1.0, 1.0), (2.0, (kept + 1) / 2))
    assert found.steps == 120


def test_replay_and_joint_training_know_both(job: Jobs) -> None:
    assert carry_out_stream(job("replay", buffer=32)).scores[SCORE] == 1.0
    joint = carry_out_stream(job("joint"))
    assert joint.scores[SCORE] == 1.0
    assert set(joint.scores) == {SCORE}  # nothing came after anything
    assert not joint.series


def test_elastic_weights_keep_what_they_are_held_at(job: Jobs) -> None:
    (_, before), (kept, second) = matrix(carry_out_stream(job("ewc", ewc=1e10)))
    assert (kept, before, second) == (1.0, 0.0, 1.0)
    free = carry_out_stream(job("ewc", ewc=0.0))
    assert matrix(free) == matrix(carry_out_stream(job()))


def test_losses_are_those_of_the_whole_model_in_nats(
    job: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[NestModule] = []

    class Kept(stream_module.Known):
        def add(self, module: NestModule) -> None:
            kept.append(module)
            super().add(module)
            nats.append([_nats(module, part) for part in (0, 1)])

    nats: list[list[float]] = []
    monkeypatch.setattr(stream_module, "Known", Kept)
    found = carry_out_stream(job(steps=20))

    assert len(nats) == 3
    gained = ((nats[0][0] - nats[1][0]) + (nats[0][1] - nats[2][1])) / 2
    assert found.scores["nats learned"] == pytest.approx(gained, abs=1e-5)
    assert found.scores["nats lost"] == pytest.approx(nats[2][0] - nats[1][0], abs=1e-5)


def _nats(module: NestModule, part: int) -> float:
    rows = rows_of(part, Split.TEST, 3, 32)
    with torch.no_grad():
        logits = module(rows.tokens).logits[:, 1].double()
    return torch.nn.functional.cross_entropy(logits, rows.targets[:, 1]).item()


def test_the_rate_is_that_of_the_first_task_in_the_last_one_too(job: Jobs) -> None:
    spec, steps = stream_module._steady(job(steps=81))
    assert (spec.system.training.steps, steps) == (80, 40)
    assert spec.system.training.min_lr == spec.system.training.lr == 3e-2


def test_only_the_levels_move_where_that_is_asked_for(
    job: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    class Watched(stream_module.Known):
        def add(self, module: NestModule) -> None:
            seen.append({name: value.clone() for name, value in module.state_dict().items()})
            super().add(module)

    monkeypatch.setattr(stream_module, "Known", Watched)
    carry_out_stream(job(steps=16, moves="levels"))

    moved = {name for name, first in seen[0].items() if not torch.equal(first, seen[-1][name])}
    assert moved
    assert all(".M." in name for name in moved)
    assert {name for name in seen[0] if ".M.W" in name} == moved


def test_a_stream_without_numbers_has_no_scores(job: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Training(steps=7, seconds=0.1, skipped=7, ended="NG732 no number", failed=True)
    monkeypatch.setattr(stream_module, "train", lambda *_, **__: broken)
    found = carry_out_stream(job())
    assert set(found.scores.values()) == {None}
    assert (found.steps, found.skipped, found.ended) == (7, 7, "NG732 no number")
    assert not found.series


def test_a_budget_or_too_few_steps_for_the_tasks_are_refused(job: Jobs) -> None:
    with pytest.raises(InputError, match=r"NG948 .*give --steps"):
        carry_out_stream(replace(job(), budget=1.0))
    with pytest.raises(InputError, match=r"NG948 1 steps are too few for the 2 tasks"):
        carry_out_stream(job(steps=1))


def test_a_task_without_classes_has_no_nearest_class_mean(job: Jobs) -> None:
    with pytest.raises(InputError, match="NG949"):
        carry_out_stream(job("nearest class mean"))


def test_labels_of_one_task_are_none_of_the_other() -> None:
    labels = [set(rows_of(part, Split.TRAIN, 0, 99).targets[:, 1].tolist()) for part in (0, 1)]
    assert labels == [set(range(FIRST, FIRST + SYMBOLS)), set(range(FIRST + 4, FIRST + 8))]


def test_a_stream_begins_with_the_weights_of_its_base(
    job: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = training.compile(job().spec, seed=99).state_dict()
    monkeypatch.setattr(stream_module, "base", lambda task, spec, steps: first)
    begun: list[bool] = []

    class Watched(stream_module.Known):
        def add(self, module: NestModule) -> None:
            now = module.state_dict()
            begun.append(all(torch.equal(now[name], first[name]) for name in first))
            super().add(module)

    monkeypatch.setattr(stream_module, "Known", Watched)
    carry_out_stream(job(steps=4))
    assert begun == [True, False, False]


def test_beside_a_model_on_clocks_stand_one_clock_and_every_way(clocked: Spec, job: Jobs) -> None:
    names = [name for name, _, _ in baselines(job().task, clocked)]
    assert names == ["one clock", "replay", "ewc", "joint"]
    one = on_one_clock(clocked)
    named = [name for name, _, _ in baselines(find_task("clinc150"), one)]
    assert named == ["replay", "ewc", "joint", "nearest class mean"]


def test_baselines_are_sides_of_their_own_and_for_streams_alone(clocked: Spec) -> None:
    found = sides_of([clocked], find_task("domains"), controls="baselines", ablations=())
    assert [side.way for side in found] == ["", "", "replay", "ewc", "joint"]
    assert {side.of for side in found[1:]} == {found[0].name}
    with pytest.raises(InputError, match=r"NG937 `mqar:.*is one task"):
        sides_of([clocked], find_task("mqar"), controls="baselines", ablations=())
