"""Pairs that one pass stores, against recurrences by hand and what is known of rules."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from benchmarks.capacity import Plan, print_capacity
from benchmarks.cli import filled, parser
from benchmarks.failure import BenchmarkError
from benchmarks.lab import Lab, Stored, memories_of
from nestgraph.language import zoo
from nestgraph.language.spec import Spec, load

DEEP = """
nestgraph: 1
name: deep
levels: {chunk: 8 tokens}
blocks:
  b:
    memories:
      M:
        net: {kind: mlp, layers: 2, expansion: 1, residual: true}
        heads: 2
        level: chunk
        keys: k
        values: {self: v}
        rule: {rate: eta, retain: alpha, erase: layers, implicit: true}
    nodes:
      k: {op: linear, in: x, then: [{op: l2_norm, heads: 2}]}
      v: {op: linear, in: x, then: [{op: l2_norm, heads: 2}]}
      eta: {op: linear, in: x, out: 2, then: [sigmoid]}
      alpha: {op: linear, in: x, out: 2, then: [sigmoid]}
      y: {read: M, query: k, at: boundary}
      out: {op: sum, in: [x, y]}
model: {embed: {vocab: 5, width: 8}, stack: [{block: b}]}
"""


def deep(*changes: tuple[str, str]) -> Spec:
    text = DEEP
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return Spec.from_sources({"deep.yaml": text}, "deep.yaml")


def lab(spec: Spec, *rates: float, pairs: int = 8, trials: int = 64, seed: int = 0) -> Lab:
    ((_, memory),) = memories_of(spec)
    return Lab(memory, rates=rates, pairs=pairs, width=32, trials=trials, seed=seed)


def told(stored: Stored, rate: int = 0) -> tuple[float, float]:
    """Percent of a target that is stored, and of answers that are nearest to their own."""
    return (
        100 * stored.share[rate].mean().item(),
        100 * stored.right[rate].double().mean().item(),
    )


def test_one_write_of_the_delta_rule_stores_as_much_as_its_rate_says():
    (stored,) = lab(load("deltanet"), 0.25, 0.5, 1.0, pairs=1).passes([1])

    for index, rate in enumerate((0.25, 0.5, 1.0)):
        assert told(stored, index) == pytest.approx((100 * rate, 100))
    assert not stored.started


def test_what_is_stored_is_what_the_recurrence_by_hand_stores():
    bench = lab(load("deltanet"), 0.3, 0.9, pairs=12, trials=5, seed=3)
    four, twelve = bench.passes([4, 12])

    for index, rate in enumerate((0.3, 0.9)):
        for trial in range(5):
            matrix = torch.zeros(32, 32, dtype=torch.float64)
            keys, values = bench.keys[:, trial], bench.values[:, trial]
            for count, (key, value) in enumerate(zip(keys, values, strict=True), start=1):
                matrix = matrix + rate * torch.outer(value - matrix @ key, key)
                stored = {4: four, 12: twelve}.get(count)
                if stored is None:
                    continue
                answers = keys[:count] @ matrix.T
                share = (answers * values[:count]).sum(-1)
                torch.testing.assert_close(stored.share[index, trial], share)
                cosines = F.normalize(answers, dim=-1) @ values[:count].T
                right = cosines.argmax(-1) == torch.arange(count)
                assert stored.right[index, trial].tolist() == right.tolist()


def test_a_deep_memory_that_answers_to_itself_is_one_that_hardly_stores_anything():
    whole, bare = lab(deep(), 0.5), lab(deep((", residual: true", "")), 0.5)
    plain = lab(deep((", residual: true", ""), ("{self: v}", "v"), ("erase: layers, ", "")), 4.0)

    (stored,) = whole.passes([8])
    share, right = told(stored)
    assert share == pytest.approx(14, abs=4)
    assert right == pytest.approx(37, abs=8)
    assert stored.alike.mean().item() == pytest.approx(0.91, abs=0.03)
    assert told(next(bare.passes([8])))[1] == pytest.approx(64, abs=8)
    assert told(next(plain.passes([8])))[1] > 98


def test_a_state_is_asked_as_it_is_behind_the_last_write_though_its_anchor_is_older():
    for text in ("reduce: mean, ", "reduce: alpha, ", "momentum: 0.5, ", "retain_first: true, "):
        bench = lab(deep(("implicit: true", text + "implicit: true")), 0.5, trials=3)
        one, three = bench.passes([1, 3])
        assert one.share.shape == (1, 3, 1)
        assert three.share.isfinite().all()
        assert not torch.equal(one.share[..., 0], three.share[..., 0])


def test_more_of_the_same_pass_is_asked_as_a_shorter_pass_would_be():
    bench = lab(deep(), 0.1, 1.0, trials=4)
    *_, last = bench.passes([2, 5, 8])
    (alone,) = lab(deep(), 0.1, 1.0, trials=4).passes([8])

    torch.testing.assert_close(last.share, alone.share)
    assert torch.equal(last.right, alone.right)


@pytest.mark.parametrize("name", [family.name for family in zoo.families()])
def test_every_memory_of_the_zoo_that_writes_into_a_net_can_be_asked(name: str):
    spec = load(name)
    if spec.system.model is None:
        return
    for _, memory in memories_of(spec):
        bench = Lab(memory, rates=(0.01,), pairs=2, width=8, trials=2, seed=1)
        (stored,) = bench.passes([2])
        assert stored.share.isfinite().all()
        assert stored.alike.abs().max() <= 1 + 1e-9


def test_the_table_has_equal_memories_once_and_a_row_a_rate(capsys: pytest.CaptureFixture[str]):
    asked = ["capacity", "deltanet", "deltanet-tiny", "self-modifying-titans-tiny"]
    asked += ["--set", "vars.width=64", "--rates", "0.5", "9", "--pairs", "8", "1", "--trials", "4"]

    assert print_capacity(filled(Plan, parser().parse_args(asked))) == 0

    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert rows[0] == "| memory | rate | 1 pair | 8 pairs |"
    assert rows[2].startswith("| `deltanet` M, `deltanet-tiny` M | 0.5 | 50 / 100 / - | 4")
    assert rows[3].startswith("|  | 9 | 900 / 100 / - |")
    assert rows[4].startswith("| `self-modifying-titans-tiny` M_k and 4 like it | 0.5 | ")
    assert len(rows) == 6


def test_an_answer_that_has_run_away_is_told_as_that(capsys: pytest.CaptureFixture[str]):
    plan = Plan(specs=("deltanet",), set=(), rates=(50.0,), pairs=(64,), width=8, trials=2, seed=0)
    print_capacity(plan)

    assert capsys.readouterr().out.splitlines()[-1] == "| `deltanet` M | 50 | diverges |"


@pytest.mark.parametrize("name", ["transformer", "muon"])
def test_a_spec_without_such_a_memory_is_refused(name: str):
    plan = Plan(specs=(name,), set=(), rates=(1.0,), pairs=(1,), width=8, trials=2, seed=0)
    with pytest.raises(BenchmarkError, match=f"`{name}` has no memory that stores values"):
        print_capacity(plan)


def test_rates_are_numbers_of_0_and_more():
    for bad in ("-1", str(math.inf), "nan"):
        with pytest.raises(SystemExit):
            parser().parse_args(["capacity", "--rates", bad])
