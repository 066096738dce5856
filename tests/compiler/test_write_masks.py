"""Positions without a write are read and counted, and change no memory: of every shipped spec."""

from __future__ import annotations

import functools
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from building import model_of
from torch import Tensor

import nestgraph as ng
from nestgraph.compiler import compile_model
from nestgraph.compiler.executor.model import CompiledModel
from nestgraph.errors import InputError, SpecError
from nestgraph.language import zoo
from nestgraph.language.system import System
from nestgraph.reference import Reference
from nestgraph.training import NestModule
from nestgraph.training.states import load_state, save_state

TINY = [name for name in zoo.names() if name.endswith("-tiny")]
SMALL = {"vars.depth": 1, "vars.width": 16, "vars.heads": 2, "model.embed.vocab": 17}
TIME, VOCAB = 13, 17


@functools.cache
def system_of(name: str) -> System:
    try:
        return ng.load(name, set=SMALL).system
    except SpecError:
        return ng.load(name, set={"vars.depth": 1, "model.embed.vocab": VOCAB}).system


def both(system: System) -> tuple[CompiledModel, Reference]:
    """Return both executors, with the same parameters, all away from 0 and 1."""
    compiled = compile_model(system, dtype=torch.float64)
    reference = Reference(system)
    for one in (compiled.weights, reference.weights):
        source = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for _, parameter in sorted(one.named_parameters()):
                noise = torch.randn(parameter.shape, generator=source, dtype=torch.float64)
                parameter.add_(0.05 * noise)
    return compiled, reference


def text(rows: int = 2, time: int = TIME) -> Tensor:
    return torch.randint(VOCAB, (rows, time))


def masked(rows: int = 2, time: int = TIME) -> Tensor:
    """Return random marks; about a third of the positions are skipped, at least one in each row."""
    mask = torch.rand(rows, time) > 0.35
    mask[torch.arange(rows), torch.randint(time - 1, (rows,))] = False
    return mask


def trained(model: CompiledModel | Reference) -> list[Tensor]:
    return [p for p in model.weights.parameters() if p.requires_grad]


def assert_same_state(compiled: CompiledModel, state: Any, other: Any, close: float) -> None:
    for key, value in compiled.flat_state(state).items():
        torch.testing.assert_close(value, other[key], rtol=close, atol=close, msg=key)


@pytest.mark.parametrize("name", TINY)
def test_both_executors_skip_the_same(name: str) -> None:
    compiled, reference = both(system_of(name))
    tokens, mask = text(), masked()
    ours, theirs = compiled(tokens, write_mask=mask), reference(tokens, write_mask=mask)
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=1e-8, atol=1e-8)
    assert_same_state(compiled, ours.state, theirs.state, 1e-8)
    pull = torch.randn_like(ours.logits)
    pairs = zip(
        *(
            torch.autograd.grad((x * pull).sum(), trained(m), allow_unused=True)
            for m, x in ((compiled, ours.logits), (reference, theirs.logits))
        ),
        strict=True,
    )
    zero = torch.zeros((), dtype=torch.float64)
    for mine, its in pairs:
        one, other = (zero if g is None else g for g in (mine, its))
        scale = max(1.0, float(other.norm()))
        assert float((one - other).norm()) <= 1e-7 * scale


@pytest.mark.parametrize("name", TINY)
def test_marks_stream_as_they_are_read_at_once_and_mean_something(name: str) -> None:
    compiled, _ = both(system_of(name))
    tokens, mask = text(), masked()
    with torch.no_grad():
        state, logits = None, []
        # A piece without marks of its own follows those with some.
        mask[:, 9:] = True
        whole = compiled(tokens, write_mask=mask)
        for begin, end in ((0, 5), (5, 6), (6, 9), (9, TIME)):
            given = None if begin == 9 else mask[:, begin:end]
            answer = compiled(tokens[:, begin:end], state, write_mask=given)
            state = answer.state
            logits.append(answer.logits)
        torch.testing.assert_close(torch.cat(logits, 1), whole.logits, rtol=1e-9, atol=1e-9)
        assert_same_state(compiled, state, compiled.flat_state(whole.state), 1e-9)
        assert torch.equal(
            compiled(tokens, write_mask=torch.ones_like(mask)).logits, compiled(tokens).logits
        )


@pytest.mark.parametrize("name", ["hope-tiny", "transformer-swa-tiny", "hope-online-tiny"])
def test_padding_and_marks_go_together(name: str) -> None:
    compiled, reference = both(system_of(name))
    tokens, mask = text(3), masked(3)
    ends = [13, 6, 10]
    for row, end in enumerate(ends):
        tokens[row, end:] = -1
    with torch.no_grad():
        logits = compiled(tokens, write_mask=mask).logits
        torch.testing.assert_close(logits, reference(tokens, write_mask=mask).logits)
        for row, end in enumerate(ends):
            some = slice(row, row + 1)
            alone = compiled(tokens[some, :end], write_mask=mask[some, :end]).logits[0]
            torch.testing.assert_close(logits[row, :end], alone, rtol=1e-9, atol=1e-9)


RULES = {
    "retention": "{rate: 0.7, retain: 0.9}",
    "momentum": "{rate: 0.3, momentum: 0.8, retain: 0.95}",
    "step": "{rate: 0.3, momentum: 0.8, step: 0.5}",
    "directions": "{rate: 0.3, momentum: 0.8, direction: newton_schulz}",
    "erase": "{rate: 0.4, erase: key, implicit: true, retain_first: true, retain: 0.9}",
    "erase of its own": "{rate: 0.4, erase: {where: key, key: e, rate: 0.3}, retain: 0.9}",
    "cells": "{rate: {flow: c, per: cell}, retain: 0.9}",
}
PLAIN = """
    memories:
      M: {{net: linear, heads: 2, keys: k, values: v, rule: {rule}}}
    nodes:
      k: {{op: linear, in: x, then: [{{op: l2_norm, heads: 2}}]}}
      v: {{op: linear, in: x}}
      e: {{op: linear, in: x, then: [{{op: l2_norm, heads: 2}}]}}
      c: {{op: linear, in: x, out: 32, then: [sigmoid]}}
      y: {{read: M, query: k}}
      d: {{op: mean, in: c, heads: 8}}
      out: {{op: sum, in: [x, y, e, d]}}
"""


def plain(rule: str) -> System:
    return model_of(textwrap.dedent(PLAIN.format(rule=RULES[rule])))


@pytest.mark.parametrize("rule", RULES)
def test_a_memory_is_as_if_it_had_never_met_what_was_skipped(rule: str) -> None:
    """They may as well be left out where nothing but the memory connects positions."""
    compiled, reference = both(plain(rule))
    vocab = compiled.program.vocab
    tokens, mask = torch.randint(vocab, (1, 12)), masked(1, 12)
    for model in (compiled, reference):
        with torch.no_grad():
            whole = model(tokens, write_mask=mask)
            kept = model(tokens[mask][None])
        torch.testing.assert_close(whole.logits[mask], kept.logits[0], rtol=1e-9, atol=1e-9)
        one, other = (
            compiled.flat_state(x.state) if model is compiled else x.state for x in (whole, kept)
        )
        for key in set(one) - {"position"}:
            torch.testing.assert_close(one[key], other[key], rtol=1e-9, atol=1e-9, msg=key)


@pytest.mark.parametrize("name", ["hope-tiny", "atlas-tiny", "titans-lmm-tiny", "transformer-tiny"])
def test_without_any_write_memories_stay_as_they_start(name: str) -> None:
    compiled, _ = both(system_of(name))
    tokens = text()
    with torch.no_grad():
        state = compiled(tokens, write_mask=torch.zeros_like(tokens, dtype=torch.bool)).state
    first = compiled.flat_state(compiled.initial_state(2))
    after = compiled.flat_state(state)
    parts = (".A0", ".A1", ".S0", ".S1", ".anchor0", ".window_rate")
    moved = [key for key in first if key.endswith(parts)]
    assert moved or name == "transformer-tiny"
    for key in moved:
        torch.testing.assert_close(after[key], first[key], rtol=1e-12, atol=1e-12, msg=key)
    assert int(after["position"]) == TIME


def test_attention_answers_nothing_where_everything_was_skipped() -> None:
    compiled, reference = both(system_of("transformer-tiny"))
    tokens, mask = text(), torch.ones(2, TIME, dtype=torch.bool)
    mask[0, :4] = False
    for model in (compiled, reference):
        answer = model(tokens, write_mask=mask)
        assert answer.logits.isfinite().all()
        grads = torch.autograd.grad(answer.logits.sum(), trained(model))
        assert all(g.isfinite().all() for g in grads)


@pytest.mark.parametrize(
    "mask",
    [
        torch.ones(2, 4, dtype=torch.long),
        torch.ones(2, 3, dtype=torch.bool),
        torch.ones(2, dtype=torch.bool),
    ],
)
@pytest.mark.parametrize("name", ["hope-tiny", "hope-online-tiny", "transformer-tiny"])
def test_marks_are_truth_values_beside_the_tokens(name: str, mask: Tensor) -> None:
    compiled, reference = both(system_of(name))
    tokens = text(2, 4)
    for ask in (
        lambda: compiled(tokens, write_mask=mask),
        lambda: compiled.loss(tokens, tokens, write_mask=mask),
        lambda: reference(tokens, write_mask=mask),
    ):
        with pytest.raises(InputError, match=r"NG747 `write_mask` is .* beside tokens of \(2, 4\)"):
            ask()


def test_a_loss_counts_what_is_not_written() -> None:
    """Window by window and as a whole, with the same gradients."""
    name = "hope-online"
    paces = {"vars.fast": 4, "vars.mid": 8, "vars.slow": 16, "vars.rate": 0.1}
    system = ng.load(name, set=SMALL | paces).system
    model = compile_model(system, dtype=torch.float64)
    tokens, targets, mask = text(), text(), masked()
    windows, _ = model.loss(tokens, targets, write_mask=mask)
    logits, _ = model(tokens, targets=targets, write_mask=mask)
    whole = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    torch.testing.assert_close(windows, whole, rtol=1e-9, atol=1e-9)
    pairs = zip(
        *(torch.autograd.grad(x, trained(model), allow_unused=True) for x in (windows, whole)),
        strict=True,
    )
    for one, other in pairs:
        if other is not None:
            torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)


def test_a_state_with_skipped_events_comes_back_from_its_file(tmp_path: Path) -> None:
    spec = ng.load("transformer-tiny", set=SMALL)
    module: NestModule = ng.compile(spec)
    file, tokens, mask = tmp_path / "mem.safetensors", text(), masked()
    with torch.no_grad():
        state = module(tokens[:, :8], write_mask=mask[:, :8]).state
        save_state(file, module, state)
        back = load_state(file, module)
        on = [module(tokens[:, 8:], one).logits for one in (state, back)]
    assert torch.equal(*on)
