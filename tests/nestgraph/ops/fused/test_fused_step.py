"""The derivative by hand of a whole segment, against finite differences."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from nestgraph.ops import MemoryConfig, Rates, State, advance, answer, write

B, H, M, T, D = 1, 2, 2, 3, 2
FORMS = [
    MemoryConfig(layers=2, residual=True, erase="key", implicit=True),
    MemoryConfig(layers=2, activation="gelu", erase="layers", implicit=True, scale=2.0),
    MemoryConfig(layers=3, activation="tanh", residual=True, objective="dot", erase="layers"),
    MemoryConfig(layers=1, linear=True, erase="key", implicit=True),
    MemoryConfig(layers=2, activation="sigmoid", signed=True),
]


def draw(*shape: int) -> torch.Tensor:
    return (torch.randn(*shape, dtype=torch.float64) * 0.7).requires_grad_()


@pytest.mark.parametrize(
    ("config", "own", "ticked"), list(product(FORMS, [True, False], [True, False]))
)
def test_gradients_are_exact(config, own, ticked):
    torch.manual_seed(0)
    weights = [draw(B, H, M, D, D) for _ in range(config.layers * (1 if ticked else 2))]
    flows = [draw(B, H, T, D), draw(B, H, T, D) if own else draw(B, H, M, T, D)]
    rates = [draw(B, H, T).detach().abs().requires_grad_() for _ in range(3)]

    def run(k, v, rate, retain, erase, *weights):
        anchor = tuple(weights[: config.layers])
        state = State(tuple(weights[config.layers :]) or anchor, anchor)
        state = state._replace(running=anchor) if ticked else state
        values = (None, v) if own else (v, None)
        rates = Rates(rate=rate, retain=retain, erase=erase)
        return advance(write(config, state, k, *values, rates), commit=True).running

    assert torch.autograd.gradcheck(run, (*flows, *rates, *weights))


@pytest.mark.parametrize("shared", [True, False])
def test_an_answer_has_exact_gradients(shared):
    torch.manual_seed(1)
    config = MemoryConfig(layers=2, residual=True)
    x = draw(B, H, T, D) if shared else draw(B, H, M, T, D)
    weights = [draw(B, H, M, D, D) for _ in range(2)]
    assert torch.autograd.gradcheck(lambda x, *w: answer(config, w, x), (x, *weights))


def test_weights_are_never_copied_from_one_segment_to_the_next():
    config = MemoryConfig(layers=2, erase="key")
    weights = tuple(torch.randn(B, H, M, D, D) for _ in range(2))
    state = State(weights, weights)
    with torch.no_grad():
        for _ in range(2):
            flow = torch.randn(B, H, T, D)
            state = advance(write(config, state, flow, None, flow), commit=True)
    members_first = state.running[0].permute(2, 0, 1, 3, 4)
    assert members_first.is_contiguous()
