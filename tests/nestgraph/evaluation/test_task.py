"""Tasks: how they are registered, named and refused."""

from __future__ import annotations

import random
from importlib.util import find_spec

import pytest
import torch

from nestgraph.errors import InputError
from nestgraph.evaluation.choosing import find_task, make, names
from nestgraph.evaluation.task import Split, generator
from nestgraph.runtime.labels import IGNORED

NEEDS_DIGITS = pytest.mark.skipif(
    find_spec("sklearn") is None, reason="`nestgraph[eval]` is not installed"
)
DRAWN = [pytest.param(name, marks=NEEDS_DIGITS if name == "digits" else ()) for name in names()]


def refusal(text: str) -> InputError:
    with pytest.raises(InputError) as refused:
        find_task(text)
    return refused.value


def code_and_words(text: str) -> tuple[str, str]:
    (found,) = refusal(text).diagnostics
    return found.code, f"{found.message}; {found.hint}"


def test_a_task_is_found_by_name_with_its_defaults():
    task = find_task("mqar")
    assert (task.name, task.context, task.vocab) == ("mqar", 64, 256)
    assert task.settings == {"T": 64, "K": 4, "V": 256, "a": 0.01, "random_non_queries": False}


def test_settings_follow_a_colon():
    task = find_task("mqar:K=16,T=128, a=1")
    assert task.settings["K"] == 16
    assert task.context == 128
    assert task.settings["a"] == 1.0


@pytest.mark.parametrize("name", names())
def test_a_label_finds_its_task_again(name):
    task = find_task(name)
    again = find_task(task.label)
    assert again.label == task.label
    assert again.settings == task.settings


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("mqr", "NG930", "did you mean `mqar`?"),
        ("nothing-at-all", "NG930", "`nestgraph eval --list` shows all"),
        ("", "NG930", "no task is called ``"),
        ("mqar:", "NG931", "no setting behind the colon"),
        ("mqar:K", "NG931", "`K` is no setting of the task `mqar`"),
        ("mqar:K=4,", "NG931", "`` is no setting"),
        ("mqar:k=4", "NG931", "the task `mqar` has no setting `k`; did you mean `K`?"),
        ("mqar:K=4,K=8", "NG931", "`K` is set twice"),
        ("mqar:K=four", "NG931", "`K` (=four) must be a whole number"),
        ("mqar:K=4.0", "NG931", "`K` (=4.0) must be a whole number"),
        ("mqar:K=", "NG931", "`K` (=) must be a whole number"),
        ("mqar:K=-1", "NG931", "`K` (=-1) must be at least 1"),
        ("mqar:K=\N{SUPERSCRIPT TWO}", "NG931", "must be a whole number"),
        ("mqar:a=nan", "NG931", "`a` (=nan) must be a number"),
        ("mqar:a=inf", "NG931", "`a` (=inf) must be a number"),
        ("mqar:random_non_queries=yes", "NG931", "must be true or false"),
    ],
)
def test_what_names_no_task_or_setting_is_refused_with_a_cure(text, code, words):
    found, said = code_and_words(text)
    assert found == code
    assert words in said


def test_settings_from_python_are_those_of_the_text():
    made, read = make("mqar", K=16, T=128), find_task("mqar:K=16,T=128")
    assert made.label == read.label
    one, other = made.draw(Split.TEST, 3, 5), read.draw(Split.TEST, 3, 5)
    assert torch.equal(one.tokens, other.tokens)


def test_a_generator_depends_on_all_of_its_key():
    seed = random.randrange(2**31)
    one = torch.rand(4, generator=generator("mqar", Split.TUNE, seed))
    assert torch.equal(one, torch.rand(4, generator=generator("mqar", Split.TUNE, seed)))
    for other in (("mqar", Split.TEST, seed), ("mqar", Split.TUNE, seed + 1), ("x", "tune", seed)):
        assert not torch.equal(one, torch.rand(4, generator=generator(*other)))


@pytest.mark.parametrize("name", DRAWN)
def test_rows_of_a_task_fit_its_vocabulary_and_context(name):
    task, seed = find_task(name), random.randrange(2**31)
    for split in Split:
        for draw in (task.draw, *task.parts.values()):
            batch = draw(split, seed, 3)
            assert batch.tokens.dtype == batch.targets.dtype == torch.int64
            assert batch.tokens.shape == batch.targets.shape
            assert -1 <= int(batch.tokens.min()) <= int(batch.tokens.max()) < task.vocab
            scored = batch.targets[batch.targets != IGNORED]
            assert len(scored)
            assert 0 <= int(scored.min()) <= int(scored.max()) < task.vocab
        assert task.draw(split, seed, 3).tokens.shape == (3, task.context)


@pytest.mark.parametrize("name", DRAWN)
def test_rows_of_a_task_are_the_same_for_a_seed_and_others_for_another(name):
    task, seed = find_task(name), random.randrange(2**31)
    drawn = [task.draw(Split.TRAIN, seed + more, 8) for more in (0, 0, 1)]
    tuned = task.draw(Split.TUNE, seed, 8)
    assert torch.equal(drawn[0].tokens, drawn[1].tokens)
    assert torch.equal(drawn[0].targets, drawn[1].targets)
    for other in (drawn[2], tuned):
        assert not torch.equal(drawn[0].tokens, other.tokens)


@pytest.mark.parametrize("name", names())
def test_a_task_tells_what_it_is_and_what_is_known_of_it(name):
    task = find_task(name)
    assert task.doc.endswith(".")
    assert task.steps > 0
    assert task.batch > 0
    assert task.rates
    assert all(rate > 0 for rate in task.rates)
    assert all(each.source for each in task.references)
    if task.chance is not None and task.floor is not None:
        assert (task.floor > task.chance) == task.higher
