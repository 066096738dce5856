"""What is said where others want the cores."""

from __future__ import annotations

import os

import pytest
import torch

from nestgraph.training.crowd import advice, crowd


@pytest.mark.parametrize(
    ("load", "cores", "threads", "fewer"),
    [
        (0.0, 2, 2, None),
        (0.6, 2, 2, None),
        (0.8, 2, 2, 1),
        (5.0, 2, 2, 1),
        (5.0, 2, 1, None),
        (3.2, 16, 16, 13),
        (3.2, 16, 13, None),
        (1.0, 1, 1, None),
    ],
)
def test_fewer_threads_are_advised_where_others_hold_their_cores(
    load: float, cores: int, threads: int, fewer: int | None
) -> None:
    said = advice(load, cores, threads)
    assert said is None if fewer is None else f"OMP_NUM_THREADS={fewer} " in (said or "")


def test_the_machine_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(os, "getloadavg", lambda: (2.0, 0.0, 0.0), raising=False)
    assert "others keep 2.0 of 4 cores busy" in (crowd() or "")
    monkeypatch.setattr(os, "getloadavg", lambda: (0.1, 9.0, 9.0), raising=False)
    assert crowd() is None
