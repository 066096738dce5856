"""What each of several processes does: `python processes.py RANK FOLDER NAME...`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from problems import short
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from nestgraph.compiler.optimizers import compile_optimizer

PROCESSES = 2


def model() -> nn.Module:
    """Return the same first weights in every process."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()


def train(network: nn.Module, name: str, rows: Tensor, targets: Tensor) -> None:
    """Take steps on (steps, rows, channels), clipped, at a rate that falls."""
    inner = network.module if isinstance(network, DistributedDataParallel) else network
    optimizer = compile_optimizer(short(name).system).for_module(inner, lr=0.01)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.5)
    for x, y in zip(rows, targets, strict=True):
        optimizer.zero_grad()
        (network(x) - y).square().mean().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimizer.step()
        schedule.step()


def work(rank: int, names: list[str], folder: Path) -> None:
    """Be one of the processes: train on its share of the rows, and leave its weights."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=PROCESSES
    )
    rows, targets = torch.load(folder / "rows.pt")
    for name in names:
        network = DistributedDataParallel(model())
        train(network, name, rows.chunk(PROCESSES, 1)[rank], targets.chunk(PROCESSES, 1)[rank])
        torch.save(network.module.state_dict(), folder / f"{name}-{rank}.pt")
    distributed.barrier()  # neither hangs up while the other still reads
    distributed.destroy_process_group()


if __name__ == "__main__":
    work(int(sys.argv[1]), sys.argv[3:], Path(sys.argv[2]))
    # The weights are on disk. gloo's threads outlive the group, and now and then one of them
    # aborts a process whose interpreter is being torn down ("terminate called ...").
    os._exit(0)
