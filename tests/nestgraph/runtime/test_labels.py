"""Targets lie beside tokens and are classes; what they leave open is the token behind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import nestgraph as ng
from nestgraph.errors import InputError
from nestgraph.runtime.labels import (
    IGNORED,
    NEXT,
    behind,
    labels_of,
    mean_nats,
    nats,
    require_targets,
)

CLASSES = 10


def rows(*listed: list[int]) -> Tensor:
    return torch.tensor(listed)


def test_targets_are_classes_and_stand_where_there_is_a_token() -> None:
    tokens = rows([1, 2, -1, -1], [3, 4, 5, -1])
    require_targets(rows([2, -1, -1, -1], [-100, 5, 6, -1]), tokens, CLASSES)  # any may be left out
    with pytest.raises(InputError, match="NG744 row 0 has a label at position 2"):
        require_targets(rows([2, 3, 4, -1], [4, 5, 6, -1]), tokens, CLASSES)
    with pytest.raises(InputError, match="NG744 row 1 has a label at position 3"):
        require_targets(rows([2, 3, -1, -1], [4, 5, 6, 7]), tokens, CLASSES)
    for wrong in (10, -2, -99):
        said = f"NG744 row 1 has the label {wrong} at position 1.*answers with 0 to 9"
        with pytest.raises(InputError, match=said):
            require_targets(rows([2, 3, -1, -1], [4, wrong, 6, -1]), tokens, CLASSES)


@pytest.mark.parametrize(
    "targets",
    [
        torch.zeros(2, 3, dtype=torch.long),
        torch.zeros(2, dtype=torch.long),
        torch.zeros(2, 4),
        torch.zeros(2, 4, dtype=torch.bool),
    ],
)
def test_targets_are_one_whole_number_for_each_token(targets: Tensor) -> None:
    with pytest.raises(InputError, match=r"NG747 targets are .* beside tokens of .2, 4."):
        require_targets(targets, torch.zeros(2, 4, dtype=torch.long), CLASSES)


def test_a_label_that_nobody_gave_is_the_token_behind_once_it_is_known() -> None:
    tokens = rows([1, 2, 3], [4, 5, -1])
    assert labels_of(None, tokens, of_tokens=False).eq(IGNORED).all()
    first = labels_of(None, tokens, of_tokens=True)
    assert first.eq(NEXT).all()
    assert behind(first, tokens).tolist() == [[2, 3, NEXT], [5, -1, NEXT]]
    given = labels_of(rows([7, -1, 8, -1], [9, -100, -1, -1]), tokens, of_tokens=True)
    assert behind(given, tokens).tolist() == [[7, IGNORED, 8], [9, IGNORED, IGNORED]]


def test_negative_labels_cost_nothing() -> None:
    scores, labels = torch.randn(2, 3, CLASSES), rows([1, -1, 4], [-100, 0, 9])
    chosen = scores.log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    wanted = -(chosen * (labels >= 0)).sum()
    torch.testing.assert_close(nats(scores, labels), wanted)
    torch.testing.assert_close(mean_nats(scores, labels.int()), wanted / 4)
    assert mean_nats(scores, torch.full_like(labels, -1)) == 0


@pytest.mark.parametrize("name", ["transformer-tiny", "cms-chain-tiny"])
def test_a_target_beyond_the_vocabulary_is_refused_wherever_one_is_taken(name: str) -> None:
    spec = ng.load(name, {"vars.depth": 1})
    module, reference = ng.compile(spec), ng.reference(spec)
    tokens, targets = torch.randint(256, (2, 5)), torch.full((2, 5), 3)
    targets[1, 2] = 256
    said = "NG744 row 1 has the label 256 at position 2"
    for ask in (
        lambda: module(tokens, targets=targets),
        lambda: module.loss(tokens, targets),
        lambda: module.training_step((tokens, targets), 0),
        lambda: module.validation_step((tokens, targets), 0),
        lambda: module.test_step((tokens, targets), 0),
        lambda: reference(tokens, targets=targets),
    ):
        with pytest.raises(InputError, match=said):
            ask()
