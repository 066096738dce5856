"""The LightningModule under a Trainer of the user's own, and how it writes."""

from __future__ import annotations

import contextlib
import io
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor
from torch.nn import functional as F
from trainers import Loader, trainer

from nestgraph.errors import InputError
from nestgraph.language.spec import Spec, load
from nestgraph.training import NestModule, compile, load_run
from nestgraph.training.batches import TrainingBatches
from nestgraph.training.module import inputs_and_targets
from nestgraph.training.optimizer import build_optimizer, build_schedule, learning_rate

# Lightning's own use of PyTorch's tree functions.
pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")


TEXT = bytes(random.randrange(256) for _ in range(200))


def batches(count: int) -> list[Tensor]:
    return [torch.randint(256, (3, 9)) for _ in range(count)]


def fit(module: NestModule, data: list[Tensor], folder: Path, **settings: Any) -> None:
    steps = len(data) // settings.get("accumulate_grad_batches", 1)
    trainer(steps, folder, **settings).fit(module, Loader(data), Loader(data[:1]))


def weights(module: NestModule) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def train_by_hand(module: NestModule, data: list[Tensor], clip: float, every: int = 1) -> None:
    """Do what the Trainer should do, written out."""
    training = module.spec.system.training
    model: Any = module.model
    named = model.weights.named()
    pairs = [(spec, named[spec.name]) for spec in model.weights.table]
    optimizer = build_optimizer(pairs, training)
    schedule = build_schedule(optimizer, training)
    for start in range(0, len(data), every):
        optimizer.zero_grad()
        for batch in data[start : start + every]:
            logits = module(batch[:, :-1]).logits
            loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
            (loss / every).backward()
        if clip:
            everything = [p for group in optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(everything, clip)
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize(
    ("settings", "clip", "every"),
    [
        ({}, 1.0, 1),
        ({"gradient_clip_val": 0.05}, 0.05, 1),
        ({"gradient_clip_val": 0.0}, 0.0, 1),
        ({"accumulate_grad_batches": 2, "gradient_clip_val": 0.02}, 0.02, 2),
    ],
)
def test_a_trainer_does_what_a_loop_written_out_does(
    spec: Spec, tmp_path: Path, settings: dict[str, Any], clip: float, every: int
) -> None:
    data = batches(12)
    module, twin = compile(spec), compile(spec)

    fit(module, data, tmp_path, **settings)
    train_by_hand(twin, data, clip, every)

    for name, value in twin.state_dict().items():
        assert torch.equal(module.state_dict()[name], value), name


def test_slow_groups_move_at_their_ticks_only(spec: Spec, tmp_path: Path) -> None:
    module = compile(spec)
    history: list[dict[str, Tensor]] = [weights(module)]

    class Watch(L.Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *rest: Any) -> None:
            history.append(weights(pl_module))

    fit(module, batches(12), tmp_path, callbacks=[Watch()])

    moved = {
        name: [
            step
            for step in range(1, 13)
            if not torch.equal(history[step][name], history[step - 1][name])
        ]
        for name in history[0]
    }
    every = {1: list(range(1, 13)), 2: [2, 4, 6, 8, 10, 12], 5: [5, 10]}
    periods = {"F.W0": 2, "F.W1": 2, "S.W0": 5}
    for name, steps in moved.items():
        period = periods.get(".".join(name.split(".")[-2:]), 1)
        assert steps == every[period], name
    counts = {"step": 12, "fast": 6, "slow": 2, "context": 12 * ((8 - 1) // 3)}
    rate = learning_rate(spec.system.training, 11)
    assert module.level_metrics() == {
        **{f"updates/{level}": count for level, count in counts.items()},
        **{f"lr/{level}": pytest.approx(rate) for level in ("step", "fast", "slow")},
        "skipped_steps": 0,
    }


def test_levels_and_losses_are_among_the_logged_metrics(spec: Spec, tmp_path: Path) -> None:
    logger = L.pytorch.loggers.CSVLogger(tmp_path)
    own = {"logger": logger, "log_every_n_steps": 2, "limit_val_batches": 1}

    fit(compile(spec), batches(4), tmp_path, **own)

    logger.save()
    header, *rows = Path(logger.log_dir, "metrics.csv").read_text().splitlines()
    names = header.split(",")
    assert {"train_loss", "val_loss", "val_bits_per_byte"} <= set(names)
    assert {f"updates/{level}" for level in ("step", "fast", "slow", "context")} <= set(names)
    assert {f"lr/{level}" for level in ("step", "fast", "slow")} <= set(names)
    counts = [row.split(",")[names.index("updates/fast")] for row in rows]
    assert [float(count) for count in counts if count] == [1, 2]


@pytest.mark.filterwarnings("ignore:Checkpoint directory:UserWarning")
def test_a_users_own_trainer_saves_checkpoints_that_open_alone_and_resume(
    spec: Spec, tmp_path: Path
) -> None:
    def loader() -> TrainingBatches:
        return TrainingBatches(TEXT, context=8, batch=3, steps=12, seed=1)

    def run(steps: int, folder: str, start: Path | None = None) -> NestModule:
        module = compile(spec)
        keeper = ModelCheckpoint(tmp_path / folder, filename="x", every_n_train_steps=7)
        own = trainer(steps, tmp_path, callbacks=[keeper], enable_checkpointing=True)
        validation = Loader(batches(1))
        own.fit(module, loader(), validation, ckpt_path=start, weights_only=True)
        return module

    unbroken = run(12, "unbroken")
    run(7, "broken")
    opened = load_run(tmp_path / "broken" / "x.ckpt")
    resumed = run(12, "broken", tmp_path / "broken" / "x.ckpt")

    assert opened.spec.system == spec.system
    for name, value in unbroken.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


class Wrapped(NestModule):
    """A subclass that takes more, and keeps it as Lightning does."""

    def __init__(self, model: Any, spec: Spec, extra: int = 1) -> None:
        super().__init__(model, spec)
        self.save_hyperparameters("extra")
        self.extra = extra


@pytest.mark.filterwarnings("ignore:Checkpoint directory:UserWarning")
@pytest.mark.parametrize("kind", [NestModule, Wrapped])
def test_a_checkpoint_of_any_trainer_opens_by_lightnings_own_means(
    spec: Spec, tmp_path: Path, kind: type[NestModule]
) -> None:
    own: dict[str, Any] = {"extra": 7} if kind is Wrapped else {}
    module = kind(compile(spec).model, spec, **own)
    keeper = ModelCheckpoint(tmp_path, filename="x")
    fit(module, batches(4), tmp_path, callbacks=[keeper], enable_checkpointing=True)

    opened = kind.load_from_checkpoint(tmp_path / "x.ckpt", map_location="cpu")

    assert type(opened) is kind
    assert opened.spec.system == spec.system
    assert getattr(opened, "extra", None) == own.get("extra")
    for name, value in weights(module).items():
        assert torch.equal(opened.state_dict()[name], value), name


def test_what_is_no_checkpoint_of_ours_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"no")

    with pytest.raises(InputError, match=r"NG712 .*last\.ckpt"):
        NestModule.load_from_checkpoint(tmp_path)
    with pytest.raises(InputError, match="NG711 there is no run"):
        NestModule.load_from_checkpoint(tmp_path / "x.ckpt")
    with pytest.raises(InputError, match=r"NG733 .* takes the path"):
        NestModule.load_from_checkpoint(io.BytesIO())
    with pytest.raises(InputError, match=r"NG733 .* holds its own spec"):
        NestModule.load_from_checkpoint(tmp_path / "last.ckpt", hparams_file="h.yaml")


def test_validation_is_the_mean_over_all_tokens_of_windows_of_any_size(
    spec: Spec, tmp_path: Path
) -> None:
    module = compile(spec)
    data = [torch.randint(256, shape) for shape in ((3, 9), (1, 4), (5, 2))]

    (result,) = trainer(0, tmp_path, limit_val_batches=3).validate(
        module, Loader(data), verbose=False
    )

    losses = [
        F.cross_entropy(module(row[:, :-1]).logits.flatten(0, 1), row[:, 1:].flatten()).item()
        * row[:, 1:].numel()
        for row in data
    ]
    mean = sum(losses) / (24 + 3 + 5)
    assert result["val_loss"] == pytest.approx(mean, rel=1e-6)
    assert result["val_bits_per_byte"] == pytest.approx(mean / math.log(2), rel=1e-6)


def test_a_test_is_the_mean_over_all_tokens_too(spec: Spec, tmp_path: Path) -> None:
    module = compile(spec)
    data = [torch.randint(256, (3, 9)), torch.randint(256, (1, 4))]
    own = trainer(0, tmp_path, limit_val_batches=2)

    (tested,) = own.test(module, Loader(data), verbose=False)
    (validated,) = own.validate(module, Loader(data), verbose=False)

    assert tested == {
        "test_loss": validated["val_loss"],
        "test_bits_per_byte": validated["val_bits_per_byte"],
    }


def test_predictions_of_tokens_and_of_pairs_are_scores_behind_each_token(
    spec: Spec, tmp_path: Path
) -> None:
    module, tokens = compile(spec).eval(), torch.randint(256, (2, 5))
    data = [tokens, [tokens.int()], [tokens, tokens]]

    found = trainer(0, tmp_path).predict(module, Loader(data))

    assert found is not None
    assert len(found) == 3
    for output in found:
        torch.testing.assert_close(output.logits, module(tokens).logits)


def spoilt(spec: Spec, bad: Callable[[int], bool]) -> NestModule:
    """Return a module the slope of whose loss is no number at some batches."""
    module = compile(spec)
    original = module.training_step

    def step(batch: Any, batch_idx: int) -> Tensor:
        loss = original(batch, batch_idx)
        return loss * torch.nan if bad(batch_idx) else loss

    module.training_step = step  # type: ignore[method-assign]
    return module


def test_too_many_bad_gradients_in_a_row_end_any_trainer(spec_file: Path, tmp_path: Path) -> None:
    module = spoilt(
        load(spec_file, set={"training.bad_steps": 3}), lambda batch: batch == 1 or batch > 3
    )
    kept: list[dict[str, Tensor]] = []

    class Keep(L.Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *rest: Any) -> None:
            kept.append(weights(pl_module))

    with pytest.raises(InputError, match=r"NG732 .* 3 steps in a row, up to step 7; the weights"):
        fit(module, batches(12), tmp_path, callbacks=[Keep()])

    assert module.skipped == 4
    for name, value in kept[3].items():
        assert torch.equal(module.state_dict()[name], value), name
    fit(module, batches(3), tmp_path)  # a new training counts anew


class Scaled(MixedPrecision):
    """A gradient scaler under full precision: it leaves out steps whose slope is no number."""

    def __init__(self) -> None:
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=3)
        super().__init__("16-mixed", "cpu", scaler)

    def autocast_context_manager(self) -> Any:
        return contextlib.nullcontext()


@pytest.mark.parametrize("optimizer", ["adamw", "dgd"])
def test_a_step_that_a_scaler_leaves_out_takes_no_other_with_it(
    spec_file: Path, tmp_path: Path, optimizer: str
) -> None:
    spec, data = load(spec_file, set={"training.optimizer": optimizer}), batches(8)
    bad = {2, 3, 6}
    module, twin = spoilt(spec, bad.__contains__), spoilt(spec, bad.__contains__)

    fit(module, data, tmp_path, plugins=[Scaled()])

    fit(twin, data, tmp_path)
    for name, value in twin.state_dict().items():
        assert torch.equal(module.state_dict()[name], value), name
    counts = module.level_metrics()
    assert counts["skipped_steps"] == 3
    assert counts["updates/step"] == 5
    assert counts["updates/fast"] == 2


def test_it_learns(spec_file: Path, tmp_path: Path) -> None:
    spec = load(spec_file, set={"training.steps": 60})
    rhyme = torch.tensor(list(b"round and round and "))[None, :9].repeat(3, 1)
    module = compile(spec)
    before = F.cross_entropy(module(rhyme[:, :-1]).logits.flatten(0, 1), rhyme[:, 1:].flatten())

    fit(module, [rhyme] * 60, tmp_path)

    after = F.cross_entropy(module(rhyme[:, :-1]).logits.flatten(0, 1), rhyme[:, 1:].flatten())
    assert after < before / 4


def test_a_batch_may_be_windows_or_pairs() -> None:
    window = torch.randint(256, (2, 5))
    inputs, targets = window[:, :-1], window[:, 1:]

    for batch in (window, window.byte(), [window], (inputs, targets), [inputs.int(), targets]):
        ours = inputs_and_targets(batch)
        assert torch.equal(ours[0], inputs)
        assert torch.equal(ours[1], targets)
        assert ours[0].dtype == ours[1].dtype == torch.int64


@pytest.mark.parametrize(
    "batch",
    [
        torch.zeros(3),
        torch.zeros(3, 1),
        [torch.zeros(2, 3), torch.zeros(2, 4)],
        [torch.zeros(2, 3)] * 3,
        {"text": 1},
    ],
)
def test_other_batches_are_refused_with_their_shape(batch: Any) -> None:
    with pytest.raises(TypeError, match=r"can't be trained on: give tokens \(rows, time \+ 1\)"):
        inputs_and_targets(batch)


def test_the_seed_of_the_spec_chooses_the_first_weights(spec_file: Path) -> None:
    seven = load(spec_file, set={"training.seed": 7})

    assert torch.equal(
        compile(seven).state_dict()["model.weights.embed.weight"],
        compile(load(spec_file), seed=7).state_dict()["model.weights.embed.weight"],
    )


def test_writing_token_by_token_is_the_same_as_asking_for_the_whole_each_time(spec: Spec) -> None:
    module = compile(spec)
    prompt = torch.randint(256, (2, 5))

    written = module.generate(prompt, 12, temperature=0)

    text = prompt
    for _ in range(12):
        following = module(text).logits[:, -1].argmax(-1, keepdim=True)
        text = torch.cat([text, following], dim=1)
    assert torch.equal(written, text[:, 5:])


def test_writing_feeds_one_token_at_a_time(spec: Spec) -> None:
    module = compile(spec)
    fed: list[int] = []
    module.model.register_forward_pre_hook(lambda _, args: fed.append(args[0].shape[1]))

    module.generate(torch.randint(256, (5,)), 4)

    assert fed == [5, 1, 1, 1]


def test_a_generator_makes_writing_repeatable(spec: Spec) -> None:
    module = compile(spec)

    def write(seed: int) -> list[list[int]]:
        source = torch.Generator().manual_seed(seed)
        return module.generate(torch.tensor([65]), 30, top_k=50, generator=source).tolist()

    assert write(1) == write(1)
    assert write(1) != write(2)


def test_a_stream_can_be_taken_up_from_its_state(spec: Spec) -> None:
    module = compile(spec)
    prompt = torch.randint(256, (1, 4))
    whole = module.generate(prompt, 10, temperature=0)

    stream = module.stream(prompt, temperature=0)
    first = [next(stream) for _ in range(6)]
    rest = module.generate(first[-1].tokens[:, None], 4, temperature=0, state=first[-1].state)

    begun = torch.stack([sample.tokens for sample in first], dim=1)
    assert torch.equal(torch.cat([begun, rest], dim=1), whole)


def test_writing_nothing_gives_nothing_and_less_is_refused(spec: Spec) -> None:
    module = compile(spec)

    assert module.generate(torch.tensor([1, 2]), 0).shape == (1, 0)
    with pytest.raises(InputError, match=r"the number of tokens \(=-1\)"):
        module.generate(torch.tensor([1, 2]), -1)
    with pytest.raises(InputError, match="holds token 256; the model knows 0 to 255"):
        module.generate(torch.tensor([1, 256]), 3)


def test_the_state_begins_as_the_model_says(spec: Spec) -> None:
    module = compile(spec)
    tokens = torch.randint(256, (2, 6))

    begun = module(tokens, module.initial_state(2))

    torch.testing.assert_close(begun.logits, module(tokens).logits)
