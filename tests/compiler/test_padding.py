"""Padding is not read: states behind it are those behind the last token, of every shipped spec."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils import _pytree

import nestgraph as ng
from nestgraph.errors import InputError, SpecError
from nestgraph.language import zoo
from nestgraph.training import NestModule

TINY = [name for name in zoo.names() if name.endswith("-tiny")]
SMALL = {"vars.depth": 1, "vars.width": 32, "vars.heads": 2}


@functools.cache
def module_of(name: str) -> NestModule:
    """Return a small model in float64."""
    try:
        spec = ng.load(name, set=SMALL)
    except SpecError:
        spec = ng.load(name, set={"vars.depth": 1})
    return ng.compile(spec).double()


def text(rows: int, time: int, seed: int = 0) -> Tensor:
    return torch.randint(256, (rows, time), generator=torch.Generator().manual_seed(seed))


def padded(tokens: Tensor, more: int) -> Tensor:
    return torch.cat([tokens, torch.full((len(tokens), more), -1)], 1)


def assert_same(one: Any, other: Any) -> None:
    mine, theirs = (_pytree.tree_leaves(x) for x in (one, other))
    assert len(mine) == len(theirs)
    for left, right in zip(mine, theirs, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", TINY)
def test_right_padding_leaves_states_as_they_were(name: str) -> None:
    module, tokens = module_of(name), text(2, 11)
    with torch.no_grad():
        bare, wide = module(tokens), module(padded(tokens, 5))
        assert_same(wide.state, bare.state)
        assert_same(wide.logits[:, :11], bare.logits)
        assert not wide.logits[:, 11:].any()
        on = text(2, 7, seed=1)
        assert_same(module(on, wide.state), module(on, bare.state))


@pytest.mark.parametrize("name", TINY)
def test_a_row_that_ends_early_has_its_own_scores_and_its_state_leads_nowhere(name: str) -> None:
    module, tokens = module_of(name), text(3, 12)
    ends = [12, 5, 9]
    for row, end in enumerate(ends):
        tokens[row, end:] = -1
    with torch.no_grad():
        logits, state = module(tokens)
        for row, end in enumerate(ends):
            alone = module(tokens[row : row + 1, :end]).logits[0]
            torch.testing.assert_close(logits[row, :end], alone)
            assert not logits[row, end:].any()
        with pytest.raises(InputError, match=r"NG745 .*ended after \[12, 5, 9\] tokens"):
            module(text(3, 4), state)
        with pytest.raises(InputError, match="NG745"):
            module.model.loss(text(3, 4), text(3, 4), state)


@pytest.mark.parametrize("name", ["hope-tiny", "cms-chain-tiny", "transformer-tiny"])
def test_the_interpreter_reads_padding_as_the_compiler_does(name: str) -> None:
    spec = ng.load(name, set=SMALL)
    module, reference = ng.compile(spec).double(), ng.reference(spec)
    tokens = padded(text(2, 9), 3)
    ours, theirs = module(tokens), reference(tokens)
    torch.testing.assert_close(ours.logits, theirs.logits)
    assert_same(reference(tokens[:, :9]).state, theirs.state)
    tokens[1, 4:] = -1
    torch.testing.assert_close(module(tokens).logits, reference(tokens).logits)
    with pytest.raises(InputError, match="NG745"):
        reference(text(2, 3), reference(tokens).state)


@pytest.mark.parametrize("name", TINY)
def test_no_rows_and_no_tokens_are_answered(name: str) -> None:
    module = module_of(name)
    for shape in ((0, 4), (2, 0), (0, 0)):
        tokens = torch.zeros(shape, dtype=torch.long)
        logits, state = module(tokens)
        assert logits.shape == (*shape, 256)
        logits.sum().backward()
        again = module(tokens, state)
        assert again.logits.shape == logits.shape
        assert int(again.state["position"]) == 2 * shape[1]
        loss, _ = module.model.loss(tokens, tokens)
        assert loss == 0
        loss.backward()


@pytest.mark.parametrize("name", TINY)
def test_no_tokens_change_nothing_in_between(name: str) -> None:
    module, tokens = module_of(name), text(2, 13)
    nothing = torch.zeros(2, 0, dtype=torch.long)
    with torch.no_grad():
        state = module(nothing, module(tokens[:, :9], module(nothing).state).state).state
        assert_same(
            module(tokens[:, 9:], state), module(tokens[:, 9:], module(tokens[:, :9]).state)
        )


@pytest.mark.parametrize("name", ["hope-tiny", "cms-chain-tiny"])
def test_the_interpreter_answers_no_rows_and_no_tokens(name: str) -> None:
    reference = ng.reference(ng.load(name, set=SMALL))
    for shape in ((0, 4), (2, 0), (0, 0)):
        tokens = torch.zeros(shape, dtype=torch.long)
        logits, state = reference(tokens)
        logits.sum().backward()
        assert reference(tokens, state).logits.shape == (*shape, 256)


@pytest.mark.parametrize(
    "name", ["hope-tiny", "cms-chain-tiny", "cms-nested-tiny", "deltanet-tiny"]
)
def test_the_gradient_of_a_padded_batch_is_that_of_its_rows(name: str) -> None:
    """Rows weigh by their tokens, whatever stands behind them."""
    module, tokens = module_of(name), text(2, 14)
    tokens[1, 8:] = -1
    parameters = list(module.parameters())

    def gradients(loss: Tensor) -> list[Tensor | None]:
        return list(torch.autograd.grad(loss, parameters, allow_unused=True))

    together = gradients(module.model.loss(tokens[:, :-1], tokens[:, 1:])[0])
    alone = [tokens[:1], tokens[1:, :8]]
    weights = [13 / 20, 7 / 20]
    apart = [
        gradients(weight * module.model.loss(one[:, :-1], one[:, 1:])[0])
        for one, weight in zip(alone, weights, strict=True)
    ]
    for whole, *parts in zip(together, *apart, strict=True):
        given = [part for part in parts if part is not None]
        if whole is not None:
            torch.testing.assert_close(whole, sum(given, torch.zeros_like(whole)))


def test_a_batch_without_labels_has_no_loss() -> None:
    module, tokens = module_of("hope-tiny"), text(2, 6)
    loss, _ = module.model.loss(tokens, torch.full_like(tokens, -1))
    assert loss == 0
    loss.backward()
    assert all(p.grad is None or not p.grad.any() for p in module.parameters())
    nothing = torch.full_like(tokens, -1)
    assert module.model.loss(nothing, nothing)[0] == 0
