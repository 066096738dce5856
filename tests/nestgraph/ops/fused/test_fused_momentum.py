"""The derivative by hand of a segment with momentum, against finite differences and autograd."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from nestgraph.ops import MemoryConfig, Rates, State, advance, read, write
from nestgraph.ops.fused.fused_momentum import can_fuse_momentum
from nestgraph.ops.ttt import segment_end

B, H, M, T, D = 2, 2, 2, 3, 2
FORMS = [
    MemoryConfig(layers=2, residual=True, momentum=True),
    MemoryConfig(layers=2, activation="gelu", scale=0.5, momentum=True, stepped=True, signed=True),
    MemoryConfig(layers=3, activation="tanh", objective="dot", momentum=True, stepped=True),
    MemoryConfig(layers=1, linear=True, momentum=True),
]


def draw(*shape: int) -> Tensor:
    return (torch.randn(*shape, dtype=torch.float64) * 0.7).requires_grad_()


def arguments(config: MemoryConfig, *, own: bool, ticked: bool) -> list[Tensor]:
    matrices = [draw(B, H, M, D, D) for _ in range(config.layers * (2 if ticked else 3))]
    flows = [draw(B, H, T, D), draw(B, H, T, D) if own else draw(B, H, M, T, D)]
    rates = [draw(B, H, T).detach().abs().requires_grad_() for _ in range(4)]
    return [*flows, *rates, *matrices]


def moved(
    config: MemoryConfig, *, own: bool, read_first: bool, given: list[Tensor]
) -> tuple[Tensor, ...]:
    """Return a and S behind the segment; a read on the way makes the general lines work them
    out.
    """
    k, v, rate, retain, momentum, step, *parts = given
    count = config.layers
    speeds, anchor, running = parts[:count], tuple(parts[count : 2 * count]), parts[2 * count :]
    state = State(tuple(running) or anchor, anchor, tuple(speeds))
    rates = Rates(
        rate=rate, retain=retain, momentum=momentum, step=step if config.stepped else None
    )
    written = write(config, state, k, *((None, v) if own else (v, None)), rates)
    if read_first:
        read(config, written, k)
    after = advance(written, commit=False)
    return (*after.running, *after.momentum)


CASES = list(product(FORMS, [True, False], [True, False]))


@pytest.mark.parametrize(("config", "own", "ticked"), CASES)
def test_gradients_are_exact(config: MemoryConfig, own: bool, ticked: bool) -> None:
    assert can_fuse_momentum(config)
    torch.manual_seed(0)
    given = arguments(config, own=own, ticked=ticked)

    def run(*given: Tensor) -> tuple[Tensor, ...]:
        return moved(config, own=own, read_first=False, given=list(given))

    assert torch.autograd.gradcheck(run, tuple(given), fast_mode=True)


@pytest.mark.parametrize("large", [0, 2**13])
@pytest.mark.parametrize(("config", "own", "ticked"), CASES)
def test_one_step_is_what_the_general_lines_give(
    monkeypatch: pytest.MonkeyPatch, config: MemoryConfig, own: bool, ticked: bool, large: int
) -> None:
    monkeypatch.setattr(segment_end, "LARGE", large)
    monkeypatch.setattr(segment_end, "BLOCK", 1 if large == 0 else 2**18)
    given = arguments(config, own=own, ticked=ticked)
    both = []
    for read_first in (False, True):
        answers = moved(config, own=own, read_first=read_first, given=given)
        loss = sum((answer * torch.arange(4.0).view(2, 2)).sum() for answer in answers)
        assert isinstance(loss, Tensor)
        both.append((answers, torch.autograd.grad(loss, given, allow_unused=True)))
    for fused, general in zip(*both, strict=True):
        for mine, other in zip(fused, general, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9)
