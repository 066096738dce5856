"""Comparisons, on a model that trains in a moment."""

from __future__ import annotations

import math
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import nestgraph as ng
from nestgraph.errors import InputError, SpecError
from nestgraph.evaluation import procedures, run
from nestgraph.evaluation.cells import Cell, read_cells
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.fitted import fitted
from nestgraph.evaluation.procedures import Job, by_draws, carry_out, procedure
from nestgraph.evaluation.results import evaluate
from nestgraph.evaluation.run import TUNE_SEED, Plan, best
from nestgraph.evaluation.scoring import METRICS, score
from nestgraph.evaluation.sides import sides_of
from nestgraph.evaluation.task import Batch, Split
from nestgraph.evaluation.training import derived
from nestgraph.language.spec import load
from nestgraph.runtime.labels import IGNORED
from nestgraph.runtime.output import Output

TASK = "mqar:T=8,K=2,V=8"


def refusal(spec, task: str = TASK, **asked: object) -> str:
    with pytest.raises(SpecError) as refused:
        evaluate(task, [spec], steps=1, **asked) if "steps" not in asked else evaluate(
            task, [spec], **asked
        )
    return str(refused.value)


def test_a_rate_is_chosen_on_a_seed_of_its_own_and_each_seed_is_scored(small):
    results = evaluate(TASK, [small()], seeds=(0, 1), steps=3, rates=(1e-3, 1e-2))
    tuned, scored = results.cells[:2], results.cells[2:]
    assert [(cell.split, cell.seed, cell.rate) for cell in tuned] == [
        ("tune", TUNE_SEED, 1e-3),
        ("tune", TUNE_SEED, 1e-2),
    ]
    rate = max(tuned, key=lambda cell: (cell.score, -cell.rate)).rate
    assert [(cell.split, cell.seed, cell.rate) for cell in scored] == [
        ("test", 0, rate),
        ("test", 1, rate),
    ]
    assert {cell.taken for cell in results.cells} == {3}
    assert all(cell.parameters and cell.flops and cell.seconds for cell in results.cells)


def test_one_rate_is_taken_as_it_is(small):
    results = evaluate(TASK, [small()], seeds=(3,), steps=2, rates=(2e-3,))
    assert [(cell.split, cell.seed, cell.rate) for cell in results.cells] == [("test", 3, 2e-3)]


def test_the_best_rate_is_by_the_score_and_the_smallest_among_equals():
    task = find_task(TASK)

    def tuned(rate: float, score: float | None) -> Cell:
        cell = object.__new__(Cell)
        object.__setattr__(cell, "rate", rate)
        object.__setattr__(cell, "scores", {"score": score})
        return cell

    cells = [tuned(0.1, 0.5), tuned(0.01, 0.7), tuned(0.03, 0.7), tuned(1.0, None)]
    assert best(task, cells) == 0.01
    assert best(replace(task, higher=False), cells) == 0.1
    assert best(task, [tuned(0.3, None), tuned(0.2, None)]) == 0.2


def test_the_same_cells_give_the_same_numbers(small):
    first, second = (
        evaluate(TASK, [small()], seeds=(0,), steps=5, rates=(1e-2,)).cells for _ in range(2)
    )
    assert [cell.scores for cell in first] == [cell.scores for cell in second]
    assert [cell.series for cell in first] == [cell.series for cell in second]


def test_training_is_that_of_lightning_on_the_rows_of_the_training_split(small):
    """The weights are those of a loop by hand, without anything that tests or chooses."""
    task = find_task(TASK)
    spec = fitted(small(), task, rate=1e-2, seed=4, steps=3, constant=False)
    module = ng.compile(spec)
    training = spec.system.training
    optimizer, schedule = module.configure_optimizers().values()
    for step in range(3):
        batch = task.draw(Split.TRAIN, derived(4, step), training.batch)
        optimizer.zero_grad()
        module.model.loss(batch.tokens, batch.targets)[0].backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), training.clip)
        optimizer.step()
        schedule["scheduler"].step()
    module.eval()
    by_hand = procedures.scores_of(module, task, Split.TEST, 4, task.rows)["score"]
    done = carry_out(Job(task=task, spec=spec, split=Split.TEST, seed=4))
    assert done.scores == {"score": by_hand.mean}


def test_a_task_sets_vocabulary_context_and_rows_of_a_step(small):
    task = find_task(TASK)
    for spec in (small(), small("$vocab", "256", name="fixed"), small("$vocab", "2 * $vocab")):
        changed = fitted(spec, task, rate=1e-2, seed=3, steps=40, constant=False).system
        training = changed.training
        assert changed.model.vocab == 8
        assert (training.context, training.batch) == (8, 64)
        assert (training.lr, training.min_lr, training.seed) == (1e-2, 1e-3, 3)
        assert (training.steps, training.warmup) == (40, 4)
    chosen = small(training__batch=5, training__warmup=2, training__clip=0.5)
    training = fitted(chosen, task, rate=1e-2, seed=3, steps=40, constant=True).system.training
    assert (training.batch, training.warmup, training.clip) == (5, 2, 0.5)
    assert training.min_lr == training.lr


def test_a_model_learns_a_task_until_its_stop_rule(small):
    results = evaluate(TASK, [small()], seeds=(0,), steps=1500, rates=(1e-2,))
    (cell,) = results.cells
    assert cell.ended == "stop rule"
    assert cell.taken < 1500
    assert cell.score > 0.99


def test_a_budget_ends_a_training(small):
    (cell,) = evaluate(TASK, [small()], seeds=(0,), budget=0.3, rates=(1e-3,)).cells
    assert cell.ended == "budget"
    assert 0.3 <= cell.seconds < 3
    assert cell.setting.steps is None


def test_cells_that_are_there_are_not_run_again(small, tmp_path: Path, monkeypatch):
    file, ran = tmp_path / "r.jsonl", []
    monkeypatch.setattr(
        "nestgraph.evaluation.run.carry_out", lambda job: ran.append(job.seed) or carry_out(job)
    )

    def run(seeds: tuple[int, ...]) -> list[Cell]:
        return list(evaluate(TASK, [small()], seeds=seeds, steps=2, rates=(1e-2,), file=file).cells)

    first = run((0,))
    second = run((1, 0))
    assert ran == [0, 1]
    assert second[1] == read_cells(file)[0]
    assert second[1].scores == first[0].scores
    assert len(read_cells(file)) == 2


def test_a_spec_that_changed_is_refused_by_its_file(small, tmp_path: Path):
    file = tmp_path / "r.jsonl"
    evaluate(TASK, [small()], seeds=(0,), steps=2, rates=(1e-2,), file=file)
    said = refusal(small("rate: 0.5", "rate: 0.25"), rates=(1e-2,), file=file, steps=2)
    assert "NG935" in said
    assert "as another spec than it is now" in said
    said = refusal(small(), rates=(1e-2,), file=file, steps=3)
    assert "with --steps 2, and 3 is asked for" in said


def test_an_interruption_leaves_the_cells_that_were_done(small, tmp_path: Path, monkeypatch):
    file = tmp_path / "r.jsonl"
    draw = find_task(TASK).draw

    def pressed(job: Job) -> procedures.Outcome:
        def drawn(split: Split, seed: int, rows: int):
            if job.seed == 1:
                signal.raise_signal(signal.SIGINT)
            return draw(split, seed, rows)

        return by_draws(replace(job, task=replace(job.task, draw=drawn)))

    monkeypatch.setattr("nestgraph.evaluation.run.carry_out", pressed)
    with pytest.raises(KeyboardInterrupt):
        evaluate(TASK, [small()], seeds=(0, 1), steps=50, rates=(1e-2,), file=file)
    assert [cell.seed for cell in read_cells(file)] == [0]


def test_a_training_whose_gradients_are_no_numbers_is_a_cell_without_a_score(small):
    spec = small(
        "out: {op: sum, in: [x, y]}",
        "e: {op: affine, in: y, scale: 1e30, then: [{op: power, exponent: 4}]}\n"
        "      out: {op: sum, in: [x, e]}",
        name="broken",
    )
    results = evaluate(TASK, [spec], seeds=(0,), steps=30, rates=(1e-2,))
    (cell,) = results.cells
    assert cell.score is None
    assert "NG7" in cell.ended
    assert "no number" in str(results)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"steps": 0}, "NG932 `--steps` (=0) must be from 1 to"),
        ({"steps": -3}, "NG932 `--steps` (=-3)"),
        ({"steps": None, "budget": 0.0}, "NG932 `--budget` (=0) must be a number of seconds"),
        ({"steps": None, "budget": -1.0}, "NG932 `--budget` (=-1)"),
        ({"steps": None, "budget": math.nan}, "NG932 `--budget` (=nan)"),
        ({"steps": 5, "budget": 5.0}, "NG932 `--steps` and `--budget` both say"),
        ({"rates": (0.0,)}, "NG932 `--lr` (=0) must be above 0"),
        ({"rates": (1e-3, math.inf)}, "NG932 `--lr` (=inf)"),
        ({"rates": ()}, "NG932 `--lr` names nothing"),
        ({"rates": (1e-3, 1e-3)}, "NG932 `--lr` names one twice"),
        ({"seeds": ()}, "NG932 `--seeds` names nothing"),
        ({"seeds": (1, 1)}, "NG932 `--seeds` names one twice"),
        ({"seeds": (-1,)}, "NG749 `seed` (=-1)"),
        ({"seeds": (2**32,)}, "NG932 `--seeds` (=4294967296) must be at most 4294967295"),
        ({"steps": 2.5}, "NG932 `--steps` (=2.5) must be a whole number"),
        ({"steps": True}, "NG932 `--steps` (=True) must be a whole number"),
        ({"rates": ("fast",)}, "NG932 `--lr` (='fast') must be a number"),
        ({"rates": (True,)}, "NG932 `--lr` (=True) must be a number"),
        ({"steps": None, "budget": "long"}, "NG932 `--budget` (='long') must be a number"),
        ({"seeds": (0.5,)}, "NG749 `seed` (=0.5)"),
        ({"ablate": ("nothing",)}, "NG937"),
        ({"controls": "rates"}, "NG937 there are no controls `rates`; did you mean `rates-off`?"),
    ],
)
def test_numbers_that_nothing_can_run_with_are_refused(small, asked, words):
    assert words in refusal(small(), **asked)


def test_specs_that_a_task_cannot_take_are_refused(small):
    assert "NG723 `muon` is an optimizer, not a model" in refusal(load("muon"))
    for specs, words in (([], "no spec is to be evaluated"), ([small()] * 2, "is named twice")):
        with pytest.raises(InputError, match="NG933") as refused:
            evaluate(TASK, specs, steps=1)
        assert words in str(refused.value)
    for path in ("vars__vocab", "training__lr", "training__steps", "training__context"):
        said = refusal(small(**{path: 4}))
        assert "NG933" in said
        assert "which a run of eval sets itself" in said


def test_specs_of_one_name_are_told_apart_by_what_was_changed(small):
    specs = [small(vars__rate=0.25), small(vars__rate=0.75)]
    sides = sides_of(specs, find_task(TASK), controls="none", ablations=())
    path = specs[0].path
    assert [side.name for side in sides] == [
        f"{path} (vars.rate=0.25)",
        f"{path} (vars.rate=0.75)",
    ]
    (shipped,) = sides_of([load("deltanet-tiny")], find_task(TASK), controls="none", ablations=())
    assert shipped.name == "deltanet-tiny"


def test_a_kind_may_have_a_procedure_of_its_own(small, monkeypatch):
    monkeypatch.setattr(procedures, "_PROCEDURES", {})
    seen = []

    @procedure("recall")
    def mine(job: Job) -> procedures.Outcome:
        seen.append((job.split, job.seed))
        return procedures.Outcome(
            scores={"score": 0.5}, steps=1, seconds=0.0, skipped=0, ended="all steps"
        )

    results = evaluate(TASK, [small()], seeds=(2,), steps=1, rates=(1e-3,))
    assert seen == [(Split.TEST, 2)]
    assert results.cells[0].score == 0.5


def test_a_plan_takes_steps_and_rates_of_its_task_unless_others_are_given():
    task = find_task(TASK)
    plan = Plan(task=task, sides=())
    assert (plan.limit, plan.choices) == (task.steps, task.rates)
    assert Plan(task=task, sides=(), steps=7, rates=(0.5,)).limit == 7


def test_optimizers_are_compared_by_what_one_model_learns_with_them(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("nestgraph: 1\nname: mine\nextends: muon\nvars: {beta: 0.5}\n")
    task = find_task("optimizers:T=16")
    specs = [load(name) for name in ("muon", "mine.yaml", "transformer-tiny")]
    sides = sides_of(specs, task, controls="none", ablations=())
    assert [side.name for side in sides] == ["muon", "mine.yaml", "transformer-tiny"]
    assert {side.spec.system.name for side in sides} == {"transformer-tiny"}
    for side, name in zip(sides, ("muon", "mine", "adamw"), strict=True):
        spec = fitted(side.spec, task, rate=1e-3, seed=0, steps=1, constant=False)
        assert spec.system.training.system.name == name
    changed = [load("muon", {"vars.beta": 0.9})]
    with pytest.raises(InputError, match=r"NG933 `vars\.beta` can't be set in"):
        sides_of(changed, task, controls="none", ablations=())


def test_what_is_made_from_a_spec_is_trained_on_as_many_rows(small):
    task = find_task(TASK)
    spec = small(training__batch=5, training__warmup=1)
    sides = sides_of([spec], task, controls="all", ablations=())
    assert len(sides) > 2
    for side in sides:
        made = fitted(side.spec, task, rate=1e-3, seed=0, steps=40, constant=False)
        assert (made.system.training.batch, made.system.training.warmup) == (5, 1)


def test_numbers_of_other_libraries_are_kept_as_plain_ones(small, tmp_path: Path):
    file = tmp_path / "r.jsonl"
    evaluate(
        TASK,
        [small()],
        seeds=np.arange(1),
        steps=np.int64(2),
        rates=np.array([0.01]),
        file=file,
    )
    (cell,) = read_cells(file)
    assert (cell.seed, cell.rate, cell.setting.steps) == (0, 0.01, 2)


def test_a_file_that_nothing_can_be_added_to_is_refused_before_anything_is_trained(
    small, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr("nestgraph.evaluation.run.carry_out", lambda job: pytest.fail("trained"))
    (tmp_path / "file").write_text("")
    said = refusal(small(), rates=(1e-2,), file=tmp_path / "file" / "r.jsonl")
    assert "NG721" in said or "NG936" in said


def test_what_a_training_cannot_do_at_all_is_no_cell(small, monkeypatch):
    """A score is missing where numbers are; whatever else is wrong is told at once."""

    def wrong(split: Split, seed: int, rows: int):
        batch = find_task(TASK).draw(split, seed, rows)
        return Batch(tokens=batch.tokens + 100, targets=batch.targets)

    task = find_task(TASK)
    spec = fitted(small(), task, rate=1e-2, seed=0, steps=2, constant=False)
    with pytest.raises(InputError, match="NG744"):
        carry_out(Job(task=replace(task, draw=wrong), spec=spec, split=Split.TEST, seed=0))


def test_labels_never_reach_the_model_when_it_is_scored():
    """Levels that learn from the model's own loss give the same answers for any labels."""
    task = find_task(TASK)
    spec = load("hope-online-tiny", {"vars.width": 16, "vars.heads": 2, "vars.depth": 1})
    module = ng.compile(fitted(spec, task, rate=1e-3, seed=0, steps=1, constant=False))
    told: list[torch.Tensor] = []

    def read(tokens: torch.Tensor) -> Output:
        output = module(tokens)
        told.append(output.logits)
        return output

    def permuted(split: Split, seed: int, rows: int) -> Batch:
        batch = task.draw(split, seed, rows)
        labels = batch.targets.clone()
        scored = labels != IGNORED
        labels[scored] = labels[scored][torch.randperm(int(scored.sum()))]
        return Batch(tokens=batch.tokens, targets=labels)

    for draw in (task.draw, permuted):
        score(read, draw, METRICS["nats"], split=Split.TEST, seed=5, rows=4)
    assert torch.equal(*told)


def test_from_python_specs_are_named_or_given_and_one_rate_will_do(small, tmp_path: Path):
    spec, file = small(), tmp_path / "r.jsonl"
    results = ng.eval(TASK, spec, seeds=[0], steps=2, lr=1e-2, file=str(file))
    assert [cell.rate for cell in results.cells] == [1e-2]
    again = ng.eval(TASK, [spec.path], seeds=[0], steps=2, lr=[1e-2], file=file)
    assert again.cells == tuple(read_cells(file))
    assert str(again) == str(results)
    assert results.summaries[0].rows[0].side == spec.path


@pytest.mark.parametrize(
    "name",
    [
        *("forgetting-mqar", "repeat-copy", "induction", "regression", "copies:L=8,K=3", "text"),
        *("parity", "aa", "abab", "anbn", "anbncn", "shuffle-2", "mad-recall", "mad-compression"),
        *("mad-noisy-recall", "mad-fuzzy-recall", "mad-memorization", "mad-selective-copying"),
    ],
)
def test_every_task_that_is_drawn_trains_and_scores_and_knows_what_guessing_gets(
    small, name, monkeypatch
):
    task = replace(find_task(name), rows=64)
    monkeypatch.setattr("nestgraph.evaluation.results.find_task", lambda text: task)
    (cell,) = evaluate(name, [small()], seeds=(0,), steps=1, rates=(1e-5,)).cells
    assert list(cell.scores) == ["score", *task.parts]
    assert all(value is not None for value in cell.scores.values())
    assert cell.series["step"]
    if task.metric == "nats":  # weights that hardly moved say next to nothing
        assert cell.score > 0.8 * task.chance
    elif task.chance is not None:
        assert cell.score < task.chance + 0.3


@pytest.mark.parametrize(
    ("task", "code", "asked"),
    [
        ("clinc150:moves=levels", "NG946", {}),
        ("passkey:T=240,gap=20,shortest=200", "NG947", {}),
        ("clinc150", "NG948", {"steps": 1}),
        ("clinc150", "NG948", {"steps": None, "budget": 60.0}),
        ("clinc150:moves=reading", "NG950", {}),
    ],
)
def test_a_side_that_cannot_be_trained_is_refused_before_any_is(
    small, tmp_path: Path, monkeypatch, task: str, code: str, asked: dict[str, object]
):
    monkeypatch.setattr(run, "carry_out", lambda _: pytest.fail("something was trained"))
    sees_far = small("width: 2}", "width: 30}", name="far")
    file = tmp_path / "cells.jsonl"
    with pytest.raises(InputError, match=code):
        evaluate(task, [small(), sees_far], rates=(1e-3,), file=file, **{"steps": 20} | asked)
    assert not read_cells(file)


@pytest.mark.parametrize(("stop", "marks"), [(2.0, 20), (None, 5)])
def test_a_curve_without_a_stop_rule_has_few_marks(small, stop: float | None, marks: int):
    task = replace(find_task(TASK), stop=stop)
    spec = fitted(small(), task, rate=1e-3, seed=0, steps=20, constant=False)
    found = by_draws(Job(task=task, spec=spec, split=Split.TEST, seed=0))
    assert len(found.series["step"]) == marks
