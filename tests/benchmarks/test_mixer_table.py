"""The table of all recurrent mixers, at a size that takes no time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from benchmarks import mixer_table, naive
from benchmarks.failure import BenchmarkError
from benchmarks.families import FAMILIES, chosen
from benchmarks.mixer_table import Cell, fill_mixers, measure, table
from benchmarks.obstacles import shares_of
from benchmarks.products import Shape, plain_seconds, products_of
from benchmarks.steps import Size, Step
from nestgraph.language import zoo

SMALL = Size(batch=2, time=8, width=16, heads=2)


def cell(name: str, share: float) -> Cell:
    return Cell(
        name=name,
        chunk=16,
        threads=1,
        tokens=100.0,
        attention=400.0,
        eager=10.0,
        naive=50.0,
        peak=2**20,
        share=share,
        gflops=1.0,
        obstacles="copies 60%",
    )


def test_a_mixer_is_measured_beside_attention_and_its_eager_reference() -> None:
    (family,) = chosen(("titans-lmm",))
    found = measure(family, 4, rounds=1, threads=1, size=SMALL)
    assert (found.name, found.chunk, found.naive) == ("titans-lmm", 4, 0)
    assert min(found.tokens, found.attention, found.eager, found.peak, found.share) > 0


def test_families_are_of_the_zoo_and_a_wrong_name_is_refused() -> None:
    known = {family.name for family in zoo.families()}
    assert {family.name for family in FAMILIES} <= known
    with pytest.raises(BenchmarkError, match="no mixer is called `titan`"):
        chosen(("titan",))


def test_obstacles_are_named_only_where_little_of_a_product_s_speed_is_reached() -> None:
    fast, slow = table([cell("deltanet", 0.5), cell("atlas", 0.1)]).splitlines()[2:]
    assert "copies" not in fast
    assert "0.25" in fast
    assert "copies 60%" in slow


def test_finished_rows_are_not_measured_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int] = []

    def note(family: object, chunk: int, **_: object) -> Cell:
        asked.append(chunk)
        return cell("dla", 0.5)

    monkeypatch.setattr(mixer_table, "measure", note)
    threads = torch.get_num_threads()
    try:
        for _ in range(2):
            fill_mixers(("dla",), rounds=1, threads=1, out=tmp_path, table_only=False)
    finally:
        torch.set_num_threads(threads)
    assert asked == [16, 64, 64]  # the row of 64 was recorded as one of 16
    assert "`dla`" in capsys.readouterr().out


def test_products_are_counted_with_those_of_the_backward() -> None:
    x, w = torch.randn(3, 4, requires_grad=True), torch.randn(4, 5, requires_grad=True)
    found = products_of(Step(lambda: x @ w, [x, w]))
    assert found == Counter([Shape(1, 3, 4, 5), Shape(1, 3, 5, 4), Shape(1, 4, 3, 5)])
    assert plain_seconds(found) > 0


def test_a_profile_tells_products_from_the_rest() -> None:
    x = torch.randn(300, 300, requires_grad=True)
    shares = shares_of(Step(lambda: (x @ x).exp(), [x]))
    assert {"products", "elementwise"} <= shares.keys()
    assert sum(shares.values()) == pytest.approx(1)


def test_without_the_package_there_is_no_naive_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naive, "find_spec", lambda name: None)
    assert naive.step("deltanet", SMALL) is None
