"""Task memories on tokens against a loop written out: segment by segment, memory by memory.

The loop knows nothing of tokens that arrive one by one, of states or of ticks that wait: it cuts
a whole sequence at the fastest period and takes every gradient from one graph. Tolerance 1e-10 of
the norm.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable

import pytest
import torch
from task_memories import WAYS, in_pieces, outspoken
from torch import Tensor
from torch.nn import functional as F

from nestgraph.language.spec import Spec
from nestgraph.reference import Reference

BATCH, VOCAB, WIDTH, HIDDEN, LENGTH = 2, 11, 6, 12, 31
FAST, MID, SLOW = 3, 6, 12
CLOSE = 1e-10

TEXT = """\
nestgraph: 1
name: wired
levels: {{fast: 3 tokens, mid: 6 tokens, slow: 12 tokens}}
blocks:
  layer:
    memories:
      A: {{net: attention, keys: k, values: v}}
{memories}
    nodes:
      k: {{op: linear, in: x}}
      v: {{op: linear, in: x}}
      q: {{op: linear, in: x}}
      a: {{read: A, query: q}}
      h: {{op: sum, in: [x, a]}}
{nodes}
model:
  embed: {{vocab: 11, width: 6}}
  stack: [{{block: layer}}]
  head: {{tie: false}}
  horizon: {horizon}
"""
NET = "net: {kind: mlp, layers: 2, expansion: 2, activation: tanh}, objective: task"
CHAIN = """\
      f: {read: F, query: h}
      hf: {op: sum, in: [h, f]}
      m: {read: M, query: hf}
      hm: {op: sum, in: [hf, m]}
      s: {read: S, query: hm}
      out: {op: sum, in: [hm, s]}"""
SIDE_BY_SIDE = """\
      f: {read: F, query: h}
      m: {read: M, query: h}
      s: {read: S, query: h}
      out: {op: sum, in: [h, f, m, s]}"""


def memory(name: str, level: str, rate: float, gradient: str, extra: str = "") -> str:
    more = f", {extra}" if extra else ""
    said = f"level: {level}, rule: {{rate: {rate}}}, gradient: {gradient}"
    return f"      {name}: {{{NET}, {said}{more}}}"


def chain(gradient: str, horizon: str = "never") -> Reference:
    memories = [
        memory("F", "fast", 0.3, gradient),
        memory("M", "mid", 0.2, gradient),
        memory("S", "slow", 0.1, gradient),
    ]
    return built("\n".join(memories), CHAIN, horizon)


def independent(gradient: str, horizon: str = "never") -> Reference:
    memories = [
        memory("F", "fast", 0.3, gradient),
        memory("M", "mid", 0.2, gradient),
        memory("S", "slow", 0.1, gradient),
    ]
    return built("\n".join(memories), SIDE_BY_SIDE, horizon)


def nested(gradient: str, horizon: str = "never") -> Reference:
    memories = [
        memory("F", "fast", 0.3, gradient, "init: {kind: from, memory: F0}, reset: mid"),
        memory("F0", "mid", 0.05, gradient),
        memory("M", "mid", 0.2, gradient, "init: {kind: from, memory: M0}, reset: slow"),
        memory("M0", "slow", 0.05, gradient),
        memory("S", "slow", 0.1, gradient),
    ]
    return built("\n".join(memories), CHAIN, horizon)


def built(memories: str, nodes: str, horizon: str = "never") -> Reference:
    text = TEXT.format(memories=memories, nodes=nodes, horizon=horizon)
    system = Spec.from_sources({"t.yaml": text}, "t.yaml", {}).system
    return outspoken(system, random.randrange(2**31))


PLAN = {
    "chain": {"F": (FAST, 0.3, None, 0), "M": (MID, 0.2, None, 0), "S": (SLOW, 0.1, None, 0)},
    "nested": {
        "F": (FAST, 0.3, "F0", MID),
        "F0": (MID, 0.05, None, 0),
        "M": (MID, 0.2, "M0", SLOW),
        "M0": (SLOW, 0.05, None, 0),
        "S": (SLOW, 0.1, None, 0),
    },
}
PLAN["independent"] = PLAN["chain"]
BUILD: dict[str, Callable[..., Reference]] = {
    "chain": chain,
    "independent": independent,
    "nested": nested,
}


def by_hand(
    wiring: str, gradient: str, named: dict[str, Tensor], tokens: Tensor, *, cut: bool = False
) -> Tensor:
    """Return logits of one row of tokens (time,); with `cut`, past keys and values are
    constants.
    """
    plan, path = PLAN[wiring], "0.layer"
    k, v, q = (named[f"{path}.{name}.weight"] for name in "kvq")
    flow = named["embed.weight"][tokens]

    def weights(name: str) -> list[Tensor]:
        return [named[f"{path}.{name}.W{i}"][0] for i in range(2)]

    def fresh(parts: list[Tensor]) -> list[Tensor]:
        return [part * 1 for part in parts]

    now = {n: fresh(weights(n)) for n, (_, _, start, _) in plan.items() if start is None}
    now |= {n: fresh(now[start]) for n, (_, _, start, _) in plan.items() if start is not None}

    def net(name: str, x: Tensor) -> Tensor:
        first, second = now[name]
        return torch.tanh(x @ first.T) @ second.T

    keys, values = flow @ k.T, flow @ v.T
    logits: list[Tensor] = []
    losses: list[Tensor] = []  # one a token
    for begin in range(0, len(tokens), FAST):
        end = min(begin + FAST, len(tokens))
        x = flow[begin:end]
        if cut:
            keys, values = (torch.cat((p[:begin].detach(), p[begin:])) for p in (keys, values))
        scores = (x @ q.T) @ keys[:end].T / WIDTH**0.5
        hidden = torch.ones(end - begin, end, dtype=torch.bool).triu(begin + 1)
        h = x + scores.masked_fill(hidden, -torch.inf).softmax(-1) @ values[:end]
        if wiring == "independent":
            h = h + net("F", h) + net("M", h) + net("S", h)
        else:
            for name in "FMS":
                h = h + net(name, h)
        logits.append(h @ named["head.weight"].T)
        if end == len(tokens):
            break
        losses.append(F.cross_entropy(logits[-1], tokens[begin + 1 : end + 1], reduction="sum"))
        due = [name for name, (period, *_) in plan.items() if end % period == 0]
        slopes = {
            name: torch.autograd.grad(
                torch.stack(losses[-(plan[name][0] // FAST) :]).sum(),
                now[name],
                create_graph=True,
            )
            for name in due
        }
        for name in due:
            pairs = zip(now[name], slopes[name], strict=True)
            step = plan[name][1]
            if gradient == "full":
                now[name] = [w - step * g for w, g in pairs]
            elif gradient == "first_order":
                now[name] = [w - step * g.detach() for w, g in pairs]
            else:
                now[name] = [(w - step * g).detach().requires_grad_() for w, g in pairs]
        for name, (_, _, start, reset) in plan.items():
            if start is not None and end % reset == 0:
                now[name] = fresh(now[start])
    return torch.cat(logits)


@pytest.mark.parametrize(("gradient", "horizon"), WAYS)
@pytest.mark.parametrize("wiring", ["chain", "nested", "independent"])
def test_outputs_and_outer_gradients_are_those_of_the_loop(
    wiring: str, gradient: str, horizon: str, seed: int, held_by_rows: Callable[..., None]
) -> None:
    loop = functools.partial(by_hand, wiring, gradient, cut=horizon == "fast")
    tokens = torch.randint(VOCAB, (BATCH, LENGTH))

    held_by_rows(BUILD[wiring](gradient, horizon), loop, tokens)


def test_memories_do_move(seed: int) -> None:
    reference = chain("first_order")
    tokens = torch.randint(VOCAB, (BATCH, LENGTH))
    before, after = reference.initial_state(BATCH), reference(tokens).state
    for name in "FMS":
        moved = (after[f"0.layer.{name}.A0"] - before[f"0.layer.{name}.A0"]).norm()
        assert moved > 1e-3, name


def test_nested_levels_with_the_rates_of_their_starts_are_the_chain(
    seed: int, agree: Callable[..., None]
) -> None:
    """The start takes exactly the steps that its child took, if both have one rate."""
    text = "\n".join(
        (
            memory("F", "fast", 0.3, "first_order", "init: {kind: from, memory: F0}, reset: mid"),
            memory("F0", "mid", 0.3, "first_order"),
            memory("M", "mid", 0.2, "first_order", "init: {kind: from, memory: M0}, reset: slow"),
            memory("M0", "slow", 0.2, "first_order"),
            memory("S", "slow", 0.1, "first_order"),
        )
    )
    start, plain = built(text, CHAIN), chain("first_order")
    with torch.no_grad():
        for name, parameter in plain.weights.named().items():
            for level in "FM":
                name = name.replace(f"layer.{level}.", f"layer.{level}0.")
            parameter.copy_(start.weights.named()[name])
    tokens = torch.randint(VOCAB, (BATCH, LENGTH))

    with torch.no_grad():
        agree(start(tokens).logits, plain(tokens).logits, CLOSE)


@pytest.mark.parametrize("wiring", ["chain", "nested"])
@pytest.mark.parametrize(
    ("gradient", "horizon"),
    [("full", "never"), ("first_order", "never"), ("none", "never"), ("first_order", "fast")],
)
@pytest.mark.parametrize("piece", [1, 7, 12])
def test_pieces_give_the_numbers_of_the_whole(
    wiring: str, gradient: str, horizon: str, piece: int, seed: int, agree: Callable[..., None]
) -> None:
    reference = BUILD[wiring](gradient, horizon)
    tokens = torch.randint(VOCAB, (BATCH, LENGTH))
    with torch.no_grad():
        whole = reference(tokens)
        logits, state = in_pieces(reference, tokens, piece)

    agree(logits, whole.logits, CLOSE)
    for name, tensor in whole.state.items():
        torch.testing.assert_close(state[name], tensor, rtol=CLOSE, atol=CLOSE, msg=name)


def test_a_tick_waits_for_the_token_that_is_its_last_label(seed: int) -> None:
    """The state behind the last token of a period hasn't moved; one token later it has."""
    reference = chain("first_order")
    tokens = torch.randint(VOCAB, (1, FAST + 1))
    first = reference.initial_state(1)["0.layer.F.A0"]
    with torch.no_grad():
        waiting = reference(tokens[:, :FAST]).state["0.layer.F.A0"]
        moved = reference(tokens).state["0.layer.F.A0"]

    assert torch.equal(waiting, first)
    assert not torch.equal(moved, first)


def test_an_output_never_sees_a_later_token(seed: int) -> None:
    reference = nested("first_order")
    tokens = torch.randint(VOCAB, (BATCH, LENGTH))
    later = tokens.clone()
    later[:, 13:] = (later[:, 13:] + 1) % VOCAB
    with torch.no_grad():
        one, other = reference(tokens).logits, reference(later).logits

    assert torch.equal(one[:, :13], other[:, :13])
    assert not torch.allclose(one[:, 13:], other[:, 13:])


def test_padding_behind_the_end_of_a_row_teaches_nothing(seed: int) -> None:
    """Rows that end earlier are filled up with negative tokens; other rows don't notice."""
    reference = chain("first_order")
    tokens = torch.randint(VOCAB, (BATCH, LENGTH))
    padded = tokens.clone()
    padded[0, 13:] = -1
    with torch.no_grad():
        whole, ended = reference(tokens), reference(padded)
        alone = reference(tokens[:1, :13])

    torch.testing.assert_close(ended.logits[1], whole.logits[1], rtol=CLOSE, atol=CLOSE)
    torch.testing.assert_close(ended.logits[0, :13], alone.logits[0], rtol=CLOSE, atol=CLOSE)
    # Position 12 was the last with a label, so the fast level moved a last time behind it.
    name = "0.layer.F.A0"
    torch.testing.assert_close(
        ended.state[name][0], reference(tokens[:1, :13]).state[name][0], rtol=CLOSE, atol=CLOSE
    )


def test_inference_mode_learns_as_training_does(seed: int) -> None:
    reference = chain("full")
    tokens = torch.randint(VOCAB, (BATCH, LENGTH))
    with torch.inference_mode():
        streamed = reference(tokens).logits.clone()

    torch.testing.assert_close(streamed, reference(tokens).logits.detach(), rtol=0, atol=1e-12)


RULES = """\
      F:
        net: {{kind: mlp, layers: 2, expansion: 2, activation: tanh}}
        heads: 2
        level: fast
        objective: task
        rule: {rule}
        gradient: first_order
"""


@pytest.mark.parametrize("mean", [False, True])
def test_the_whole_rule_at_one_tick(mean: bool, seed: int, agree: Callable[..., None]) -> None:
    """Rate and retention from flows, momentum, an orthogonal direction, a step, the mean."""
    rule = "{rate: eta, momentum: 0.5, retain: [0.9, 0.8], step: 0.3, direction: newton_schulz"
    rule += ", reduce: mean}" if mean else "}"
    nodes = """\
      eta: {op: linear, in: x, out: 2, then: [sigmoid]}
      f: {read: F, query: h}
      out: {op: sum, in: [h, f]}"""
    reference = built(RULES.format(rule=rule).rstrip(), nodes)
    tokens = torch.randint(VOCAB, (1, 2 * FAST + 1))
    named, path = reference.weights.named(), "0.layer"
    flow = named["embed.weight"][tokens[0]].detach()
    rates = torch.sigmoid(flow @ named[f"{path}.eta.weight"].T).detach()
    k, v, q = (named[f"{path}.{name}.weight"].detach() for name in "kvq")
    weights = [named[f"{path}.F.W{i}"].detach() for i in range(2)]
    momentum = [torch.zeros_like(weight) for weight in weights]
    retain = torch.tensor([0.9, 0.8], dtype=torch.float64)[:, None, None]
    keep, values = torch.ones(7, 7).tril().bool(), flow @ v.T
    for tick in (FAST, 2 * FAST):
        at = [weight.requires_grad_() for weight in weights]
        scores = ((flow @ q.T) @ (flow @ k.T).T / WIDTH**0.5).masked_fill(~keep, -torch.inf)
        h = flow + scores.softmax(-1) @ values
        split = h.view(-1, 2, 1, WIDTH // 2)
        y = (torch.tanh(split @ at[0].mT) @ at[1].mT).flatten(1)
        logits = (h + y) @ named["head.weight"].detach().T
        span = slice(tick - FAST, tick)
        loss = F.cross_entropy(logits[span], tokens[0, tick - FAST + 1 : tick + 1], reduction="sum")
        slopes = torch.autograd.grad(loss, at)
        rate = rates[tick - 1][:, None, None]
        momentum = [0.5 * s - rate * g for s, g in zip(momentum, slopes, strict=True)]
        there = [retain * w + 0.3 * muon(s) for w, s in zip(at, momentum, strict=True)]
        share = 1 / FAST if mean else 1.0
        weights = [(w + share * (a - w)).detach() for w, a in zip(at, there, strict=True)]

    with torch.no_grad():
        state = reference(tokens).state
    for part, (weight, push) in enumerate(zip(weights, momentum, strict=True)):
        agree(state[f"{path}.F.A{part}"][0], weight, CLOSE)
        agree(state[f"{path}.F.S{part}"][0], push, CLOSE)


def muon(matrix: Tensor) -> Tensor:
    """Return five steps of the quintic, on the transpose of tall matrices."""
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.transpose(-1, -2) if tall else matrix
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.transpose(-1, -2)
        x = 3.4445 * x - 4.7750 * square @ x + 2.0315 * square @ square @ x
    return x.transpose(-1, -2) if tall else x


def test_a_rate_of_zero_is_the_frozen_model(seed: int) -> None:
    moving = built(memory("F", "fast", 0.0, "first_order"), NODES_OF_ONE)
    frozen = built(memory("F", "never", 0.3, "first_order"), NODES_OF_ONE)
    frozen.load_state_dict(moving.state_dict())
    tokens = torch.randint(VOCAB, (BATCH, LENGTH))
    with torch.no_grad():
        assert torch.equal(moving(tokens).logits, frozen(tokens).logits)


NODES_OF_ONE = """\
      f: {read: F, query: h}
      out: {op: sum, in: [h, f]}"""
