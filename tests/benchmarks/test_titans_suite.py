"""The comparison with titans-pytorch, which is not installed with the project."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from benchmarks.failure import BenchmarkError
from benchmarks.mixers import same_numbers
from benchmarks.steps import Size
from benchmarks.suites import titans_lmm


def test_without_the_package_the_suite_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(titans_lmm, "find_spec", lambda name: None)
    with pytest.raises(BenchmarkError, match="pip install titans-pytorch"):
        titans_lmm.comparisons()


@pytest.mark.skipif(find_spec(titans_lmm.PACKAGE) is None, reason="needs titans-pytorch")
@pytest.mark.parametrize("heads", [1, 2])
def test_both_sides_compute_the_same(heads: int) -> None:
    size = Size(batch=2, time=16, width=16, heads=heads)
    mine, theirs = titans_lmm.our_step(size, 4), titans_lmm.their_step(size, 4)
    assert "same numbers" in same_numbers(mine, theirs)
