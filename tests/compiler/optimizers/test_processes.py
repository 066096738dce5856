"""Several processes that train one model take the steps of one process on all their rows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch
from processes import PROCESSES, model, train

STEPS, ROWS = 7, 6


def test_two_processes_hold_the_weights_of_one(tmp_path: Path) -> None:
    names = ["adamw", "muon", "m3-ema", "dgd"]
    rows = torch.randn(STEPS, ROWS, 4, dtype=torch.float64)
    targets = torch.randn(STEPS, ROWS, 3, dtype=torch.float64)
    torch.save((rows, targets), tmp_path / "rows.pt")

    here = Path(__file__)
    own = {"PYTHONPATH": str(here.parents[3]), "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(
            [sys.executable, here.with_name("processes.py"), str(rank), tmp_path, *names],
            env=os.environ | own,
            stderr=subprocess.PIPE,
        )
        for rank in range(PROCESSES)
    ]
    for process in running:
        said = process.communicate(timeout=300)[1].decode()
        assert process.returncode == 0, said

    for name in names:
        alone = model()
        train(alone, name, rows, targets)
        first, second = (torch.load(tmp_path / f"{name}-{rank}.pt") for rank in range(PROCESSES))
        for key, weight in alone.state_dict().items():
            assert torch.equal(first[key], second[key]), (name, key)
            torch.testing.assert_close(first[key], weight, rtol=1e-7, atol=1e-9)
