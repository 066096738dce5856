"""How far windows see, and that no needle lies within them."""

from __future__ import annotations

import pytest
import torch

from nestgraph import training
from nestgraph.errors import InputError
from nestgraph.evaluation.choosing import find_task
from nestgraph.evaluation.long.reach import reach, require_outside
from nestgraph.language.spec import load


def test_windows_add_up_over_the_depth() -> None:
    for depth, window in ((1, 128), (3, 40)):
        settings = {"vars.depth": depth, "vars.window": window}
        assert reach(load("transformer-swa-tiny", settings)) == depth * (window - 1)


def test_convolutions_are_windows_and_memories_and_whole_attention_are_none() -> None:
    assert reach(load("transformer-tiny")) == 0
    depth = 2
    hope = load("hope-tiny", {"vars.depth": depth})
    one = reach(load("hope-tiny", {"vars.depth": 1}))
    assert 0 < one < 32
    assert reach(hope) == depth * one


def test_the_reach_is_an_upper_bound_of_what_an_answer_depends_on() -> None:
    spec = load("transformer-swa-tiny", {"vars.depth": 2, "vars.window": 5, "vars.width": 16})
    module, seen = training.compile(spec).eval(), reach(spec)
    tokens = torch.randint(256, (1, 40))
    last = module(tokens).logits[0, -1]
    changed = tokens.clone()
    changed[0, : 39 - seen] = torch.randint(256, (39 - seen,))
    assert torch.allclose(module(changed).logits[0, -1], last)
    changed[0, 39 - seen] = (changed[0, 39 - seen] + 1) % 256
    assert not torch.allclose(module(changed).logits[0, -1], last)


def test_a_window_that_reaches_a_needle_is_refused() -> None:
    spec = load("transformer-swa-tiny", {"vars.depth": 2, "vars.window": 128})
    require_outside(find_task("passkey:gap=254"), spec)
    with pytest.raises(InputError, match=r"NG947 .* reach 254 bytes back.*set `gap` to 254"):
        require_outside(find_task("passkey:gap=253"), spec)
