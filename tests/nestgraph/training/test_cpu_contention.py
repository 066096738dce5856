"""What is said where others want the cores."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import torch

from nestgraph.training.cpu_contention import advice, crowd


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


def test_the_machine_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    counts = tmp_path / "stat"
    counts.write_text("cpu 10 0 5 100 5 0 0 0 7 7\ncpu0 1 2 3\n")
    after: list[str] = []  # what the kernel says behind the look
    monkeypatch.setattr(time, "sleep", lambda _: counts.write_text(after[0]))
    monkeypatch.setattr("nestgraph.training.cpu_contention.COUNTS", counts)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(os, "getloadavg", lambda: (2.0, 0.0, 0.0), raising=False)
    after[:] = ["cpu 40 0 15 130 15 0 0 0 9 9\n"]  # 40 of 80 hundredths
    assert "others keep 2.0 of 4 cores busy" in (crowd() or "")
    after[:] = ["cpu 40 0 15 500 15 0 0 0 9 9\n"]  # what was busy is over
    assert crowd() is None
    monkeypatch.setattr(os, "getloadavg", lambda: (0.1, 9.0, 9.0), raising=False)
    after[:] = ["cpu 900 0 0 0 0 0 0 0\n"]
    assert crowd() is None


def test_a_machine_that_does_not_say_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("nestgraph.training.cpu_contention.COUNTS", tmp_path / "none")
    assert crowd() is None
