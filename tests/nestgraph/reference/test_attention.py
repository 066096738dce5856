"""Attention against PyTorch's own, with a rotation written another way."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

HEADS, D, WIDTH = 2, 4, 8

ATTENTION = """
memories:
  A: {net: attention, heads: 2, keys: k, values: v}
nodes:
  q: {op: linear, in: x, then: [ROPE]}
  k: {op: linear, in: x, then: [ROPE]}
  v: {op: linear, in: x, out: 6}
  y: {read: A, query: q, at: AT}
  out: {op: linear, in: y, out: 8}
"""


def block(rope="{op: rope, heads: 2}", at="after"):
    return ATTENTION.replace("ROPE", rope).replace("AT", at)


def split(x):
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def by_hand(b, x, mask, rotate):
    q, k = (split(rotate(b.project(x, f"{n}"))) for n in "qk")
    y = F.scaled_dot_product_attention(q, k, split(b.project(x, "v")), attn_mask=mask)
    return b.project(y.transpose(1, 2).flatten(-2), "out")


def rotation(base=10_000.0, period=None):
    """Return rotary positions as products of complex numbers."""

    def rotate(x):
        position = torch.arange(x.shape[1], dtype=torch.float64)
        position = position if period is None else position % period
        speed = base ** (-2 * torch.arange(D // 2, dtype=torch.float64) / D)
        turn = torch.polar(torch.ones(1, dtype=torch.float64), position[:, None] * speed)
        runs = x.unflatten(-1, (HEADS, D))
        pairs = torch.complex(runs[..., : D // 2], runs[..., D // 2 :]) * turn[:, None]
        return torch.cat((pairs.real, pairs.imag), -1).flatten(-2)

    return rotate


def test_an_after_read_is_causal_attention_with_rotary_positions(bench, flow, agree):
    b = bench(block(), WIDTH)
    x = flow(2, 7, WIDTH)
    mask = torch.ones(7, 7).tril().bool()
    agree(b(x), by_hand(b, x, mask, rotation()))


def test_the_base_of_the_rotation_can_be_chosen(bench, flow, agree):
    b = bench(block("{op: rope, heads: 2, base: 100}"), WIDTH)
    x = flow(2, 7, WIDTH)
    mask = torch.ones(7, 7).tril().bool()
    agree(b(x), by_hand(b, x, mask, rotation(base=100.0)))


def test_rotary_positions_can_count_from_a_tick(bench, flow, agree):
    b = bench(block("{op: rope, heads: 2, since: chunk}"), WIDTH, "{chunk: 3 tokens}")
    x = flow(2, 7, WIDTH)
    mask = torch.ones(7, 7).tril().bool()
    agree(b(x), by_hand(b, x, mask, rotation(period=3)))


def test_a_before_read_sees_only_earlier_positions_and_answers_zero_at_the_first(
    bench, flow, agree
):
    b = bench(block(at="before"), WIDTH)
    x = flow(2, 7, WIDTH)
    mask = torch.ones(7, 7).tril(-1).bool()
    mask[0, 0] = True  # SDPA wants one key; what it then answers is thrown away
    expected = by_hand(b, x, mask, rotation())
    expected[:, 0] = 0
    agree(b(x), expected)
    assert b(x)[:, 0].abs().max() == 0


def test_the_state_keeps_every_key_and_value(bench, flow, agree):
    b = bench(block(), WIDTH)
    x = flow(2, 7, WIDTH)
    _, state = b.with_state(x)
    assert state["0.b.A.k"].shape == (2, HEADS, 7, 4)
    agree(state["0.b.A.v"], split(b.project(x, "v")))
    agree(state["0.b.A.k"], split(rotation()(b.project(x, "k"))))


SEGMENTS = """
memories:
  A: {net: {kind: attention, WINDOW}, heads: 2, keys: [k, k2], values: [v, v2], REST}
nodes:
  q: {op: linear, in: x}
  k: {op: linear, in: x}
  v: {op: linear, in: x, out: 6}
  k2: {op: linear, in: x}
  v2: {op: linear, in: x, out: 6}
  y: {read: A, query: q, at: AT}
  out: {op: linear, in: y, out: 8}
"""


@pytest.mark.parametrize("at", ["after", "before"])
@pytest.mark.parametrize("entries", [0, 3])
@pytest.mark.parametrize("window", [None, 1, 3])
@pytest.mark.parametrize("reset", [None, 4])
def test_attention_sees_its_window_its_segment_and_its_entries(
    bench, flow, held, reset, window, entries, at
):
    """Which positions i are seen from t; each has two events, entries are always seen."""
    rest = ["reset: segment" if reset else "", f"init: {{kind: learned, entries: {entries}}}"]
    text = SEGMENTS.replace("REST", ", ".join(r for r in rest if r and "entries: 0" not in r))
    text = text.replace("WINDOW", f"window: {window}" if window else "").replace("AT", at)

    def by_hand(w, x):
        time = x.shape[1]
        q, k, k2, v, v2 = (split(x @ w[f"{n}.weight"].T) for n in ("q", "k", "k2", "v", "v2"))
        if entries:
            first = [w[f"A.{n}"].expand(2, -1, -1, -1) for n in ("keys", "values")]
        else:
            first = [k[:, :, :0], v[:, :, :0]]
        answers = []
        for t in range(time):
            last = t if at == "after" else t - 1
            seen = [i for i in range(last + 1) if not window or i > last - window]
            seen = [i for i in seen if not reset or i // reset == t // reset]
            keys = torch.cat((first[0], k[:, :, seen], k2[:, :, seen]), 2)
            values = torch.cat((first[1], v[:, :, seen], v2[:, :, seen]), 2)
            if keys.shape[2]:
                y = F.scaled_dot_product_attention(q[:, :, t : t + 1], keys, values)
            else:
                y = torch.zeros_like(v[:, :, :1])
            answers.append(y.transpose(1, 2).flatten(2))
        kept = [i for i in range(time) if not window or i > time - 1 - window]
        kept = [i for i in kept if not reset or i // reset == time // reset]
        state = torch.stack((k[:, :, kept], k2[:, :, kept]), 3).flatten(2, 3)
        return torch.cat(answers, 1) @ w["out.weight"].T, {"A.k": state}

    held(bench(text, WIDTH, "{segment: 4 tokens}"), by_hand, flow(2, 7, WIDTH))


def test_entries_are_no_part_of_the_state_and_survive_a_reset(bench, flow):
    text = SEGMENTS.replace("WINDOW", "window: 2").replace("AT", "after")
    text = text.replace("REST", "reset: segment, init: {kind: learned, entries: 3}")
    b = bench(text, WIDTH, "{segment: 4 tokens}")
    _, state = b.with_state(flow(2, 4, WIDTH))
    assert state["0.b.A.k"].shape == (2, HEADS, 0, 4)
    assert b.weight("A.values").shape == (HEADS, 3, 3)
