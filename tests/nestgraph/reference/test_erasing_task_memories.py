"""`erase` on task memories against a loop written out: delta gradient descent, a period at a time.

The loop knows nothing of states: it cuts the sequence at the ticks, and takes W K from the queries
of the whole period. Tolerance 1e-10 of the norm.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch
from task_memories import WAYS, in_pieces, outspoken
from torch import Tensor
from torch.nn import functional as F

from nestgraph.compiler import compile_model
from nestgraph.errors import SpecError
from nestgraph.language.spec import Spec
from nestgraph.language.system import System

BATCH, VOCAB, LENGTH, PERIOD = 2, 7, 20, 3
RATE, ERASED, CLOSE = 0.2, 0.15, 1e-10

TEXT = """\
nestgraph: 1
name: erasing
levels: {{fast: 3 tokens, slow: 6 tokens}}
blocks:
  b:
    memories:
      T:
        net: {{kind: mlp, layers: 2, expansion: 2, activation: tanh}}
        level: {level}
        objective: task
        rule: {{rate: 0.2, erase: {erase}}}
        gradient: {gradient}
    nodes:
      q: {{op: linear, in: x, then: [l2_norm]}}
      t: {{read: T, query: q}}
      out: {{op: sum, in: [x, t]}}
model: {{embed: {{vocab: 7, width: 5}}, stack: [{{block: b}}], horizon: {horizon}}}
"""
LAYERS = "{where: layers, rate: 0.15}"


def system(
    erase: str, gradient: str = "first_order", horizon: str = "never", level: str = "fast"
) -> System:
    text = TEXT.format(erase=erase, gradient=gradient, horizon=horizon, level=level)
    return Spec.from_sources({"t.yaml": text}, "t.yaml", {}).system


def by_hand(
    named: dict[str, Tensor], tokens: Tensor, where: str, rho: float, gradient: str
) -> Tensor:
    """Return logits of one row of tokens (time,)."""
    flow, query = named["embed.weight"][tokens], named["0.b.q.weight"]
    start = [named[f"0.b.T.W{i}"][0] for i in range(2)]
    now = [weight * 1 for weight in start]
    logits = []
    for begin in range(0, len(tokens), PERIOD):
        x = flow[begin : begin + PERIOD]
        q = x @ query.T
        q = q / (q.square().sum(-1, keepdim=True) + 1e-6).sqrt()
        hidden = torch.tanh(q @ now[0].T)
        logits.append((x + hidden @ now[1].T) @ named["head.weight"].T)
        if begin + PERIOD >= len(tokens):
            break
        labels = tokens[begin + 1 : begin + PERIOD + 1]
        loss = F.cross_entropy(logits[-1], labels, reduction="sum")
        slopes = torch.autograd.grad(loss, now, create_graph=True)
        steps = [-RATE * slope for slope in slopes]
        asked = [q, hidden] if where == "layers" else [q]
        for layer, a in enumerate(asked):
            steps[layer] = steps[layer] - rho * now[layer] @ (a.T @ a)
        if gradient == "full":
            now = [w + step for w, step in zip(now, steps, strict=True)]
        elif gradient == "first_order":
            now = [w + step.detach() for w, step in zip(now, steps, strict=True)]
        else:
            pairs = zip(now, steps, strict=True)
            now = [(w + step).detach().requires_grad_() for w, step in pairs]
    return torch.cat(logits)


@pytest.mark.parametrize(("gradient", "horizon"), WAYS)
@pytest.mark.parametrize(
    ("erase", "where", "rho"), [("key", "key", RATE), (LAYERS, "layers", ERASED)]
)
def test_outputs_and_outer_gradients_are_those_of_the_loop(
    erase: str,
    where: str,
    rho: float,
    gradient: str,
    horizon: str,
    seed: int,
    held_by_rows: Callable[..., None],
) -> None:
    loop = functools.partial(by_hand, where=where, rho=rho, gradient=gradient)
    reference = outspoken(system(erase, gradient, horizon), seed)

    held_by_rows(reference, loop, torch.randint(VOCAB, (BATCH, LENGTH)))


@pytest.mark.parametrize(("gradient", "horizon"), WAYS)
@pytest.mark.parametrize("piece", [1, 7])
def test_compiled_pieces_are_the_reference_s_whole(
    piece: int, gradient: str, horizon: str, seed: int, agree: Callable[..., None]
) -> None:
    """Behind the last piece a period is open: its sums of queries are in the state."""
    built = system(LAYERS, gradient, horizon, level="fast" if gradient == "full" else "slow")
    reference = outspoken(built, seed)
    model = compile_model(built, seed=seed, dtype=torch.float64)
    model.weights.load_state_dict(reference.weights.state_dict())
    tokens = torch.randint(VOCAB, (BATCH, LENGTH))
    with torch.no_grad():
        whole = reference(tokens)
        logits, state = in_pieces(model, tokens, piece)
    flat = model.flat_state(state)

    agree(logits, whole.logits, CLOSE)
    assert flat["0.b.T.K0"].norm() > 0.1
    for name in ("0.b.T.A0", "0.b.T.A1", "0.b.T.K0", "0.b.T.K1"):
        agree(flat[name], whole.state[name], CLOSE)


def test_a_memory_forgets_what_it_is_asked_again_and_again(seed: int) -> None:
    """One token over and over: its query's answer shrinks by 1 − 3ρ a period, all else stays."""
    built = system("{where: key, rate: 0.1}")
    reference = outspoken(built, seed)
    with torch.no_grad():  # a head of 0 has no gradient: nothing moves but by the erase
        reference.weights.get_parameter("head.weight").zero_()
    tokens = torch.full((1, 1 + PERIOD), 2)
    with torch.no_grad():
        before, after = reference.initial_state(1), reference(tokens).state
        x = reference.weights.get_parameter("embed.weight")[2]
        q = reference.weights.get_parameter("0.b.q.weight") @ x
        q = q / (q @ q + 1e-6).sqrt()
        other = torch.randn_like(q)
        other = other - (other @ q) / (q @ q) * q
        old, new = before["0.b.T.A0"][0, 0], after["0.b.T.A0"][0, 0]

    torch.testing.assert_close(new @ q, (1 - 0.1 * PERIOD * (q @ q)) * (old @ q))
    torch.testing.assert_close(new @ other, old @ other)


def test_an_erase_key_of_its_own_is_refused() -> None:
    text = TEXT.format(erase="{where: key, key: x}", gradient="none", horizon="never", level="fast")
    text = text.replace("{kind: mlp, layers: 2, expansion: 2, activation: tanh}", "linear")
    with pytest.raises(SpecError) as raised:
        _ = Spec.from_sources({"t.yaml": text}, "t.yaml", {}).system
    (found,) = raised.value.diagnostics
    assert found.code == "NG352"
    assert "under what it was asked" in str(found.message)
