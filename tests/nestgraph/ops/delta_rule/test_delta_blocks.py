"""A linear memory whose chunks are taken a few at a time: blocks of any size give the same."""

from __future__ import annotations

import pytest
import torch

from nestgraph.ops import linear_memory
from nestgraph.ops.delta_rule import delta_blocks_fwd

B, H, D, E, TIME, CHUNK = 2, 2, 3, 4, 23, 4
ROWS = B * H * CHUNK * (D + E)
RULES = [
    {"objective": "l2", "retain_first": True},
    {"objective": "dot"},
]


def flows(many: int) -> dict[str, torch.Tensor]:
    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64)

    several = (many,) if many > 1 else ()
    found = {
        "k": draw(B, H, TIME, *several, D) / D**0.5 / many,
        "v": draw(B, H, TIME, *several, E),
        "first": draw(B, H, E, D),
        "rate": torch.rand(B, H, TIME, dtype=torch.float64) * 0.5,
        "retain": torch.rand(B, H, TIME, dtype=torch.float64) * 0.5 + 0.5,
        "q": draw(B, H, TIME, D),
    }
    return {name: x.requires_grad_() for name, x in found.items()}


def run(given: dict[str, torch.Tensor], decays: bool, rule: dict) -> list[torch.Tensor]:
    reads = [(given["q"], "after"), (given["q"].flip(2), "before")]
    retain = given["retain"] if decays else None
    answers, last = linear_memory(
        *(given[name] for name in ("k", "v", "first", "rate")),
        retain,
        None,
        reads,
        chunk=CHUNK,
        **rule,
    )
    wanted = [x for name, x in given.items() if decays or name != "retain"]
    loss = sum((x * x).sum() for x in (*answers, last))
    return [*answers, last, *torch.autograd.grad(loss, wanted)]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("decays", [True, False])
@pytest.mark.parametrize("many", [1, 2])
def test_blocks_of_any_size_give_the_same(monkeypatch, rule, decays, many, assert_alike):
    given = flows(many)
    whole = run(given, decays, rule)
    for chunks in (1, 2, 4):  # of six, the last of them half full
        monkeypatch.setattr(delta_blocks_fwd, "BLOCK", chunks * ROWS * many)
        for one, other in zip(run(given, decays, rule), whole, strict=True):
            assert_alike(one, other)


@pytest.mark.parametrize("rule", RULES)
def test_gradients_are_those_of_finite_differences(monkeypatch, rule):
    monkeypatch.setattr(delta_blocks_fwd, "BLOCK", 2 * ROWS)
    given = flows(1)

    def answers(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        k, v, first, rate, retain, q = tensors
        found, last = linear_memory(
            k, v, first, rate, retain, None, [(q, "after")], chunk=CHUNK, **rule
        )
        return (*found, last)

    short = {n: x if n == "first" else x[:, :, :9].detach() for n, x in given.items()}
    inputs = [x.detach().requires_grad_() for x in short.values()]
    assert torch.autograd.gradcheck(answers, inputs, fast_mode=True)


def test_a_memory_that_nobody_asks_passes_gradients_to_what_it_keeps():
    given = flows(1)
    names = ("k", "v", "first", "rate", "retain")
    _, last = linear_memory(*(given[name] for name in names), None, [], chunk=CHUNK)
    grads = torch.autograd.grad(last.sum(), [given[name] for name in names])
    assert all(bool(grad.ne(0).any()) for grad in grads)


def test_every_thread_gets_as_much_of_a_block(monkeypatch):
    shape = delta_blocks_fwd.Shape(B, H, CHUNK, 1)
    flow = torch.zeros(B, H, TIME, 1, D), torch.zeros(B, H, TIME, 1, E)
    monkeypatch.setattr(delta_blocks_fwd, "BLOCK", 2 * ROWS)
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert shape.block_of(*flow) == 2 * threads
