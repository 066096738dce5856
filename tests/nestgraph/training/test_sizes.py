"""How far levels move and how large they are, against numbers taken by hand."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from nestgraph.api import reference
from nestgraph.language.spec import Spec, load
from nestgraph.reference.surprise import surprises
from nestgraph.training import compile
from nestgraph.training.batches import TrainingBatches
from nestgraph.training.callbacks import Metrics
from nestgraph.training.sizes import Sizes

STEPS = 20


class ByHand(L.Callback):
    """Copies of all parameters behind each step, and each step's batch."""

    def __init__(self) -> None:
        self.history: list[dict[str, torch.Tensor]] = []
        self.inputs: list[torch.Tensor] = []
        self.gradients: list[dict[str, torch.Tensor]] = []

    def _copy(self, module: Any) -> None:
        named = module.model.weights.named()
        self.history.append({name: p.detach().clone() for name, p in named.items()})

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._copy(pl_module)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._copy(pl_module)
        self.inputs.append(batch.clone())
        named = pl_module.model.weights.named()
        self.gradients.append({n: p.grad.clone() for n, p in named.items() if p.grad is not None})


def training_of(spec: Spec, tmp_path: Path):
    """Return a module that was trained, what was copied on the way, and the rows of its table."""
    module, by_hand, sizes = compile(spec), ByHand(), Sizes(spec.system)
    data = torch.arange(997) % 251
    windows = DataLoader(torch.randint(251, (2, 9)), batch_size=2)
    loader = TrainingBatches(bytes(data.tolist()), context=8, batch=3, steps=STEPS, seed=0)
    trainer = L.Trainer(
        max_steps=STEPS,
        callbacks=[by_hand, sizes, Metrics(tmp_path / "metrics.csv", sizes)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        val_check_interval=10,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, loader, windows)
    with (tmp_path / "metrics.csv").open(newline="") as file:
        return module, by_hand, list(csv.DictReader(file))


@pytest.fixture
def trained(spec: Spec, tmp_path: Path):
    """Return the small spec, trained."""
    return training_of(spec, tmp_path)


def norm(tensors: list[torch.Tensor]) -> float:
    return math.sqrt(sum(float(t.double().square().sum()) for t in tensors))


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_levels_on_steps_are_measured_at_their_ticks(trained) -> None:
    module, by_hand, rows = trained
    groups = {"step": [], "fast": [], "slow": []}
    for spec in module.model.weights.table:
        groups[spec.level].append(spec.name)
    # of the ticks at every, every second and every fifth step: each 10th, 5th and 2nd one
    ticks = {"step": [10, 20], "fast": [10, 20], "slow": [10, 20]}
    for level, names in groups.items():
        found = {int(r["step"]) for r in rows if r[f"update_norm/{level}"]}
        assert sorted(found) == ticks[level]
        for step in found:
            before, after = by_hand.history[step - 1], by_hand.history[step]
            row = rows[step - 1]
            moved = norm([after[name] - before[name] for name in names])
            assert float(row[f"update_norm/{level}"]) == pytest.approx(moved, rel=1e-9)
            size = norm([after[name] for name in names])
            assert float(row[f"state_norm/{level}"]) == pytest.approx(size, rel=1e-9)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_surprise_is_the_norm_of_the_mean_gradient_since_the_last_tick(trained) -> None:
    module, by_hand, rows = trained
    for level, period in {"step": 1, "fast": 2, "slow": 5}.items():
        names = [spec.name for spec in module.model.weights.table if spec.level == level]
        for step in (10, 20):
            seen = by_hand.gradients[step - period : step]
            means = [sum(one[name] for one in seen) / period for name in names if name in seen[-1]]
            assert means
            # gradients are in float32, and summed in another order
            surprise = float(rows[step - 1][f"surprise/{level}"])
            assert surprise == pytest.approx(norm(means), rel=1e-4)
        assert not rows[0][f"surprise/{level}"]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_levels_on_tokens_are_measured_over_a_training_sequence(trained) -> None:
    module, by_hand, rows = trained
    assert [int(r["step"]) for r in rows if r["update_norm/context"]] == [10, 20]
    for step in (10, 20):
        with torch.no_grad():  # the forward pass saw the parameters before the step's update
            for name, parameter in module.model.weights.named().items():
                parameter.copy_(by_hand.history[step - 1][name])
            state = module.model.flat_state(module(by_hand.inputs[step - 1][:, :-1]).state)
        start = by_hand.history[step - 1]["0.mix.C.W0"]
        last = state["0.mix.C.A0"]
        moved = torch.stack([(row - start).double().norm() for row in last]).mean()
        size = torch.stack([row.double().norm() for row in last]).mean()
        row = rows[step - 1]
        assert float(row["update_norm/context"]) == pytest.approx(float(moved), rel=1e-6)
        assert float(row["state_norm/context"]) == pytest.approx(float(size), rel=1e-6)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_the_surprise_of_a_level_that_learns_from_the_task_is_its_last_gradient(
    spec_file: Path, tmp_path: Path
) -> None:
    on_tokens = spec_file.read_text().replace("slow: 5 steps", "slow: 4 tokens")
    rate = 0.25
    rule = f"level: slow, objective: task, gradient: none, rule: {{rate: {rate}}}"
    spec_file.write_text(on_tokens.replace("level: slow, objective: task", rule))

    module, by_hand, rows = training_of(load(spec_file), tmp_path)

    assert not rows[0]["surprise/slow"]
    for step in (10, 20):
        with torch.no_grad():
            for name, parameter in module.model.weights.named().items():
                parameter.copy_(by_hand.history[step - 1][name])
            after = module.model.flat_state(module(by_hand.inputs[step - 1][:, :8]).state)
        start = by_hand.history[step - 1]["0.mix.S.W0"]
        # eight tokens hold one tick, and plain descent moves by the rate times the gradient
        squares = [((row - start).double() / rate).square().sum() for row in after["0.mix.S.A0"]]
        surprise = math.sqrt(sum(map(float, squares)) / len(squares))
        # differences of weights in float32
        assert float(rows[step - 1]["surprise/slow"]) == pytest.approx(surprise, rel=1e-4)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_memories_with_objectives_of_their_own_are_asked_at_validations(
    trained, spec: Spec
) -> None:
    _, by_hand, rows = trained
    assert [int(r["step"]) for r in rows if r["surprise/context"]] == [10, 20]
    for step in (10, 20):
        interpreter = reference(spec)
        with torch.no_grad():
            for name, parameter in interpreter.weights.named().items():
                parameter.copy_(by_hand.history[step][name])
        found = surprises(interpreter, by_hand.inputs[step - 1][:1, :8])
        # measured in float32
        surprise = float(rows[step - 1]["surprise/context"])
        assert surprise == pytest.approx(found["0.mix.C"], rel=1e-4)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_a_large_model_is_not_asked(
    spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nestgraph.training.surprise.MOST", 10)
    _, _, rows = training_of(spec, tmp_path)
    assert "surprise/context" not in rows[0]
    assert "surprise/step" in rows[0]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_nothing_is_left_on_the_model(trained) -> None:
    module, _, _ = trained
    assert not module.model._forward_hooks
