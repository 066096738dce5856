"""Softmax attention with a cache against a loop over queries."""

from __future__ import annotations

import itertools
import random

import pytest
import torch
from torch import Tensor

from nestgraph.ops import attend, forget, recall, remember
from nestgraph.ops.attention.banded_attention import spans

B, H, D, E = 2, 3, 4, 5


def draw(time: int, width: int = D):
    return torch.randn(B, H, time, width, dtype=torch.float64, requires_grad=True)


def flows(time: int, *, past: int = 0, events: int = 1, entries: int = 0):
    """Return q, k, v, kept keys and values, and learned entries."""
    made = [draw(time), draw(time * events), draw(time * events, E)]
    made += [draw(past * events), draw(past * events, E)]
    if entries:
        made += [draw(entries)[0], draw(entries, E)[0]]
    return made


def softmax_over(q, keys, values):
    """Return one query (B, H, D) over (B, H, S, D); 0 over nothing."""
    if keys.shape[2] == 0:
        return torch.zeros_like(values[:, :, :0].sum(2))
    scores = (keys @ q.unsqueeze(-1))[..., 0] / q.shape[-1] ** 0.5
    return (scores.softmax(-1).unsqueeze(-1) * values).sum(-2)


def naive(  # the whole sequence from position 0, each query by itself
    q, k, v, entries_k=None, entries_v=None, *, before=False, window=None, period=None, events=1
):
    answers = []
    for t in range(q.shape[2]):
        end = t if before else t + 1
        begin = 0 if period is None else t // period * period
        begin = begin if window is None else max(begin, end - window)
        seen = [x[:, :, begin * events : max(begin, end) * events] for x in (k, v)]
        if entries_k is not None:
            fixed = [x.expand(B, -1, -1, -1) for x in (entries_k, entries_v)]
            seen = [torch.cat(pair, 2) for pair in zip(fixed, seen, strict=True)]
        answers.append(softmax_over(q[:, :, t], *seen))
    return torch.stack(answers, 2)


def ways(seed: int):
    """Return a random way to attend, as keywords."""
    chance = random.Random(seed)
    return {
        "before": chance.random() < 0.4,
        "window": chance.choice([None, 1, 2, 3, 7]),
        "period": chance.choice([None, None, 1, 3, 4, 8]),
        "events": chance.choice([1, 1, 2, 3]),
    }, chance.choice([0, 0, 2])


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("past", [0, 1, 2, 5, 20])
@pytest.mark.parametrize("time", [1, 2, 6])
def test_a_query_sees_the_past_and_its_own_piece_so_far(before, past, time):
    q, k, v, past_k, past_v = flows(time, past=past)
    y, keys, values = attend(q, k, v, past_k, past_v, before)
    assert torch.equal(keys, torch.cat((past_k, k), 2))
    assert torch.equal(values, torch.cat((past_v, v), 2))
    queries = torch.cat((draw(past), q), 2)
    torch.testing.assert_close(y, naive(queries, keys, values, before=before)[:, :, past:])


@pytest.mark.parametrize("seed", range(60))
def test_windows_periods_entries_and_events_go_together(seed, assert_alike, loss_gradients):
    torch.manual_seed(seed)
    options, entries = ways(seed)
    q, k, v, past_k, past_v, *fixed = flows(
        random.Random(seed).choice([1, 2, 9, 17]), events=options["events"], entries=entries
    )
    names = dict(zip(("entries_k", "entries_v"), fixed, strict=False))
    y, *_ = attend(q, k, v, past_k, past_v, **options, **names)
    expected = naive(q, k, v, *fixed, **options)
    assert_alike([y], [expected])
    if y.requires_grad:  # or else nothing was seen
        inputs = [q, k, v, *fixed]
        assert_alike(loss_gradients([y], inputs), loss_gradients([expected], inputs))


@pytest.mark.parametrize("seed", range(60))
def test_any_split_gives_the_same_numbers(seed, assert_alike):
    torch.manual_seed(seed)
    options, entries = ways(seed)
    chance, events = random.Random(-seed), options["events"]
    q, k, v, *cache = flows(19, events=events, entries=entries)
    fixed = dict(zip(("entries_k", "entries_v"), cache[2:], strict=False))
    whole, *kept = attend(q, k, v, *cache[:2], **options, **fixed)
    cuts = sorted({0, 19, *(chance.randrange(20) for _ in range(3))})
    past, answers = cache[:2], []
    for first, last in itertools.pairwise(cuts):
        now = [x[:, :, first * events : last * events] for x in (k, v)]
        y, *past = attend(q[:, :, first:last], *now, *past, start=first, **options, **fixed)
        answers.append(y)
    assert_alike([torch.cat(answers, 2), *past], [whole, *kept])


@pytest.mark.parametrize("seed", range(30))
def test_token_by_token_recall_equals_attending(seed, assert_alike):
    torch.manual_seed(seed)
    options, entries = ways(seed)
    events, period = options["events"], options["period"]
    narrow = {"window": options["window"], "events": events}
    q, k, v, *cache = flows(11, events=events, entries=entries)
    fixed = dict(zip(("entries_k", "entries_v"), cache[2:], strict=False))
    whole, *kept = attend(q, k, v, *cache[:2], **options, **fixed)
    past, answers = cache[:2], []
    for t in range(11):
        now = [x[:, :, t * events : (t + 1) * events] for x in (k, v)]
        known = remember(*past, *now, **narrow)
        seen = past if options["before"] else known
        answers.append(recall(q[:, :, t : t + 1], *seen, **narrow, **fixed))
        past = known if period is None else forget(*known, t + 1, period)
    assert_alike([torch.cat(answers, 2), *past], [whole, *kept])


@pytest.mark.parametrize("window", [30, 70, 300])
@pytest.mark.parametrize("before", [False, True])
def test_long_windows_are_walked_in_blocks(window, before, assert_alike, loss_gradients):
    torch.manual_seed(window)
    q, k, v, past_k, past_v, *fixed = flows(400, entries=1)
    names = dict(zip(("entries_k", "entries_v"), fixed, strict=True))
    y, keys, _ = attend(q, k, v, past_k, past_v, before, window=window, **names)
    expected = naive(q, k, v, *fixed, before=before, window=window)
    assert keys.shape[2] == window
    assert_alike([y], [expected])
    inputs = [q, k, v, *fixed]
    assert_alike(loss_gradients([y], inputs), loss_gradients([expected], inputs))


def test_a_cache_holds_only_what_can_still_be_seen():
    q, k, v, *past = flows(11)
    sizes = {(3, None): 3, (None, 4): 3, (2, 4): 2, (9, 11): 0, (20, 20): 11}
    for (window, period), size in sizes.items():
        _, keys, values = attend(q, k, v, *past, window=window, period=period)
        assert keys.shape[2] == values.shape[2] == size
        assert torch.equal(keys, k[:, :, 11 - size :])
    _, keys, _ = attend(q, k, v, *past, window=3)
    assert keys.untyped_storage().nbytes() == keys.numel() * 8


def test_no_positions_have_no_answers():
    y, keys, _ = attend(*flows(0), period=2)
    assert y.shape == (B, H, 0, E)
    assert keys.shape[2] == 0


def test_events_that_a_tick_has_forgotten_are_refused():
    with pytest.raises(AssertionError, match="forgotten"):
        attend(*flows(3, past=2), period=4, start=8)


def test_a_long_past_is_met_in_masks_of_bounded_size(monkeypatch, assert_alike):
    torch.manual_seed(0)
    q, keys, values = draw(6), draw(40), draw(40, E)
    whole = spans(q, keys, values, seen=35)
    monkeypatch.setattr("nestgraph.ops.attention.banded_attention.LARGEST_MASK", 50)
    assert_alike([spans(q, keys, values, seen=35)], [whole])


@pytest.mark.parametrize(
    "options",
    [{}, {"before": True}, {"window": 2}, {"period": 2, "start": 1}, {"window": 2, "period": 3}],
)
def test_learning_flows_through_queries_cache_and_entries(options):
    def run(q, k, v, past_k, past_v, entries_k, entries_v):
        period = options.get("period")
        past = (past_k, past_v)
        if period is not None and options.get("start", 0) % period == 0:
            past = (past_k[:, :, :0], past_v[:, :, :0])
        return attend(q, k, v, *past, entries_k=entries_k, entries_v=entries_v, **options)

    assert torch.autograd.gradcheck(run, flows(4, past=2, entries=1))


def test_the_plain_causal_call_makes_no_mask(monkeypatch):
    masks: list[Tensor | None] = []
    exact = torch.nn.functional.scaled_dot_product_attention

    def watched(*args, attn_mask=None, **options):
        masks.append(attn_mask)
        return exact(*args, attn_mask=attn_mask, **options)

    monkeypatch.setattr("torch.nn.functional.scaled_dot_product_attention", watched)
    attend(*flows(9))
    attend(*flows(9), True)
    attend(*flows(9), period=3)
    attend(*flows(9), window=9)
    attend(*flows(9, past=4))
    assert masks == [None] * 5
