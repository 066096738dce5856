"""A stream that is only read: what levels have become, and by which labels."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from streams import ON_TOKENS, both, rows_of, two_tasks

from nestgraph import training
from nestgraph.errors import InputError
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.continual import reading as reading_module
from nestgraph.evaluation.continual.baselines import baselines
from nestgraph.evaluation.continual.reading import Reading
from nestgraph.evaluation.continual.stream import carry_out_stream
from nestgraph.evaluation.fitted import fitted
from nestgraph.evaluation.procedures import Job
from nestgraph.evaluation.task import Batch, Split
from nestgraph.language.spec import Spec, load
from nestgraph.runtime.labels import IGNORED
from nestgraph.training.options import with_settings


@pytest.fixture
def read_job(tmp_path: Path) -> Job:
    file = tmp_path / "tokens.yaml"
    file.write_text(ON_TOKENS)
    task = two_tasks(moves="reading")
    spec = fitted(load(file), task, rate=0.1, seed=4, steps=60, constant=False)
    return Job(task=task, spec=spec, split=Split.TEST, seed=4)


def test_a_reader_scores_as_a_model_whose_weights_are_what_its_levels_have_become(
    read_job: Job,
) -> None:
    reading = Reading(read_job, 30)
    reading.read(partial(rows_of, 1), 40)
    tokens = torch.randint(9, (3, 21))  # longer than every period

    module = training.compile(reading._still.spec)
    module.load_state_dict(reading._still.state_dict())
    first = module(tokens).logits
    assert reading._state is not None
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for path, name in reading._levels:
            for number, weight in enumerate(reading._state["layers"][path][name].weights):
                parameters[f"model.weights.{path}.{name}.W{number}"].copy_(weight[0])

    found = reading(tokens).logits
    assert torch.allclose(found, module(tokens).logits, atol=1e-5)
    assert not torch.allclose(found, first, atol=1e-3)


def rows_of_part(part: int):  # a draw
    return lambda split, seed, rows: rows_of(part, split, seed, rows)


def test_what_is_read_does_not_depend_on_pieces_and_is_scored_before_it_is_learned(
    read_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Reading(read_job, 30)
    whole.read(both, 33)
    monkeypatch.setattr(reading_module, "PIECE", 7)
    pieces = Reading(read_job, 30)
    pieces.read(both, 33)

    assert whole.nats == pytest.approx(pieces.nats, abs=1e-5)
    assert len(whole.nats) == 33
    batch = both(Split.TRAIN, 4, 33)
    with torch.no_grad():
        logits = whole._still(batch.tokens[:1, :2]).logits
    wanted = torch.nn.functional.cross_entropy(logits[:, 1], batch.targets[:1, 1]).item()
    assert whole.nats[0] == pytest.approx(wanted, abs=1e-5)


def test_levels_learn_from_the_labels_that_are_given(read_job: Job) -> None:
    def turned(split: Split, seed: int, rows: int) -> Batch:
        batch = both(split, seed, rows)
        targets = torch.where(batch.targets == IGNORED, IGNORED, 25 - batch.targets)
        return Batch(tokens=batch.tokens, targets=targets)

    one, other = Reading(read_job, 30), Reading(read_job, 30)
    one.read(both, 40)
    other.read(turned, 40)
    probe = both(Split.TEST, 0, 8).tokens[:, :2]
    assert not torch.allclose(one(probe).logits, other(probe).logits, atol=1e-4)


def test_scores_move_nothing(read_job: Job) -> None:
    reading = Reading(read_job, 30)
    reading.read(both, 40)
    probe = both(Split.TEST, 0, 8).tokens[:, :2]
    before = reading(probe).logits
    reading(torch.randint(9, (2, 50)))
    assert torch.equal(reading(probe).logits, before)


def test_the_first_task_is_trained_where_there_is_no_base_and_the_second_only_read(
    read_job: Job,
) -> None:
    found = carry_out_stream(read_job)

    assert found.steps == 30
    assert found.series["task, after 1"][0][1] > 0.5
    assert found.scores["nats while reading"] is not None
    assert {"score", "learned", "forgetting", "nats learned", "nats lost"} <= set(found.scores)


def test_a_rate_of_nothing_keeps_the_trained_model(read_job: Job) -> None:
    still = replace(read_job, spec=at_rate(read_job.spec, 1e-30))
    found = carry_out_stream(still)
    assert found.series["task, after 1"] == found.series["task, after 2"]
    assert found.scores["forgetting"] == 0


def at_rate(spec: Spec, rate: float) -> Spec:
    return with_settings(spec, {"training.lr": rate, "training.min_lr": rate})


def test_a_spec_without_levels_on_tokens_at_a_rate_is_refused(job, clocked: Spec) -> None:
    with pytest.raises(InputError, match="NG950 `moves=reading` needs levels on tokens"):
        carry_out_stream(job(moves="reading"))


def test_ways_to_train_are_no_baselines_of_reading(clocked: Spec) -> None:
    task = find_task("clinc150:moves=reading")
    assert [name for name, _, _ in baselines(task, clocked)] == ["nearest class mean"]
    assert task.rates == (1e-4, 3e-4, 1e-3)
