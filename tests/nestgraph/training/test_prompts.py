"""Prompts of unequal length in one batch go on as each would alone."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nestgraph.errors import InputError
from nestgraph.language.spec import load
from nestgraph.training import compile
from nestgraph.training.module import NestModule
from nestgraph.training.prompts import groups_of
from nestgraph.training.states import save_state

SMALL = {"vars.width": 16, "vars.heads": 2, "vars.depth": 1}
PACES = {"vars.fast": 2, "vars.mid": 4, "vars.slow": 8, "vars.rate": 0.1}
LENGTHS = [5, 2, 5, 9]
NAMES = ["hope-tiny", "hope-online", "transformer-swa-tiny"]


@functools.cache
def module_of(name: str) -> NestModule:
    """Return a model sure enough of its answers that they differ from row to row."""
    module = compile(load(name, set=SMALL | (PACES if name == "hope-online" else {}))).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module


def prompts() -> list[Tensor]:
    return [torch.randint(256, (length,)) for length in LENGTHS]


def filled(rows: list[Tensor]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_unequal_length_go_on_as_each_would_alone(name: str) -> None:
    module, rows = module_of(name), prompts()
    alone = torch.cat([module.generate(row, 7, temperature=0) for row in rows])
    assert torch.equal(module.generate(rows, 7, temperature=0), alone)
    assert torch.equal(module.generate(filled(rows), 7, temperature=0), alone)


@pytest.mark.parametrize("name", NAMES)
def test_rows_at_different_positions_go_on_later(name: str) -> None:
    """Also by prompts whose lengths mix the groups anew."""
    module, rows = module_of(name), prompts()
    sample = next(itertools.islice(module.stream(rows, temperature=0), 2, None))
    more = [torch.randint(256, (length,)) for length in (3, 3, 1, 3)]
    on = [torch.cat((one[None], two)) for one, two in zip(sample.tokens, more, strict=True)]
    together = module.generate(on, 4, temperature=0, state=sample.state)
    for row, (first, then) in enumerate(zip(rows, more, strict=True)):
        single = next(itertools.islice(module.stream(first, temperature=0), 2, None))
        assert int(single.tokens[0]) == int(sample.tokens[row])
        whole = torch.cat((single.tokens, then))
        alone = module.generate(whole, 4, temperature=0, state=single.state)
        assert torch.equal(together[row], alone[0])


def test_a_state_of_equal_rows_goes_on_by_unequal_ones() -> None:
    module = module_of("hope-tiny")
    with torch.no_grad():
        state = module(torch.randint(256, (3, 6))).state
    rows = [torch.randint(256, (length,)) for length in (2, 4, 2)]
    together = module.generate(rows, 3, temperature=0, state=state)
    groups = groups_of(rows, 256, state)
    assert [group.rows.tolist() for group in groups] == [[0, 2], [1]]
    for group in groups:
        own = module.generate(group.tokens, 3, temperature=0, state=group.state)
        assert torch.equal(together[group.rows], own)


def test_rows_of_one_length_are_read_at_once_and_drawn_as_before() -> None:
    module, rows = module_of("hope-tiny"), torch.randint(256, (3, 4))
    one, other = (
        module.generate(prompt, 5, generator=torch.Generator().manual_seed(3))
        for prompt in (rows, list(rows))
    )
    assert torch.equal(one, other)
    sample = next(module.stream(rows))
    assert int(sample.state["position"]) == 4
    assert module.generate(prompts(), 0).shape == (4, 0)


def test_a_state_at_several_positions_is_no_state_of_a_sequence(tmp_path: Path) -> None:
    module = module_of("hope-tiny")
    state: Any = next(module.stream(prompts())).state
    said = r"NG745 this state is of rows at 3 different positions; go on from it by `generate`"
    with pytest.raises(InputError, match=said):
        module(torch.randint(256, (4, 2)), state)
    with pytest.raises(InputError, match=said):
        save_state(tmp_path / "mem.safetensors", module, state)


@pytest.mark.parametrize("name", ["hope-tiny", "hope-online", "transformer-swa-tiny"])
def test_a_state_goes_on_with_as_many_rows_as_it_has(name: str) -> None:
    """One row would else be shared by all, without a word."""
    module = module_of(name)
    for held, read in ((1, 3), (3, 1), (2, 3)):
        with torch.no_grad():
            state = module(torch.randint(256, (held, 4))).state
        said = rf"NG737 the state is of {held} rows, the (tokens have|prompt has) {read}"
        tokens = torch.randint(256, (read, 2))
        with pytest.raises(InputError, match=said):
            module(tokens, state)
        with pytest.raises(InputError, match=said):
            module.loss(tokens, tokens, state)
        with pytest.raises(InputError, match=said):
            module.generate(tokens, 2, state=state)


def test_a_prompt_may_be_one_row_without_its_axis() -> None:
    (group,) = groups_of(torch.tensor([1, 2], dtype=torch.uint8), 256)
    assert group.tokens.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (torch.empty(0, dtype=torch.long), "the prompt is empty"),
        (torch.empty(2, 0, dtype=torch.long), "row 0 of the prompt is empty"),
        (torch.tensor([[3, 4], [-1, -1]]), "row 1 of the prompt is empty"),
        ([], "the prompt is empty"),
        ([torch.tensor([3]), torch.tensor([], dtype=torch.long)], "row 1 of the prompt is empty"),
        (torch.tensor([0.5]), r"the prompt holds torch\.float32; give whole numbers"),
        (torch.tensor([True]), r"the prompt holds torch\.bool; give whole numbers"),
        (torch.tensor([3, 70]), "holds token 70; the model knows 0 to 63"),
        (torch.tensor([-1, 3]), "holds token -1"),
        (torch.tensor([[3, -2]]), "holds token -2"),
        (torch.zeros(1, 2, 3, dtype=torch.long), r"the prompt has the shape \(1, 2, 3\)"),
        ([torch.zeros(1, 2, dtype=torch.long)], r"a row of the prompt has the shape \(1, 2\)"),
    ],
)
def test_a_prompt_that_is_none_is_refused(prompt: Any, said: str) -> None:
    with pytest.raises(InputError, match=f"NG741 {said}|NG741 the prompt {said}"):
        groups_of(prompt, 64)
