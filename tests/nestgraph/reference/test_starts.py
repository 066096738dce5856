"""Where memories start, and start over."""

from __future__ import annotations

import pytest
import torch
from by_hand import outer, runs, times

WIDTH, HEADS = 6, 2


@pytest.mark.parametrize("out", [4, 6, 8])
def test_an_identity_is_a_rectangular_unit_matrix_a_head(bench, flow, agree, out):
    text = f"""
    memories:
      M: {{net: {{kind: linear, out: {out}}}, heads: 2, keys: x, values: v, init: identity,
          rule: {{rate: 0}}}}
    nodes:
      v: {{op: linear, in: x, out: {out}}}
      y: {{read: M, query: x}}
      out: {{op: linear, in: y, out: 6}}
    """
    b, x = bench(text, WIDTH), flow(2, 3, WIDTH)
    unit = torch.eye(out // 2, 3, dtype=x.dtype)
    agree(b(x), (runs(x, HEADS) @ unit.T).flatten(2) @ b.weight("out.weight").T)
    assert "0.b.M.W0" not in dict(b.reference.named_parameters())


def test_an_identity_of_a_net_has_no_biases(bench, flow, agree):
    text = """
    memories:
      M: {net: {kind: mlp, expansion: 2, activation: relu, bias: true}, heads: 2, level: never,
          keys: x, values: x, init: identity}
    nodes: {out: {read: M, query: x, at: boundary}}
    """
    x = flow(2, 3, WIDTH)
    agree(bench(text, WIDTH)(x), x.relu())


def test_a_fixed_start_is_drawn_and_never_trained(bench, flow, held):
    text = """
    memories: {M: {heads: 2, keys: k, values: x, init: {kind: fixed, std: 0.5}, rule: {rate: 0.3}}}
    nodes:
      k: {op: linear, in: x}
      out: {read: M, query: x}
    """

    def by_hand(w, x):
        assert not w["M.W0"].requires_grad
        k, v = runs(x @ w["k.weight"].T, HEADS), runs(x, HEADS)
        a, answers = w["M.W0"].expand(2, -1, -1, -1), []
        for t in range(x.shape[1]):
            a = a - 0.3 * outer(times(a, k[:, t]) - v[:, t], k[:, t])
            answers.append(times(a, v[:, t]))
        return torch.stack(answers, 1).flatten(2)

    held(bench(text, WIDTH), by_hand, flow(2, 6, WIDTH))


RESET = """
memories:
  M:
    net: {kind: mlp, layers: 1, bias: true}
    heads: 2
    level: LEVEL
    keys: k
    values: v
    objective: {kind: l2, window: 3}
    rule: {rate: 0.3, momentum: 0.5, retain: 0.9, retain_first: true, reduce: one}
    reset: long
nodes:
  k: {op: linear, in: x}
  v: {op: linear, in: x}
  one: {op: linear, in: x, out: 1, then: [sigmoid]}
  out: {read: M, query: k, at: AT}
"""


@pytest.mark.parametrize("at", ["before", "after", "boundary"])
@pytest.mark.parametrize(("level", "period"), [("chunk", 3), ("never", 100), ("token", 1)])
def test_a_reset_forgets_everything_behind_the_commits(bench, flow, held, level, period, at):
    """Behind position 6: state to its start, momentum and window empty, retention from 1."""

    def by_hand(w, x):
        k, v = (runs(x @ w[f"{n}.weight"].T, HEADS) for n in "kv")
        c = (x @ w["one.weight"].T).sigmoid()[..., None]
        start = [w["M.W0"].expand(2, -1, -1, -1), w["M.b0"].expand(2, -1, -1)]
        theta = anchor = a = start
        s, kept, since, answers = [torch.zeros_like(p) for p in a], 1.0, 0, []
        for t in range(x.shape[1]):
            before, kept = theta, kept * 0.9
            seen = [kept * p for p in anchor]
            s = [0.5 * p for p in s]
            for i in range(max(since, t - 2), t + 1):
                r = times(seen[0], k[:, i]) + seen[1] - v[:, i]
                s = [s[0] - 0.3 * outer(r, k[:, i]), s[1] - 0.3 * r]
            a = [0.9 * p + step for p, step in zip(a, s, strict=True)]
            share = [c[:, t, ..., None], c[:, t]]
            theta = [o + n * (p - o) for o, p, n in zip(anchor, a, share, strict=True)]
            shown = {"before": before, "after": theta, "boundary": anchor}[at]
            answers.append(times(shown[0], k[:, t]) + shown[1])
            if (t + 1) % period == 0:
                theta, anchor, a, kept = theta, theta, theta, 1.0
            if (t + 1) % 6 == 0:
                theta = anchor = a = start
                s, kept, since = [torch.zeros_like(p) for p in a], 1.0, t + 1
        return torch.stack(answers, 1).flatten(2), {"M.A0": a[0], "M.A1": a[1], "M.S0": s[0]}

    text = RESET.replace("LEVEL", level).replace("AT", at)
    held(bench(text, WIDTH, "{chunk: 3 tokens, long: 6 tokens}"), by_hand, flow(2, 10, WIDTH))


def test_right_behind_a_reset_the_state_is_the_start(bench, flow):
    text = RESET.replace("LEVEL", "chunk").replace("AT", "after")
    b = bench(text, WIDTH, "{chunk: 3 tokens, long: 6 tokens}")
    _, state = b.with_state(flow(2, 6, WIDTH))
    first = b.reference.initial_state(2)
    assert first.keys() == state.keys()
    assert all(torch.equal(state[n], t) for n, t in first.items() if n != "position")


FROM = """
memories:
  fast: {heads: 2, level: pair, keys: k, values: x, rule: {rate: 0.3}, reset: long,
         init: {kind: from, memory: slow}}
  slow: {heads: 2, level: LEVEL, keys: k, values: x, rule: {rate: 0.1, retain: 0.8}, RESET}
nodes:
  k: {op: linear, in: x}
  y: {read: fast, query: k}
  z: {read: slow, query: k}
  out: {op: sum, in: [y, z]}
"""


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(("level", "period"), [("third", 3), ("four", 4)])
def test_a_memory_starts_over_as_another_is_then(bench, flow, held, level, period, restarts):
    """Behind position 6: as the anchor of the other, its own commit and reset there included."""

    def by_hand(w, x):
        k, v = runs(x @ w["k.weight"].T, HEADS), runs(x, HEADS)
        start = w["slow.W0"].expand(2, -1, -1, -1)
        fast = fast_anchor = slow = slow_anchor = start
        answers = []
        for t in range(x.shape[1]):
            fast = fast - 0.3 * outer(times(fast_anchor, k[:, t]) - v[:, t], k[:, t])
            slow = 0.8 * slow - 0.1 * outer(times(slow_anchor, k[:, t]) - v[:, t], k[:, t])
            answers.append(times(fast, k[:, t]) + times(slow, k[:, t]))
            fast_anchor = fast if (t + 1) % 2 == 0 else fast_anchor
            slow_anchor = slow if (t + 1) % period == 0 else slow_anchor
            if (t + 1) % 6 == 0:
                slow, slow_anchor = (start, start) if restarts else (slow, slow_anchor)
                fast = fast_anchor = slow_anchor
        return torch.stack(answers, 1).flatten(2), {"fast.A0": fast, "slow.A0": slow}

    reset = "reset: long" if restarts else "gradient: full"
    text = FROM.replace("LEVEL", level).replace("RESET", reset)
    levels = "{pair: 2 tokens, third: 3 tokens, four: 4 tokens, long: 6 tokens}"
    held(bench(text, WIDTH, levels), by_hand, 0.7 * flow(2, 9, WIDTH))


def test_a_memory_may_start_as_a_group_on_steps(bench, flow, held):
    text = """
    memories:
      M: {heads: 2, keys: k, values: x, rule: {rate: 0.3}, init: {kind: from, memory: F}}
      F: {net: linear, heads: 2, level: slow, objective: task}
    nodes:
      k: {op: linear, in: x}
      y: {read: M, query: k}
      z: {read: F, query: k}
      out: {op: sum, in: [y, z]}
    """

    def by_hand(w, x):
        k, v = runs(x @ w["k.weight"].T, HEADS), runs(x, HEADS)
        a, answers = w["F.W0"].expand(2, -1, -1, -1), []
        for t in range(x.shape[1]):
            a = a - 0.3 * outer(times(a, k[:, t]) - v[:, t], k[:, t])
            answers.append(times(a, k[:, t]) + times(w["F.W0"], k[:, t]))
        return torch.stack(answers, 1).flatten(2)

    held(bench(text, WIDTH, "{slow: 4 steps}"), by_hand, flow(2, 5, WIDTH))
