"""Task memories learn from targets: the reference's numbers, in any pieces, never ahead of time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from task_memories import WAYS
from torch import Tensor

import nestgraph as ng
from nestgraph.compiler import compile_model
from nestgraph.compiler.executor.model import CompiledModel
from nestgraph.language.spec import Spec, load
from nestgraph.reference import Reference

CLOSE = 1e-10
LENGTH, VOCAB, TICK = 23, 11, 3
TINY = {"width": 8, "heads": 2, "vocab": VOCAB, "depth": 1, "expansion": 2, "rate": 0.1}
LEVELS = {"fast": TICK, "mid": 6, "slow": 12}
SMALL = {"vars.width": 16, "vars.heads": 2, "vars.depth": 1, "model.embed.vocab": VOCAB}
PACES = {"vars.fast": 4, "vars.mid": 8, "vars.slow": 16, "vars.rate": 0.1}
Asked = Callable[..., Any]


@functools.cache
def wired(name: str, gradient: str = "first_order", horizon: str = "never") -> Spec:
    values = {**TINY, **LEVELS, "horizon": horizon}
    if name == "cms-nested":
        values["start_rate"] = 0.03
    changes: dict[str, object] = {f"vars.{key}": value for key, value in values.items()}
    return load(name, set={**changes, "blocks.layer.memories.F.gradient": gradient})


def both(spec: Spec) -> tuple[CompiledModel, Reference]:
    """Return both executors of a spec, with the same parameters, all away from 0 and 1."""
    compiled = compile_model(spec.system, seed=3, dtype=torch.float64)
    reference = Reference(spec.system, seed=3)
    for one in (compiled.weights, reference.weights):
        source = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for _, parameter in sorted(one.named_parameters()):
                noise = torch.randn(parameter.shape, generator=source, dtype=torch.float64)
                parameter.add_(0.1 * noise)
    return compiled, reference


def with_holes(rows: int = 2) -> Tensor:
    """Return labels that have nothing to do with the tokens, about every third left out."""
    labels = torch.randint(VOCAB, (rows, LENGTH))
    return torch.where(torch.rand(labels.shape) < 0.3, -100, labels)


def text(rows: int = 2) -> Tensor:
    return torch.randint(VOCAB, (rows, LENGTH))


def in_pieces(
    model: Asked, tokens: Tensor, targets: Tensor | None, piece: int
) -> tuple[Tensor, Any]:
    state, logits = None, []
    for begin in range(0, LENGTH, piece):
        some = slice(begin, begin + piece)
        given = None if targets is None else targets[:, some]
        answer = model(tokens[:, some], state, targets=given)
        logits.append(answer.logits)
        state = answer.state
    return torch.cat(logits, 1), state


@pytest.mark.parametrize(("gradient", "horizon"), WAYS)
@pytest.mark.parametrize("name", ["cms-nested", "cms-independent"])
def test_both_executors_learn_the_same_of_targets(name: str, gradient: str, horizon: str) -> None:
    compiled, reference = both(wired(name, gradient, horizon))
    tokens, targets = text(), with_holes()
    ours, theirs = compiled(tokens, targets=targets), reference(tokens, targets=targets)
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=1e-8, atol=1e-8)
    for key, value in compiled.flat_state(ours.state).items():
        torch.testing.assert_close(value, theirs.state[key], rtol=1e-8, atol=1e-8, msg=key)
    pull = torch.randn_like(ours.logits)
    one, other = (
        torch.autograd.grad(
            (logits * pull).sum(), list(model.weights.parameters()), allow_unused=True
        )
        for model, logits in ((compiled, ours.logits), (reference, theirs.logits))
    )
    for mine, its in zip(one, other, strict=True):
        zero = torch.zeros(())
        torch.testing.assert_close(
            zero if mine is None else mine, zero if its is None else its, rtol=1e-7, atol=1e-7
        )


@pytest.mark.parametrize("piece", [1, TICK, 7])
@pytest.mark.parametrize("horizon", ["never", "fast"])
def test_targets_stream_as_they_are_read_at_once(horizon: str, piece: int) -> None:
    compiled, reference = both(wired("cms-nested", "first_order", horizon))
    tokens, targets = text(), with_holes()
    with torch.no_grad():
        whole = compiled(tokens, targets=targets)
        for model in (compiled, reference) if piece == 7 else (compiled,):
            logits, state = in_pieces(model, tokens, targets, piece)
            torch.testing.assert_close(logits, whole.logits, rtol=CLOSE, atol=CLOSE)
            flat = compiled.flat_state(state) if model is compiled else state
            for key, value in compiled.flat_state(whole.state).items():
                torch.testing.assert_close(flat[key], value, rtol=CLOSE, atol=CLOSE, msg=key)


def test_without_targets_the_label_is_the_next_token() -> None:
    compiled, _ = both(wired("cms-chain"))
    tokens = torch.randint(VOCAB, (2, LENGTH + 1))
    inputs, behind = tokens[:, :-1], tokens[:, 1:]
    with torch.no_grad():
        plain, told = compiled(inputs), compiled(inputs, targets=behind)
        assert torch.equal(plain.logits, told.logits)
        # A piece may come with targets, and the next without.
        half = compiled(inputs[:, :10], targets=behind[:, :10]).state
        mixed = compiled(inputs[:, 10:], half).logits
        torch.testing.assert_close(mixed, plain.logits[:, 10:], rtol=CLOSE, atol=CLOSE)
        half = compiled(inputs[:, :10]).state
        mixed = compiled(inputs[:, 10:], half, targets=behind[:, 10:]).logits
        torch.testing.assert_close(mixed, plain.logits[:, 10:], rtol=CLOSE, atol=CLOSE)


def test_other_targets_teach_hope_online_something_else() -> None:
    module = ng.compile(load("hope-online", set=SMALL | PACES))
    tokens = text()
    with torch.no_grad():
        one, other = (module(tokens, targets=with_holes()) for _ in range(2))
        assert not torch.allclose(one.logits, other.logits, rtol=0, atol=1e-6)
        losses = {float(module.loss(tokens, wanted)[0]) for wanted in (text(), text())}
        assert len(losses) == 2


@pytest.mark.parametrize("name", ["cms-nested", "cms-chain"])
def test_no_score_knows_its_own_target_or_a_later_one(name: str) -> None:
    compiled, _ = both(wired(name))
    tokens, targets = text(), with_holes()
    at = 7  # behind position 9 is the tick that learns it
    other = targets.clone()
    other[:, at] = (targets[:, at].clamp(min=0) + 1) % VOCAB
    with torch.no_grad():
        one, two = (compiled(tokens, targets=wanted).logits for wanted in (targets, other))
    assert torch.equal(one[:, :9], two[:, :9])
    assert not torch.allclose(one[:, 9:], two[:, 9:], rtol=0, atol=1e-9)


def test_a_position_whose_target_is_ignored_teaches_nothing() -> None:
    compiled, _ = both(wired("cms-chain"))
    tokens = text()
    with torch.no_grad():
        silent = compiled(tokens, targets=torch.full_like(tokens, -100))
        start, end = (
            {key: x for key, x in compiled.flat_state(state).items() if ".F.A" in key}
            for state in (compiled.initial_state(2), silent.state)
        )
    assert start
    for key, value in start.items():
        assert torch.equal(value, end[key]), key


@pytest.mark.parametrize("name", ["hope-online", "hope-tiny"])
def test_permuted_test_labels_leave_every_score_bit_for_bit(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ng.compile(load(name, set=SMALL | PACES if name == "hope-online" else SMALL))
    seen: list[Tensor] = []
    whole = F.cross_entropy

    def noted(logits: Tensor, *rest: Any, **more: Any) -> Tensor:
        if more.get("reduction") == "none":
            seen.append(logits.clone())
        return whole(logits, *rest, **more)

    monkeypatch.setattr(F, "cross_entropy", noted)
    inputs, targets = text(4), text(4)
    permuted = targets[torch.randperm(4)].flip(1)
    for step in (module.validation_step, module.test_step):
        for wanted in (targets, permuted):
            with torch.no_grad():
                step((inputs, wanted), 0)
    assert len(seen) == 4
    assert all(torch.equal(logits, seen[0]) for logits in seen[1:])


def test_a_labelled_stream_learns_a_label_behind_its_score() -> None:
    """The loss of a piece is that of its scores before they were learned from."""
    compiled, _ = both(wired("cms-chain"))
    tokens, targets = text(), text()
    with torch.no_grad():
        loss, behind = compiled.loss(tokens, targets)
        logits, state = compiled(tokens, targets=targets)
        torch.testing.assert_close(loss, F.cross_entropy(logits.flatten(0, 1), targets.flatten()))
        one, other = compiled.flat_state(behind), compiled.flat_state(state)
        assert all(torch.equal(one[key], other[key]) for key in one)
