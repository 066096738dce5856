"""The comparisons at a size that takes no time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import speed
from benchmarks.cli import SPEED
from benchmarks.steps import Numbers, Size
from benchmarks.suites import (
    Comparison,
    attention_spans,
    diagonal_delta,
    gated_deltanet,
    optimizers,
    selective_scan,
    self_modifying_titans,
    suite,
    token_clocks,
    transformer,
)

SMALL = Size(batch=2, time=12, width=16, heads=2)
FEW = {"embed": (20, 8), "wide": (8, 24), "tall": (24, 8), "gain": (8,)}
INSTALLED = tuple(name for name in SPEED if name != "titans-lmm")  # which needs another package
ALL = [
    *transformer.comparisons(SMALL, depth=2),
    *gated_deltanet.comparisons((SMALL,)),
    *self_modifying_titans.comparisons(SMALL, chunks=(4,)),
    *attention_spans.comparisons((SMALL,)),
    *selective_scan.comparisons((SMALL,)),
    *diagonal_delta.comparisons(SMALL),
    *optimizers.comparisons(FEW),
    *token_clocks.comparisons((SMALL, SMALL), depth=1, segment=2, read=1),
]


@pytest.mark.parametrize("comparison", ALL, ids=lambda comparison: comparison.title)
def test_a_comparison_is_measured_and_printed(comparison: Comparison) -> None:
    rows = speed.measure(comparison, rounds=2)
    text = speed.table(comparison, rows)
    assert comparison.title in text
    assert all(side.name in text for side in comparison.sides)
    assert rows[0].speed is not None
    assert rows[0].speed.median == 1
    assert all(row.peak is None or row.peak > 0 for row in rows)


def test_the_transformer_by_hand_is_the_compiled_one_to_the_last_digits() -> None:
    assert "same numbers" in transformer.check(SMALL, depth=3, dtype=torch.float64)


def test_a_network_that_differs_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformer.plain, "turn", lambda x, cos, sin: x)
    with pytest.raises(AssertionError, match="the sides differ"):
        transformer.check(SMALL, depth=1)


@pytest.mark.parametrize(("name", "other"), [("adamw", "adam"), ("muon", "adamw")])
def test_an_optimizer_that_differs_is_noticed(
    name: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = optimizers.load
    monkeypatch.setattr(optimizers, "load", lambda _, settings: load(other, settings))
    theirs = {"adamw": optimizers.torch_adamw, "muon": optimizers.torch_muon}[name]
    with pytest.raises(AssertionError, match=f"{name} differs from PyTorch's"):
        optimizers.check(FEW, name, theirs)


def test_the_sizes_of_record_are_those_promised() -> None:
    promised = Size(batch=4, time=512, width=256, heads=4)
    long = Size(batch=1, time=8192, width=256, heads=4)
    goals = {
        (name, comparison.size, comparison.title): [side.goal for side in comparison.sides]
        for name in INSTALLED
        for comparison in suite(name).comparisons()
    }
    also_long = {"gated-deltanet", "attention-spans", "selective-scan"}
    for name in INSTALLED:
        sizes: set[Size | Numbers] = {promised, long} if name in also_long else {promised}
        if name == "optimizers":
            sizes = {Numbers(tensors=100, numbers=9_885_184)}
        if name == "token-clocks":
            sizes = set(token_clocks.SIZES)
        assert {size for other, size, _ in goals if other == name} == sizes
    assert {goal for sides in goals.values() for goal in sides} == {
        *(None, 1, 0.7, 1.4, 0.2, 0.91, 0.77, *token_clocks.GOALS.values())
    }


def test_a_suite_prints_its_surroundings_and_writes_its_numbers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    monkeypatch.setattr(transformer, "comparisons", lambda: ALL[:1])
    try:
        speed.measure_suite("transformer", rounds=1, threads=1, file=tmp_path / "numbers.json")
    finally:
        torch.set_num_threads(threads)
    printed = capsys.readouterr().out
    assert "1 threads on" in printed
    assert "a glance" in printed
    content = json.loads((tmp_path / "numbers.json").read_text())
    assert content["comparisons"][0]["sides"][1]["name"] == "compiled"
