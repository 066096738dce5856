"""Means over tokens: batches that are accumulated, and processes, count by their tokens."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks import RANKS
from torch import Tensor
from torch.nn import functional as F
from trainers import Batch, Loader, trainer

from nestgraph.language.spec import Spec, load
from nestgraph.training import NestModule, compile

# Lightning's own use of PyTorch's tree functions.
pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")


def ragged(rows: int, *, columns: int = 9) -> Tensor:
    """Return tokens whose rows end anywhere behind the second."""
    batch = torch.randint(256, (rows, columns))
    for row, end in zip(batch, torch.randint(2, columns + 1, (rows,)).tolist(), strict=True):
        row[end:] = -1
    return batch


def unread(batch: Tensor) -> tuple[Tensor, Tensor]:
    """Full inputs with no target at all."""
    return batch[:, :-1].clamp(min=0), torch.full_like(batch[:, 1:], -1)


def after(spec: Spec, data: list[Batch], steps: int, folder: Path, **settings: Any) -> NestModule:
    module = compile(spec).double()
    trainer(steps, folder, **settings).fit(module, Loader(data), Loader(data[:1]))
    return module


def assert_near(ours: NestModule, theirs: NestModule) -> None:
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("settings", [{}, {"gradient_clip_val": 0.02}])
def test_accumulated_batches_of_unequal_rows_are_one_large_batch(
    spec: Spec, tmp_path: Path, settings: dict[str, Any]
) -> None:
    windows = [ragged(8) for _ in range(5)]
    parts: list[Batch] = [part for rows in windows for part in rows.split((3, 1, 4))]

    ours = after(spec, parts, 5, tmp_path, accumulate_grad_batches=3, **settings)

    assert_near(ours, after(spec, list(windows), 5, tmp_path, **settings))


def test_the_last_window_of_an_epoch_may_have_fewer_batches(spec: Spec, tmp_path: Path) -> None:
    one, two = ragged(6), ragged(2)

    ours = after(spec, [*one.split(2), two], 4, tmp_path, accumulate_grad_batches=3, max_epochs=2)

    assert_near(ours, after(spec, [one, two], 4, tmp_path, max_epochs=2))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_batch_without_targets_counts_nothing(spec: Spec, tmp_path: Path, place: int) -> None:
    rows = ragged(6)
    parts: list[Batch] = list(rows.split(3))
    parts.insert(place, unread(rows[:3]))

    ours = after(spec, parts, 1, tmp_path, accumulate_grad_batches=3)

    assert_near(ours, after(spec, [rows], 1, tmp_path))


@pytest.mark.parametrize("horizon", [False, True])
def test_a_batch_without_targets_has_loss_nought_and_no_slope(
    spec_file: Path, tmp_path: Path, horizon: bool
) -> None:
    spec = load("hope-online" if horizon else spec_file)
    module = compile(spec)

    loss, _ = module.model.loss(*unread(torch.randint(256, (2, 9))))  # type: ignore[operator]
    loss.backward()

    assert loss.item() == 0
    assert all(p.grad is None or not p.grad.any() for p in module.parameters())


def test_full_rows_train_bit_for_bit_as_lightning_accumulates(spec: Spec, tmp_path: Path) -> None:
    data = [torch.randint(256, (3, 9)) for _ in range(6)]
    ours, plain = compile(spec), compile(spec)
    plain._count = lambda targets, loss: loss  # type: ignore[method-assign]

    for module in (ours, plain):
        trainer(2, tmp_path, accumulate_grad_batches=3).fit(module, Loader(data), Loader(data[:1]))

    for name, value in plain.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name


def test_what_a_stopped_training_had_gathered_is_no_part_of_the_next(
    spec: Spec, tmp_path: Path
) -> None:
    module, rows = compile(spec).double(), ragged(6)
    module.backward(module.model.loss(rows[:, :-1], rows[:, 1:])[0])  # type: ignore[operator]
    module._window.weight(1000, 1000.0)

    trainer(1, tmp_path).fit(module, Loader([rows]), Loader([rows]))

    assert_near(module, after(spec, [rows], 1, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "dgd"])
def test_two_processes_train_and_validate_as_one_on_all_tokens(
    spec_file: Path, tmp_path: Path, optimizer: str
) -> None:
    changes = {"training.optimizer": optimizer}
    spec = load(spec_file, set=changes)
    steps, every = 3, 2
    windows = [ragged(9) for _ in range(steps)]
    if optimizer == "dgd":  # what its maps are fed counts by positions, padded ones too
        windows = [window.clamp(min=0) for window in windows]
    shares = [[part for rows in windows for part in rows.split((1, 4, 3, 1))[r::2]] for r in (0, 1)]
    checks = [[ragged(3), ragged(1)], [ragged(5)]]
    given = {"steps": steps, "every": every, "train": shares, "validation": checks, "set": changes}
    torch.save(given, tmp_path / "batches.pt")
    assert spec_file == tmp_path / "small.yaml"

    alone = after(spec, list(windows), steps, tmp_path)

    first, second = in_processes(tmp_path)
    for name, value in alone.state_dict().items():
        assert torch.equal(first["weights"][name], second["weights"][name]), name
        torch.testing.assert_close(first["weights"][name], value, rtol=1e-9, atol=1e-11)
    everything = [batch for share in checks for batch in share]
    nats, tokens = torch.stack([losses(alone, batch) for batch in everything]).sum(0).tolist()
    assert first["val_loss"] == second["val_loss"] == pytest.approx(nats / tokens, rel=1e-9)
    assert first["train_loss"] == second["train_loss"]


def losses(module: NestModule, batch: Tensor) -> Tensor:
    """Sum of the losses of a batch, and its tokens."""
    logits = module(batch[:, :-1]).logits.flatten(0, 1)
    targets = batch[:, 1:].flatten()
    total = F.cross_entropy(logits, targets, ignore_index=-1, reduction="sum")
    return torch.stack([total.detach(), (targets >= 0).sum()])


def in_processes(folder: Path) -> list[dict[str, Any]]:
    """Return what two processes under Lightning leave."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "NODE_RANK": "0",
        "WORLD_SIZE": str(RANKS),
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, str(Path(__file__).with_name("ranks.py")), str(folder)]
    running = [
        subprocess.Popen(
            command,
            env=os.environ | own | {"LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        for rank in range(RANKS)
    ]
    for process in running:
        said = process.communicate(timeout=300)[1].decode()
        assert process.returncode == 0, said
    return [torch.load(folder / f"{rank}.pt") for rank in range(RANKS)]
