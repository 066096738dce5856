"""What each of two processes does under Lightning: `RANK`, `PORT`... `python ranks.py FOLDER`.

Each trains on its share of the batches that lie in the folder, validates on its share of the
others, and leaves its weights and metrics.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import torch
from lightning.pytorch.strategies import DDPStrategy
from trainers import Loader, trainer

from nestgraph.language.spec import load
from nestgraph.training import compile

RANKS = 2


def work(folder: Path) -> None:
    """Be one of the processes."""
    torch.set_num_threads(1)
    rank = int(os.environ["LOCAL_RANK"])
    given = torch.load(folder / "batches.pt")
    module = compile(load(folder / "small.yaml", set=given["set"])).double()
    own = trainer(
        given["steps"],
        folder,
        devices=RANKS,
        strategy=DDPStrategy(process_group_backend="gloo"),
        use_distributed_sampler=False,
        accumulate_grad_batches=given["every"],
        limit_val_batches=1.0,
    )
    own.fit(module, Loader(given["train"][rank]), Loader(given["validation"][rank]))
    found = {name: own.callback_metrics[name].item() for name in ("train_loss", "val_loss")}
    own.strategy.barrier()
    torch.save({"weights": module.state_dict(), **found}, folder / f"{rank}.pt")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    work(Path(sys.argv[1]))
    os._exit(0)  # gloo's threads now and then abort a process that is being torn down
