"""Training with optimizers of the zoo and with one that a model writes out itself."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from nestgraph.compiler.optimizers import NestedOptimizer
from nestgraph.language import zoo
from nestgraph.language.spec import Spec, load
from nestgraph.training import compile
from nestgraph.training.batches import TrainingBatches

# Lightning's own use of PyTorch's tree functions.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory:UserWarning"),
]

STEPS, STOP = 10, 5
TEXT = bytes(range(256)) * 3

# The memory inside the optimizer ticks at 4 and 8, so that a stop at 5 lies between its ticks.
INLINE = """\
  optimizer:
    levels: {late: 4 steps}
    blocks:
      two_speeds:
        inputs: [grad, lr]
        memories:
          fast: {net: vector, level: step, values: grad, objective: l2, rule: {rate: 0.1}, init: zero}
          slow: {net: vector, level: late, values: chunk, objective: l2, rule: {rate: 0.5}, init: zero}
          param: {net: vector, level: step, objective: {kind: task, through: u}, rule: {rate: lr}, init: given}
        nodes:
          chunk: {op: pool, in: grad, level: late, how: mean}
          now: {read: fast}
          before: {read: slow, at: boundary}
          both: {op: sum, in: [now, before]}
          u: {op: l2_norm, in: both, over: all}
    optimizer:
      - {for: all, block: two_speeds}
"""  # noqa: E501 - YAML
NAMES = ("muon", "m3-ema", "delta-momentum", "dmgd", "dgd")


def spec_with(optimizer: str, spec_file: Path) -> Spec:
    """Return the small model with an optimizer by name, its slow clocks made fast, or with its
    own.
    """
    text = spec_file.read_text()
    if optimizer == "inline":
        head, _, settings = text.partition("training: {")
        lines = [f"  {part.strip()}" for part in settings.rstrip("}\n").split(",")]
        spec_file.write_text(f"{head}training:\n" + "\n".join(lines) + f"\n{INLINE}")
        return load(spec_file)
    slow = {"extends": optimizer, "vars": {"period": 4}}
    given: Any = slow if optimizer == "m3-ema" else optimizer
    return load(spec_file, {"training.optimizer": given})


class Watch(L.Callback):
    """Keeps the optimizer, which a Trainer forgets when it is done."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.optimizer: NestedOptimizer = pl_module.optimizers(use_pl_optimizer=False)


def run(
    spec: Spec, folder: Path, steps: int, start: Path | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return parameters and the optimizer's state after some steps with small gradients."""
    module, watch = compile(spec), Watch()
    keeper = ModelCheckpoint(folder, filename="stop", every_n_train_steps=STOP, save_top_k=-1)
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=steps,
        default_root_dir=folder,
        callbacks=[keeper, watch],
        gradient_clip_val=0.05,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        logger=False,
    )
    batches = TrainingBatches(TEXT, context=8, batch=3, steps=STEPS, seed=1)
    trainer.fit(module, batches, batches, ckpt_path=start, weights_only=True)
    state = copy.deepcopy(watch.optimizer.state_dict())
    return {name: x.clone() for name, x in module.state_dict().items()}, state


@pytest.mark.parametrize("optimizer", [*NAMES, "inline"])
def test_a_training_goes_on_to_the_last_bit_with_any_optimizer(
    optimizer: str, spec_file: Path, tmp_path: Path
) -> None:
    spec = spec_with(optimizer, spec_file)
    first = {name: x.clone() for name, x in compile(spec).state_dict().items()}

    unbroken, state = run(spec, tmp_path / "unbroken", STEPS)
    run(spec, tmp_path / "broken", STOP)
    resumed, taken_up = run(spec, tmp_path / "broken", STEPS, tmp_path / "broken" / "stop.ckpt")

    assert not any(torch.equal(unbroken[name], x) for name, x in first.items())
    assert all(x.isfinite().all() for x in unbroken.values())
    assert all(torch.equal(resumed[name], x) for name, x in unbroken.items())
    assert taken_up["param_groups"] == state["param_groups"]
    assert taken_up["state"].keys() == state["state"].keys()
    for place, held in state["state"].items():
        assert taken_up["state"][place].keys() == held.keys()
        for name, value in held.items():
            torch.testing.assert_close(taken_up["state"][place][name], value, rtol=0, atol=0)


HORIZON = """\
nestgraph: 1
name: reader
levels: {fast: 4 tokens}
blocks:
  b:
    memories:
      F: {net: {kind: mlp, layers: 2}, level: fast, objective: task, rule: {rate: 0.1}, gradient: first_order}
    nodes:
      u: {op: rms_norm, in: x}
      k: {op: linear, in: u}
      f: {read: F, query: k}
      out: {op: sum, in: [x, f]}
model:
  embed: {vocab: 256, width: 8}
  stack: [{block: b}]
  horizon: fast
training: {optimizer: dgd, warmup: 1, steps: 9}
"""  # noqa: E501 - YAML


def one_step(spec: Spec) -> NestedOptimizer:
    """Return an optimizer behind its first step, on 16 tokens."""
    module: Any = compile(spec)
    optimizer: Any = module.configure_optimizers()
    found: NestedOptimizer = optimizer["optimizer"]
    tokens = torch.randint(0, 250, (1, 17))
    module.model.loss(tokens[:, :-1], tokens[:, 1:])[0].backward()
    found.step()
    return found


def test_what_linear_maps_of_a_model_with_a_horizon_are_fed_is_noted() -> None:
    optimizer = one_step(Spec.from_sources({"f": HORIZON}, "f", {}))

    assert optimizer.needs_inputs
    assert not optimizer.capture.sums


def test_inputs_of_a_map_without_a_gradient_are_not_kept_for_a_later_step() -> None:
    # Its slow memories never tick within 16 tokens, so that their values meet no loss.
    assert not one_step(load("cms-local-tiny", {"training.optimizer": "dgd"})).capture.sums


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in zoo.names() if name.endswith("-tiny")])
def test_all_linear_maps_of_models_that_ship_are_fed_where_they_can_be_watched(name: str) -> None:
    one_step(load(name, {"training.optimizer": "dgd"}))
