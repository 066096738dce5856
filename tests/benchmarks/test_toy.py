"""The toy of momentum and Delta Momentum: their ways are those of the formulas."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
import torch

from benchmarks import toy
from benchmarks.failure import BenchmarkError
from benchmarks.toy import NEAR, PARTS, SHOWN, best_path, path_of, walk

STEPS = 40


def by_hand(name: str, rate: float) -> list[tuple[float, float]]:
    """Return m <- 0.9 m + 0.1 g, without 0.1 (m . g) g if it erases; then the point moves by rate
    m.
    """
    r, theta = -3.5, 2.0
    m = (0.0, 0.0)
    found = [(r, theta)]
    for _ in range(STEPS):
        off = r - theta + 0.3 * math.sin(4 * r)
        slope = (2 * r + 10 * off * (1 + 1.2 * math.cos(4 * r)), -10 * off)
        norm = math.hypot(*slope)
        g = tuple(part / max(1, norm) for part in slope)
        answer = m[0] * g[0] + m[1] * g[1] if name == "delta momentum" else 0.0
        m = tuple(0.9 * old + 0.1 * (1 - answer) * part for old, part in zip(m, g, strict=True))
        r, theta = r - rate * m[0], theta - rate * m[1]
        found.append((r, theta))
    return found


@pytest.mark.parametrize("name", PARTS)
def test_the_way_is_that_of_the_formula(name: str) -> None:
    rate = random.uniform(0.01, 0.1)  # slow enough that a rounding error stays one
    way = path_of(name, rate, STEPS)
    expected = torch.tensor(by_hand(name, rate), dtype=torch.float64)
    torch.testing.assert_close(way.points, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(way.values, SHOWN.psi(expected), rtol=1e-5, atol=1e-6)


def test_at_their_best_rates_delta_momentum_arrives_first_and_at_the_same_rate_it_does_not() -> (
    None
):
    momentum, delta = (best_path(name) for name in PARTS)
    assert momentum.arrived
    assert delta.arrived
    assert delta.steps < momentum.steps
    assert delta.rate > momentum.rate
    assert all(path.values[-2] >= NEAR for path in (momentum, delta))
    assert path_of("momentum", 0.1).steps < path_of("delta momentum", 0.1).steps


def test_the_minimum_is_where_both_are_zero() -> None:
    assert SHOWN.psi(torch.zeros(3, 2)).tolist() == [0, 0, 0]
    assert (SHOWN.psi(torch.randn(100, 2)) > 0).all()


def test_every_rate_is_told_and_the_picture_is_the_same_each_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="`nestgraph[report]` is not installed")
    for name in ("one.svg", "two.svg"):
        assert walk(tmp_path / name) == 0
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    told = capsys.readouterr().out.partition("delta momentum")[2].split("\n")[0].split()
    assert told[4] == str(path_of("delta momentum", toy.RATES[4]).steps)
    with pytest.raises(BenchmarkError, match=r"ends with \.svg or \.png"):
        walk(tmp_path / "one.gif")


def test_other_constants_have_other_winners() -> None:
    momentum, delta = (best_path(name, toy.Valley(k=10, a=0.3, w=4)) for name in PARTS)
    assert momentum.arrived
    assert delta.arrived
    assert momentum.steps < delta.steps
