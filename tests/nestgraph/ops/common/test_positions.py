"""Positions count from 1, absolutely or from each tick."""

from __future__ import annotations

import torch

from nestgraph.ops import position


def test_positions_count_from_one():
    x = torch.zeros(2, 4, 7, dtype=torch.float64)
    assert position(x, 0).tolist() == [[[1.0], [2.0], [3.0], [4.0]]] * 2
    assert position(x, 10)[0, :, 0].tolist() == [11.0, 12.0, 13.0, 14.0]


def test_positions_restart_after_each_period():
    x = torch.zeros(1, 6, 1)
    assert position(x, 2, period=4)[0, :, 0].tolist() == [3.0, 4.0, 1.0, 2.0, 3.0, 4.0]
