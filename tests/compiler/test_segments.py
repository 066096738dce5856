"""Compiled task memories on tokens: the reference's numbers, in any pieces, in bounded memory.

Tolerances as in `test_compiled_equals_reference.py`: 1e-8 of the norm against the reference, 1e-10
between two ways through the same kernels.
"""

from __future__ import annotations

import functools
import gc
import subprocess
import sys
from collections.abc import Mapping
from copy import deepcopy as copy_module
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from building import model_of
from task_memories import WAYS, in_pieces
from torch import Tensor
from torch.utils._pytree import tree_map_only

from nestgraph.compiler import compile_model, plan
from nestgraph.compiler.equivalence import verify
from nestgraph.compiler.executor.model import CompiledModel
from nestgraph.errors import SpecError
from nestgraph.language.spec import load
from nestgraph.language.system import System
from nestgraph.reference import Reference

CLOSE = 1e-10
LENGTH = 31
VOCAB = 11
TINY = {"width": 8, "heads": 2, "vocab": VOCAB, "depth": 2, "expansion": 2, "rate": 0.1}
LEVELS = {"fast": 3, "mid": 6, "slow": 12}
WIRINGS = ["cms-chain", "cms-nested", "cms-independent"]


@functools.cache
def wired(name: str, gradient: str, horizon: str, **levels: int) -> System:
    values = {**TINY, **LEVELS, **levels, "horizon": horizon}
    if name == "cms-nested":
        values["start_rate"] = 0.03
    changes: dict[str, object] = {f"vars.{key}": value for key, value in values.items()}
    return load(name, set={**changes, "blocks.layer.memories.F.gradient": gradient}).system


def lively(system: System) -> CompiledModel:
    """Return a float64 model whose parameters are all away from 0 and 1."""
    model = compile_model(system, seed=3, dtype=torch.float64)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def streamed(model: CompiledModel, inputs: Tensor, piece: int) -> tuple[Tensor, dict[str, Tensor]]:
    logits, state = in_pieces(model, inputs, piece)
    return logits, model.flat_state(state)


def assert_streams(model: CompiledModel, piece: int) -> None:
    """Assert that a sequence in pieces has the answers and the state of the whole."""
    inputs = torch.randint(VOCAB, (2, LENGTH))
    with torch.no_grad():
        whole = model(inputs)
        logits, state = streamed(model, inputs, piece)

    torch.testing.assert_close(logits, whole.logits, rtol=CLOSE, atol=CLOSE)
    for key, value in model.flat_state(whole.state).items():
        torch.testing.assert_close(state[key], value, rtol=CLOSE, atol=CLOSE, msg=key)


@pytest.mark.parametrize(("gradient", "horizon"), WAYS)
@pytest.mark.parametrize("name", WIRINGS)
def test_a_wiring_compiles_to_what_the_reference_computes(
    name: str, gradient: str, horizon: str
) -> None:
    found = verify(wired(name, gradient, horizon), tokens=LENGTH, spread=0.1)

    assert found.agrees, str(found)
    assert {c.name for c in found.comparisons} >= {"logits", "state 0.layer.F.A0"}


@pytest.mark.parametrize(("gradient", "horizon"), WAYS)
@pytest.mark.parametrize("name", WIRINGS)
@pytest.mark.parametrize("piece", [1, 7])
def test_a_streamed_sequence_gives_the_numbers_of_the_whole(
    name: str, gradient: str, horizon: str, piece: int
) -> None:
    assert_streams(lively(wired(name, gradient, horizon)), piece)


@pytest.mark.parametrize("horizon", ["never", "fast"])
@pytest.mark.parametrize("piece", [3, 12])
def test_pieces_that_end_at_ticks_give_the_numbers_of_the_whole(piece: int, horizon: str) -> None:
    assert_streams(lively(wired("cms-nested", "first_order", horizon)), piece)


@pytest.mark.parametrize(("piece", "run"), [(3, 30), (12, 30), (4, 37)])
def test_only_tokens_between_ticks_are_run_again(
    piece: int, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ticks every 3: pieces of 4 end 1, 2, 0, 1, 2, 0, 1 and 0 tokens behind one."""
    model, lengths = lively(wired("cms-chain", "first_order", "fast")), []
    whole = model.piece

    def counted(prepared: Any, tokens: Tensor, *rest: Any) -> Any:
        lengths.append(tokens.shape[1])
        return whole(prepared, tokens, *rest)

    monkeypatch.setattr(model, "piece", counted)
    with torch.no_grad():
        streamed(model, torch.randint(VOCAB, (1, 30)), piece)

    assert sum(lengths) == run


def cloned(state: Mapping[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = tree_map_only(Tensor, torch.clone, dict(state))
    return copy


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("name", WIRINGS)
def test_a_state_goes_on_twice_and_after_a_copy_alike(name: str, rows: int) -> None:
    model = lively(wired(name, "first_order", "fast"))
    inputs, more = torch.randint(VOCAB, (rows, 9)), torch.randint(VOCAB, (rows, 8))
    with torch.no_grad():
        state = model(inputs).state
        copy = cloned(state)
        answers = [model(more, start) for start in (state, state, copy)]
        answers.append(copy_module(model)(more, state))

    for answer in answers[1:]:
        torch.testing.assert_close(answer.logits, answers[0].logits, rtol=CLOSE, atol=CLOSE)


@pytest.mark.parametrize("name", WIRINGS)
def test_one_row_streams_the_numbers_that_it_has_among_others(name: str) -> None:
    """Its products add gradients up in place, which batches of products can't."""
    model = lively(wired(name, "first_order", "fast"))
    inputs = torch.randint(VOCAB, (2, LENGTH))
    with torch.no_grad():
        together, alone = model(inputs), model(inputs[:1])

    torch.testing.assert_close(alone.logits, together.logits[:1], rtol=CLOSE, atol=CLOSE)
    for key, value in model.flat_state(together.state).items():
        if key != "position":
            own = model.flat_state(alone.state)[key]
            torch.testing.assert_close(own, value[:1], rtol=CLOSE, atol=CLOSE, msg=key)


@pytest.mark.parametrize("horizon", ["fast", "never"])
def test_what_levels_did_is_told_alike_however_they_were_computed(horizon: str) -> None:
    """One row's fast weights move by products, and in place; two rows' by gradients."""
    model = lively(wired("cms-chain", "first_order", horizon))
    tokens = torch.randint(VOCAB, (1, 40))
    told = []
    with torch.no_grad():
        for rows, piece in ((1, 40), (1, 7), (2, 40)):
            state = None
            for part in tokens.expand(rows, -1).split(piece, 1):
                state = model(part, state).state
            told.append(model.moves(state))

    for moves in told[1:]:
        assert moves.keys() == told[0].keys()
        for name, level in moves.items():
            assert level == pytest.approx(told[0][name], rel=1e-6)
            assert level.moved > 0


@pytest.mark.parametrize("changed", ["parameter", "state"])
def test_what_has_changed_behind_a_piece_is_seen(changed: str) -> None:
    model = lively(wired("cms-chain", "first_order", "fast"))
    inputs, more = torch.randint(VOCAB, (2, 12)), torch.randint(VOCAB, (2, 5))
    with torch.no_grad():
        state = model(inputs).state
        if changed == "parameter":
            next(model.parameters()).mul_(1.5)
        else:
            state["open"]["layers"]["0.layer"]["F"].weights[0].mul_(1.5)
        copy = cloned(state)
        found, wanted = model(more, state), model(more, copy)

    torch.testing.assert_close(found.logits, wanted.logits, rtol=CLOSE, atol=CLOSE)


def test_a_graph_goes_with_the_state_that_it_stands_behind() -> None:
    model = lively(wired("cms-chain", "first_order", "fast", fast=64, mid=128, slow=256))
    with torch.no_grad():
        state = model(torch.randint(VOCAB, (1, 64))).state
        held = live_bytes()
        state = cloned(state)

    assert live_bytes() < held
    assert state["position"] == 64


def test_pieces_of_128_across_levels_that_never_meet_them() -> None:
    model = lively(wired("cms-nested", "first_order", "fast", fast=24, mid=72, slow=216))
    inputs = torch.randint(VOCAB, (2, 500))
    with torch.no_grad():
        whole = model(inputs)
        logits, state = streamed(model, inputs, 128)

    torch.testing.assert_close(logits, whole.logits, rtol=CLOSE, atol=CLOSE)
    for key, value in model.flat_state(whole.state).items():
        torch.testing.assert_close(state[key], value, rtol=CLOSE, atol=CLOSE, msg=key)


@pytest.mark.parametrize("gradient", ["first_order", "none"])
def test_levels_that_are_not_nested_stream_as_the_reference_does(gradient: str) -> None:
    system = wired("cms-chain", gradient, "never", fast=4, mid=6, slow=9)
    model, reference = lively(system), Reference(system)
    reference.load_state_dict({f"weights.{k}": v for k, v in model.weights.named().items()})
    inputs = torch.randint(VOCAB, (2, LENGTH))
    with torch.no_grad():
        ours, theirs = streamed(model, inputs, 5), reference(inputs)

    torch.testing.assert_close(ours[0], theirs.logits, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("outer", [True, False], ids=["trained", "streamed"])
def test_gradients_wanted_or_not_the_outputs_are_the_same(outer: bool) -> None:
    model = lively(wired("cms-nested", "full", "never"))
    inputs = torch.randint(VOCAB, (2, LENGTH))
    with torch.set_grad_enabled(outer):
        logits = model(inputs).logits
    with torch.inference_mode():
        silent = model(inputs).logits.clone()

    assert logits.requires_grad == outer
    torch.testing.assert_close(logits.detach(), silent, rtol=CLOSE, atol=CLOSE)


def test_rows_that_end_earlier_are_filled_up_and_disturb_none() -> None:
    model = lively(wired("cms-chain", "first_order", "fast"))
    inputs = torch.randint(VOCAB, (3, LENGTH))
    ends, padded = [31, 8, 20], inputs.clone()
    for row, end in enumerate(ends):
        padded[row, end:] = -1
    with torch.no_grad():
        together = model(padded).logits
        for row, end in enumerate(ends):
            alone = model(inputs[row : row + 1, :end]).logits[0]
            torch.testing.assert_close(together[row, :end], alone, rtol=CLOSE, atol=CLOSE)


def test_an_output_never_sees_a_later_token() -> None:
    model = lively(wired("cms-nested", "first_order", "never"))
    inputs = torch.randint(VOCAB, (2, LENGTH))
    later = inputs.clone()
    later[:, 12:] = (later[:, 12:] + 1) % VOCAB
    with torch.no_grad():
        one, other = model(inputs).logits, model(later).logits

    torch.testing.assert_close(one[:, :12], other[:, :12], rtol=CLOSE, atol=CLOSE)
    assert not torch.allclose(one[:, 12:], other[:, 12:])


def test_a_rate_of_zero_is_the_frozen_model_exactly() -> None:
    still = wired("cms-chain", "first_order", "fast", rate=0)
    frozen = wired("cms-chain", "first_order", "never", fast=1000, mid=1000, slow=1000)
    models = [compile_model(system, seed=0) for system in (still, frozen)]
    inputs = torch.randint(VOCAB, (2, LENGTH))
    with torch.no_grad():
        one, other = (model(inputs) for model in models)
    # The same weights to the last bit; products of other lengths round otherwise.
    for name, tensor in models[0].flat_state(one.state).items():
        if name.split(".")[-1] in ("A0", "A1") and not name.startswith("open"):
            assert torch.equal(tensor, models[1].flat_state(other.state)[name]), name
    torch.testing.assert_close(one.logits, other.logits, rtol=1e-5, atol=1e-6)


RULES = {
    "momentum": "rule: {rate: 0.2, momentum: 0.6}",
    "retention": "rule: {rate: 0.2, retain: [0.9, 0.7]}",
    "muon": "rule: {rate: 0.2, momentum: 0.5, step: 0.1, direction: newton_schulz}",
    "muon of nothing": "rule: {rate: 0.0, momentum: 0.5, direction: newton_schulz}",
    "mean": "rule: {rate: 0.9, reduce: mean}",
    "flows": "rule: {rate: eta, retain: alpha, momentum: beta, step: eta, reduce: beta}",
    "zero": "rule: {rate: 0.3}, init: zero",
    "erase": "rule: {rate: 0.2, momentum: 0.5, erase: {where: layers, rate: [0.02, 0.01]}}",
    "fixed": "rule: {rate: 0.3}, init: {kind: fixed, std: 0.3}",
    "restarts": "rule: {rate: 0.3}, reset: twice",
}


@pytest.mark.parametrize("net", ["linear", "{kind: mlp, expansion: 2, residual: true}"])
@pytest.mark.parametrize("gradient", ["full", "first_order"])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_is_the_references(rule: str, gradient: str, net: str) -> None:
    system = model_of(
        f"""
        memories:
          A: {{net: attention, keys: x, values: x}}
          T: {{net: {net}, heads: 2, level: chunk, objective: task, {rule}, gradient: {gradient}}}
          U: {{net: mlp, level: twice, objective: task, rule: {{rate: 0.1}}, gradient: {gradient}}}
        nodes:
          eta: {{op: linear, in: x, out: 2, then: [sigmoid]}}
          alpha: {{op: mean, in: t, then: [sigmoid]}}
          beta: {{op: mean, in: x, heads: 2, then: [sigmoid]}}
          a: {{read: A, query: x}}
          h: {{op: sum, in: [x, a]}}
          t: {{read: T, query: h, at: before}}
          u: {{read: U, query: t}}
          used: {{op: sum, in: [eta, beta], then: [{{op: repeat, times: 4}}]}}
          out: {{op: sum, in: [h, t, u, used]}}
        """,
        levels="{chunk: 3 tokens, twice: 6 tokens}",
    )
    found = verify(system, tokens=20, spread=0.3)

    assert found.agrees, str(found)


def test_memories_that_learn_from_events_are_learned_through() -> None:
    """Delta rule, anchored and self-made values between two fast levels, at first order."""
    system = model_of(
        """
        memories:
          F: {net: mlp, level: slow, objective: task, rule: {rate: 0.2}, gradient: first_order}
          D: {heads: 2, keys: k, values: v, rule: {rate: r}}
          M: {net: {kind: mlp, residual: true, expansion: 1}, level: chunk, keys: m, values: v,
              rule: {rate: r1, implicit: true, erase: key}}
          G: {net: mlp, level: fast, objective: task, rule: {rate: 0.2}, gradient: none}
        nodes:
          f: {read: F, query: x}
          c: {op: conv, in: f, width: 3}
          k: {op: linear, in: c, then: [{op: l2_norm, heads: 2}]}
          v: {op: linear, in: c}
          r: {op: linear, in: c, out: 2, then: [sigmoid]}
          r1: {op: mean, in: r}
          d: {read: D, query: k}
          m: {read: M, query: d, at: boundary}
          g: {read: G, query: m}
          out: {op: sum, in: [x, d, g]}
        """,
        levels="{chunk: 4 tokens, fast: 5 tokens, slow: 10 tokens}",
    )
    found = verify(system, tokens=24, spread=0.1)

    assert found.agrees, str(found)
    model = lively(system)
    inputs = torch.randint(5, (2, 24))
    with torch.no_grad():
        logits, _ = streamed(model, inputs, 1)
        torch.testing.assert_close(logits, model(inputs).logits, rtol=CLOSE, atol=CLOSE)


@pytest.mark.parametrize("own_targets", [False, True], ids=["next tokens", "others"])
@pytest.mark.parametrize("gradient", ["first_order", "none"])
@pytest.mark.parametrize("name", WIRINGS)
def test_a_loss_window_by_window_has_the_gradient_of_the_whole(
    name: str, gradient: str, own_targets: bool
) -> None:
    model = lively(wired(name, gradient, "fast"))
    text = torch.randint(VOCAB, (2, 2 * LENGTH + 1))
    inputs, targets = text[:, :-1], text[:, 1:]
    if own_targets:
        targets = torch.randint(-1, VOCAB, targets.shape)
    state = None
    for piece, wanted in zip(inputs.split(LENGTH, 1), targets.split(LENGTH, 1), strict=True):
        loss, after = model.loss(piece, wanted, state)
        whole = model(piece, state, targets=wanted)
        flat = torch.where(wanted < 0, -100, wanted).flatten()
        other = F.cross_entropy(whole.logits.flatten(0, 1), flat)
        torch.testing.assert_close(loss, other, rtol=CLOSE, atol=CLOSE)
        same_gradients(model, loss, other)
        for key, value in model.flat_state(whole.state).items():
            torch.testing.assert_close(
                model.flat_state(after)[key], value, rtol=CLOSE, atol=CLOSE, msg=key
            )
        state = after


@pytest.mark.parametrize("name", WIRINGS)
def test_a_level_that_never_moves_has_the_gradient_of_the_whole_too(name: str) -> None:
    changes = {f"vars.{key}": value for key, value in (TINY | LEVELS | {"horizon": "fast"}).items()}
    told = {**changes, "levels.mid": "never", "blocks.layer.memories.F.gradient": "none"}
    model = lively(load(name, set=told).system)
    inputs, targets = (torch.randint(VOCAB, (2, LENGTH)) for _ in range(2))

    loss, _ = model.loss(inputs, targets, None)

    logits = model(inputs, targets=targets).logits
    other = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    torch.testing.assert_close(loss, other, rtol=CLOSE, atol=CLOSE)
    same_gradients(model, loss, other)


def same_gradients(model: CompiledModel, one: Tensor, other: Tensor) -> None:
    named = {n: p for n, p in model.weights.named().items() if p.requires_grad}
    pairs = [
        torch.autograd.grad(loss, list(named.values()), allow_unused=True) for loss in (one, other)
    ]
    for key, a, b in zip(named, *pairs, strict=True):
        zero = torch.zeros_like(named[key])
        a, b = (zero if g is None else g for g in (a, b))
        torch.testing.assert_close(a, b, rtol=CLOSE, atol=CLOSE, msg=key)


def test_full_gradients_through_kernels_with_one_derivative_are_refused() -> None:
    changes: dict[str, object] = {"blocks.cms_level.memories.M.gradient": "full"}
    system = load("hope-online", set={**changes, "vars.horizon": "never"}).system
    with pytest.raises(SpecError) as caught:
        compile_model(system)

    (finding,) = caught.value.diagnostics
    assert finding.code == "NG914"
    assert "`a.M_k" in finding.message


def test_the_plan_says_how_far_gradients_look_back() -> None:
    free = plan(wired("cms-chain", "first_order", "never"))
    cut = plan(wired("cms-chain", "first_order", "fast"))

    assert [(one.level, one.period, one.graph) for one in free.segments] == [
        ("fast", 3, 3),
        ("mid", 6, 6),
        ("slow", 12, 12),
    ]
    assert [one.graph for one in cut.segments] == [3, 3, 3]
    assert "slow: moves every 12 tokens, by a gradient through a graph of 12 tokens" in str(free)
    assert "constants every 3 tokens" in str(cut)
    assert "segments" not in str(plan(load("hope-tiny").system))


def test_none_on_every_level_cuts_at_the_fastest_unless_told_otherwise() -> None:
    silent = model_of(
        """
        memories:
          F: {net: mlp, level: fast, objective: task, gradient: none}
          S: {net: mlp, level: slow, objective: task, gradient: none}
        nodes:
          f: {read: F, query: x}
          s: {read: S, query: f}
          out: {op: sum, in: [x, s]}
        """,
        levels="{fast: 4 tokens, slow: 8 tokens}",
    )
    assert plan(silent).horizon == 4
    assert plan(wired("cms-chain", "none", "never")).horizon == 0


def live_bytes() -> int:
    gc.collect()
    tensors = {id(x): x for x in gc.get_objects() if type(x) in (Tensor, torch.nn.Parameter)}
    dense = [x for x in tensors.values() if x.layout == torch.strided]  # other tests keep others
    stores = {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in dense}
    return sum(stores.values())


def test_a_streamed_state_has_one_size_after_ten_thousand_tokens() -> None:
    changes = {"width": 16, "heads": 2, "depth": 1, "vocab": VOCAB, "fast": 64, "mid": 128}
    named: dict[str, object] = {f"vars.{key}": value for key, value in changes.items()}
    model = compile_model(load("hope-online", set={**named, "vars.slow": 256}).system)
    state, sizes = None, []
    for index in range(10):
        with torch.no_grad():
            _, state = model(torch.randint(VOCAB, (1, 1000 + index)), state)
        sizes.append(live_bytes())

    # It breathes with the length of the segment that is open: conv tails are views of it.
    assert max(sizes[1:]) <= 1.2 * sizes[0]


GROWTH = """
import resource, sys, torch
from nestgraph.compiler import compile_model
from nestgraph.language.spec import load
{body}
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory in kilobytes")
def test_a_hundred_thousand_tokens_stream_in_the_memory_of_ten_thousand() -> None:
    body = """
names = {"width": 16, "heads": 2, "depth": 1, "fast": 128, "mid": 512, "slow": 2048}
model = compile_model(load("hope-online", set={f"vars.{k}": v for k, v in names.items()}).system)
state = None
for index in range(100):
    with torch.no_grad():
        _, state = model(torch.randint(256, (1, 1000)), state)
    if index == 9:
        early = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - early)
"""
    assert grown(body) < 8 * 1024


def test_a_model_whose_memories_never_move_keeps_no_tokens() -> None:
    """Nothing waits for a tick, so that a state has one size whatever was read."""
    named = {"width": 8, "heads": 2, "depth": 1, "vocab": VOCAB, "expansion": 1}
    changes: dict[str, object] = {f"vars.{key}": value for key, value in named.items()}
    changes |= {f"levels.{level}": "never" for level in ("fast", "mid", "slow")}
    changes["blocks.layer.memories.A.net"] = "{kind: attention, window: 16}"
    changes["model.horizon"] = "never"
    model = compile_model(load("cms-chain", set=changes).system)
    state, sizes, kept = None, [], []
    for _ in range(10):
        with torch.no_grad():
            _, state = model(torch.randint(VOCAB, (1, 1000)), state)
        sizes.append(live_bytes())
        kept.append({name: x.shape for name, x in model.flat_state(state).items()})

    assert kept[0]["open.tokens"] == (1, 0)
    assert all(one == kept[0] for one in kept)
    assert max(sizes) <= 1.05 * sizes[0]


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory in kilobytes")
def test_training_with_none_takes_the_memory_of_one_segment() -> None:
    """Sixteen times the segments, and nearly the same peak: only tokens and scores grow."""
    body = """
names = {"width": 64, "heads": 2, "depth": 1, "vocab": 16, "fast": 64, "mid": 128, "slow": 256}
changes = {f"vars.{k}": v for k, v in names.items()}
changes["blocks.cms_level.memories.M.gradient"] = "none"
model = compile_model(load("hope-online", set=changes).system)
def train(tokens):
    text = torch.randint(16, (4, tokens + 1))
    loss, _ = model.loss(text[:, :-1], text[:, 1:])
    loss.backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
train(256)
few = train(256)
print(train(4096) - few)
"""
    assert grown(body) < 8 * 1024


def grown(body: str) -> int:
    """Return kilobytes that a fresh process says its peak has grown by."""
    result = subprocess.run(
        [sys.executable, "-c", GROWTH.format(body=body)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return int(result.stdout.splitlines()[-1])
