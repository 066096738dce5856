"""Four authors and domains: whose text a row is of, and that no byte is learned and scored."""

from __future__ import annotations

import pytest
import torch

from nestgraph.data import load_corpus
from nestgraph.data.labelled import load_labelled
from nestgraph.errors import InputError
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.continual.texts import DOMAINS
from nestgraph.evaluation.task import Split


def test_every_byte_is_predicted_from_those_before() -> None:
    task = find_task("domains:T=50")
    assert list(task.parts) == ["shakespeare", "austen", "encyclopaedia", "customers"]
    for name, draw in task.parts.items():
        batch = draw(Split.TEST, 2, 5)
        assert torch.equal(batch.tokens[:, 1:], batch.targets[:, :-1])
        for row in batch.tokens.tolist():
            assert bytes(row) in DOMAINS[name](Split.TEST)


@pytest.mark.parametrize("name", ["shakespeare", "austen"])
def test_a_text_falls_into_three_parts_and_its_end_is_scored(name: str) -> None:
    parts = [DOMAINS[name](split) for split in (Split.TRAIN, Split.TUNE, Split.TEST)]
    corpus = load_corpus(name)
    assert b"".join(parts) == corpus.text
    assert parts[2] == corpus.validation
    assert len(parts[1]) == len(parts[2])


def test_the_texts_of_sets_are_the_rows_of_a_split() -> None:
    lines = DOMAINS["customers"](Split.TUNE).split(b"\n")
    rows = [row.content for row in load_labelled("banking77").tune]
    assert sorted(b"\n".join(rows).split(b"\n")) == sorted(lines[:-1])


def test_all_domains_have_their_share_of_a_mixed_batch() -> None:
    batch = find_task("domains:T=300").draw(Split.TRAIN, 1, 16)
    texts = {name: DOMAINS[name](Split.TRAIN) for name in DOMAINS}
    found = [next(n for n, text in texts.items() if bytes(row) in text) for row in batch.tokens]
    assert {name: found.count(name) for name in texts} == dict.fromkeys(texts, 4)


@pytest.mark.parametrize("setting", ["T=1", "T=5000", "base=10", "buffer=0", "ewc=-1"])
def test_settings_that_no_stream_has_are_refused(setting: str) -> None:
    with pytest.raises(InputError, match="NG931"):
        find_task(f"domains:{setting}")
