"""The pass key, RULER's needles and BABILong: what is asked follows from what a row says."""

from __future__ import annotations

import random
import re

import pytest
import torch

from nestgraph.data.stories import load_questions
from nestgraph.errors import InputError
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.task import Draw, Split
from nestgraph.evaluation.tasks.needles import KINDS
from nestgraph.runtime.labels import IGNORED

TOLD = re.compile(r"One of the special magic (?:number|uuid)s for (\S+) is: (\S+)\. ")
ASKED = re.compile(r"What (?:is|are all) the special magic \w+ for ([^?]+)\? ")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def texts(draw: Draw, split: Split, rows: int = 8) -> list[tuple[str, str]]:
    """Return what rows say up to their answers, and the answers without what stands between
    them.
    """
    found = []
    batch = draw(split, random.randrange(2**31), rows)
    for tokens, targets in zip(batch.tokens.tolist(), batch.targets.tolist(), strict=True):
        scored = [at for at, target in enumerate(targets) if target != IGNORED]
        assert scored[-1] == len(tokens) - 1
        for at in scored[:-1]:
            assert tokens[at + 1] == targets[at]  # what is answered is read next
        answer = bytes(targets[at] for at in scored)
        found.append((bytes(tokens[: scored[0] + 1]).decode("latin-1"), answer.decode()))
    return found


@pytest.mark.parametrize("split", list(Split))
def test_the_pass_key_is_told_once_and_farther_away_than_the_gap(split: Split) -> None:
    gap = random.randint(1, 300)
    task = find_task(f"passkey:T=600,gap={gap}")
    for said, answer in texts(task.draw, split):
        told = re.findall(r"The pass key is (\d+)\. Remember it\. (\d+) is the pass key\. ", said)
        assert told == [(answer[:-1],) * 2]
        assert 1 <= int(answer[:-1]) <= 50_000
        question = said.index("What is the pass key? The pass key is ")
        assert question - said.rindex("is the pass key. ") - len("is the pass key. ") >= gap


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("split", list(Split))
def test_needles_answer_the_question_and_keep_the_gap(kind: str, split: Split) -> None:
    gap = random.randint(1, 400)
    task = find_task(f"niah:kind={kind},T=1400,gap={gap},shortest=1000")
    for said, answer in texts(task.draw, split):
        [question] = ASKED.finditer(said)
        keys = re.split(", | and ", question[1])
        told = list(TOLD.finditer(said[: question.start()]))
        values = [each[2] for key in keys for each in told if each[1] == key]
        assert answer == "".join(values) + "."
        last = max(each.end() for each in told if each[1] in keys)
        assert question.start() - last >= gap
        assert len(set(keys)) == KINDS[kind].asked
        assert len(values) == KINDS[kind].asked * KINDS[kind].values
        for value in values:
            assert (UUID if kind in ("S3", "MK3") else re.compile(r"\d{7}")).fullmatch(value)


@pytest.mark.parametrize(("kind", "others"), [("S1", 0), ("S2", 0), ("MK1", 3), ("MQ", 0)])
def test_a_kind_hides_as_many_other_needles_as_ruler(kind: str, others: int) -> None:
    for said, _ in texts(find_task(f"niah:kind={kind}").draw, Split.TEST):
        told = {each[1] for each in TOLD.finditer(said)}
        assert len(told) == KINDS[kind].asked + others


@pytest.mark.parametrize("kind", ["MK2", "MK3"])
def test_a_haystack_of_needles_holds_nothing_else(kind: str) -> None:
    for said, _ in texts(find_task(f"niah:kind={kind},T=2000").draw, Split.TEST):
        straw = TOLD.sub("", said[: said.index("What is")])
        assert len(straw) < 48 + 110  # the opening, and the end of a needle
        assert len(set(TOLD.findall(said))) > 9


@pytest.mark.parametrize("qa", [1, 2, 3])
@pytest.mark.parametrize("split", list(Split))
def test_a_story_stands_in_its_order_before_the_gap_and_its_question_ends_the_row(
    qa: int, split: Split
) -> None:
    gap = random.randint(1, 300)
    task = find_task(f"babilong:qa={qa},T=4000,shortest=3500,gap={gap}")
    known = load_questions(qa, "test" if split is Split.TEST else "train")
    for said, answer in texts(task.draw, split, rows=4):
        assert answer.endswith(".")
        matching = [q for q in known if said.endswith(f"{q.text} ") and f"{q.answer}." == answer]
        assert any(in_order(said, q.facts, gap + len(q.text) + 1) for q in matching)


def in_order(said: str, facts: tuple[str, ...], distance: int) -> bool:
    place = 0
    for fact in facts:
        place = said.find(fact, place)
        if place < 0:
            return False
        place += len(fact)
    return len(said) - place >= distance


def test_questions_for_training_and_for_choosing_rates_are_different_ones() -> None:
    task = find_task("babilong:qa=1")
    train, tune = (set(texts(task.draw, split, rows=200)) for split in (Split.TRAIN, Split.TUNE))
    assert not train & tune


@pytest.mark.parametrize("name", ["passkey", "niah:kind=MV", "babilong"])
def test_rows_become_longer_by_doubling_and_the_longest_are_those_of_the_task(name: str) -> None:
    task = find_task(f"{name}{',' if ':' in name else ':'}T=2000,shortest=600,gap=300")

    assert list(task.parts) == ["T=600", "T=1200", "T=2000"]
    shapes = [draw(Split.TUNE, 1, 2).tokens.shape[1] for draw in task.parts.values()]
    assert shapes == [600, 1200, 2000]
    assert torch.equal(
        task.parts["T=2000"](Split.TEST, 3, 2).tokens, task.draw(Split.TEST, 3, 2).tokens
    )


@pytest.mark.parametrize("name", ["passkey:text=true", "niah:text=true"])
def test_every_byte_of_training_may_be_a_label_and_none_of_others(name: str) -> None:
    task = find_task(name)
    assert bool((task.draw(Split.TRAIN, 1, 2).targets != IGNORED).all())
    assert int((task.draw(Split.TEST, 1, 2).targets != IGNORED).sum()) < 20


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("passkey:gap=0", r"`gap` \(=0\) must be at least 1"),
        ("passkey:T=500,gap=400", r"`T` \(=500\) must be at least 5\d\d: the gap, and 1\d\d bytes"),
        ("passkey:shortest=90", r"`shortest` \(=90\) must be from 1\d\d to `T` \(=1024\)"),
        ("passkey:shortest=2000", r"`shortest` \(=2000\) must be from"),
        ("passkey:T=2000000", r"`T` \(=2000000\) must be at most 1048576"),
        ("niah:kind=S4", r"`kind` \(=S4\) must be"),
        ("babilong:qa=4", r"`qa` \(=4\) must be"),
    ],
)
def test_lengths_that_hold_no_row_are_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=f"NG931 {said}"):
        find_task(text)
