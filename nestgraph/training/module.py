"""A compiled spec as a `LightningModule`: any `L.Trainer` can train it on batches of tokens."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, cast

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from nestgraph.analysis.parameters import ParameterSpec
from nestgraph.compiler import compile_model
from nestgraph.compiler.optimizers import NestedOptimizer
from nestgraph.errors import InputError
from nestgraph.language.models import model_of, require_next_tokens
from nestgraph.runtime.checksums import ENTRY, seal
from nestgraph.runtime.labels import IGNORED, require_targets
from nestgraph.runtime.output import HiddenOutput, Output
from nestgraph.training import sampling
from nestgraph.training.checkpoint import (
    describe,
    find_checkpoint,
    read_checkpoint,
    spec_of,
    verified,
)
from nestgraph.training.gradients import all_finite, gradients_of
from nestgraph.training.levels import commits, token_levels
from nestgraph.training.optimizer import build_optimizer, build_schedule, retune
from nestgraph.training.prompts import Group, Prompt, groups_of, joint
from nestgraph.training.token_means import Tally, Window, processes, summed

if TYPE_CHECKING:
    from nestgraph.language.spec import Spec

# What Lightning changes of a checkpoint between reading it and handing it over; more of it where
# an older Lightning wrote it.
OLDER = "legacy_pytorch-lightning_version"
TOUCHED = ("hyper_parameters", "hparams_name", "hparams_type")
MIGRATED = (OLDER, "pytorch-lightning_version", "loops", "callbacks", "global_step", "epoch")
Batch = Tensor | Sequence[Tensor]
State = dict[str, Any]


class NestModule(L.LightningModule):
    """Trains a model by next-token prediction, as the spec's `training` section says.

    A batch is a LongTensor (rows, time + 1), or a pair (inputs, targets) of (rows, time).
    Every window starts from the model's initial state. Losses are in nats a token. Rows that end
    earlier than others are filled up with -1, which counts in no loss.

    Attributes:
        model: what the spec compiled to; `module(tokens, state)` calls it.
        spec: where it came from; checkpoints carry it.
        skipped: steps that were not taken, since their gradient was no number.
        bad_in_a_row: how many of them have just followed each other.
    """

    def __init__(self, model: nn.Module, spec: Spec) -> None:
        super().__init__()
        self.model = model
        self.spec = spec
        self._token_levels = token_levels(spec.system)
        self._commits = dict.fromkeys(self._token_levels, 0)
        self._rates: dict[str, float] = {}
        self._tally = Tally()
        self._window = Window()
        self._counted: tuple[int, float] | None = None  # tokens of the batch under way
        self.skipped = 0
        self.bad_in_a_row = 0

    def forward(
        self,
        tokens: Tensor,
        state: State | None = None,
        *,
        targets: Tensor | None = None,
        write_mask: Tensor | None = None,
        hidden: bool = False,
    ) -> Output | HiddenOutput:
        """Return scores of the token after each of `tokens` (rows, time), and the state after them.

        Args:
            tokens: (rows, time); -1 behind the end of a row.
            state: what the call before returned; None at the beginning of a sequence.
            targets: (rows, time) what memories that the task moves should have answered, each
                learned behind its own position; without, they learn from the next token.
            write_mask: (rows, time) whether memories are written at each position; None: at all.
            hidden: whether to answer with what the head was given, too: a `HiddenOutput`.
        """
        beside = {"targets": targets, "write_mask": write_mask, "hidden": hidden or None}
        given = {name: x for name, x in beside.items() if x is not None}
        return cast(Output, self.model(tokens, state, **given))

    def loss(
        self,
        tokens: Tensor,
        targets: Tensor,
        state: State | None = None,
        *,
        write_mask: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Return mean nats over the targets, which inner losses take, too; and the state after
        them.

        Args:
            tokens: (rows, time); -1 behind the end of a row.
            targets: (rows, time); -1 and -100 count nowhere.
            state: what the call before returned; None at the beginning of a sequence.
            write_mask: (rows, time) whether memories are written at each position; None: at all.
        """
        given = {} if write_mask is None else {"write_mask": write_mask}
        loss: Any = cast(Any, self.model).loss(tokens, targets, state, **given)
        return cast(tuple[Tensor, State], loss)

    def initial_state(self, batch: int) -> State:
        """Return the state before the first token, for that many rows."""
        return cast(State, cast(Any, self.model).initial_state(batch))

    def on_train_start(self) -> None:
        """Let the spec beat a checkpoint: a resumed run may have been given other settings."""
        self.bad_in_a_row, self._window, self._counted = 0, Window(), None
        optimizer, schedule = self.optimizers(use_pl_optimizer=False), self.lr_schedulers()
        if isinstance(optimizer, NestedOptimizer) and isinstance(schedule, LambdaLR):
            retune(optimizer, schedule, self.spec.system.training)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return mean loss of one batch."""
        inputs, targets = inputs_and_targets(batch)
        loss, _ = self.loss(inputs, targets)
        everyone = self._count(targets, loss)
        self.log("train_loss", everyone, prog_bar=True, batch_size=len(targets))
        for level, period in self._token_levels.items():
            self._commits[level] += commits(period, inputs.shape[1])
        return loss

    def _count(self, targets: Tensor, loss: Tensor) -> Tensor:
        """Count the tokens of a batch; answers with its mean loss over all processes."""
        own = int((targets >= 0).sum())
        if processes() == 1:
            self._counted = own, float(own)
            return loss
        tokens, nats = summed((own, loss.item() * own), targets.device)
        self._counted = own, tokens
        return loss.new_tensor(nats / max(1, tokens))

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Weigh the gradient of a batch by its tokens, which `training_step` counts.

        Who optimises manually weighs and divides alone.
        """
        counted, self._counted = self._counted, None
        if counted is not None and self.automatic_optimization:
            weight = self._window.weight(*counted)
            loss = loss if weight == 1.0 else loss * weight
        super().backward(loss, *args, **kwargs)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Make the gradient the mean over all tokens since the last update, and note the rates.

        An update whose gradient is no number is called off; the schedule goes on right after it
        either way.
        """
        factor = self._window.factor(self.trainer.accumulate_grad_batches)
        self._window = Window()
        if factor != 1.0:
            torch._foreach_mul_(gradients_of(optimizer), factor)
        groups = optimizer.param_groups
        self._rates = {group.get("level", "step"): group["lr"] for group in groups}
        raw = getattr(optimizer, "optimizer", optimizer)
        if all_finite(optimizer):
            self.bad_in_a_row = 0
            if isinstance(raw, NestedOptimizer):
                raw.call_on()  # a scaler may have left out the step that was called off
            return
        self.skipped += 1
        self.bad_in_a_row += 1
        optimizer.zero_grad(set_to_none=True)  # nothing is left to clip
        if isinstance(raw, NestedOptimizer):
            raw.call_off()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Log the clocks of all levels at the steps at which the loss is logged.

        Raises:
            InputError: when as many updates in a row as the spec allows were called off.
        """
        trainer = cast(Any, self.trainer)
        if self.is_broken:
            raise self.broken("the weights are those of before them")
        if trainer.loggers and trainer.global_step % trainer.log_every_n_steps == 0:
            self.log_dict(self.level_metrics())

    @property
    def is_broken(self) -> bool:
        """Return whether the gradient was no number for as many steps in a row as the spec
        allows.
        """
        return self.bad_in_a_row >= self.spec.system.training.bad_steps

    def broken(self, left: str) -> InputError:
        """Return what ends a training whose gradients are no numbers any more.

        Args:
            left: what is left of it, in words.
        """
        return InputError(
            "NG732",
            f"the gradient was no number for {self.bad_in_a_row} steps in a row, up to step"
            f" {self.trainer.global_step}; {left}",
            "lower `training.lr` or the rates of the memories, or normalise what they are fed",
        )

    def level_metrics(self) -> dict[str, float]:
        """Return how often each level has moved so far, and the rates of the outer optimizer's
        levels.

        Levels on tokens count the ticks in one row of the batch.
        """
        optimizer = self.optimizers(use_pl_optimizer=False)
        moved = optimizer.updates() if isinstance(optimizer, NestedOptimizer) else {}
        skipped = {"skipped_steps": float(self.skipped)}
        updates = {f"updates/{name}": float(n) for name, n in {**moved, **self._commits}.items()}
        return updates | {f"lr/{name}": rate for name, rate in self._rates.items()} | skipped

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self._tally = Tally()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add losses up in float64, so that windows of any size weigh by their tokens."""
        self._tally.add(*self._losses(batch))

    def on_validation_epoch_end(self) -> None:
        """Log the mean over all tokens of all batches, and of all processes."""
        self._log_mean("val")

    def on_test_epoch_start(self) -> None:
        """Forget the last test."""
        self._tally = Tally()

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds losses up as a validation does."""
        self._tally.add(*self._losses(batch))

    def on_test_epoch_end(self) -> None:
        """Log the mean over all tokens of all batches, and of all processes."""
        self._log_mean("test")

    def predict_step(self, batch: Batch, batch_idx: int) -> Output:
        """Return scores of the token after each one that is read, and the state after them.

        Of tokens (rows, time) all are read, of a pair (inputs, targets) the inputs.
        """
        if isinstance(batch, Tensor):
            return cast(Output, self(batch.long()))
        parts = list(batch)
        read = parts[0].long() if len(parts) == 1 else inputs_and_targets(parts)[0]
        return cast(Output, self(read))

    def _losses(self, batch: Batch) -> tuple[Tensor, int]:
        """Return the loss of each token of a batch, and of how many tokens they are.

        What is scored teaches no memory: those that the task moves learn from the inputs alone.
        """
        inputs, targets = inputs_and_targets(batch)
        logits = self(inputs).logits
        require_targets(targets, inputs, logits.shape[-1])
        logits = logits.flatten(0, 1)
        wanted = torch.where(targets < 0, IGNORED, targets).flatten()
        losses = F.cross_entropy(logits, wanted, reduction="none", ignore_index=IGNORED)
        return losses, int((targets >= 0).sum())

    def _log_mean(self, of: str) -> None:
        loss = self._tally.mean(self.device)
        if loss is None:
            return
        # Every process has the same number; the largest is it.
        alike: Any = {"sync_dist": True, "reduce_fx": "max"}
        self.log(f"{of}_loss", loss, prog_bar=True, **alike)
        self.log(f"{of}_bits_per_byte", loss / math.log(2), **alike)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the spec's optimizer on its step clocks, with warm-up and cosine."""
        training = self.spec.system.training
        optimizer = build_optimizer(self._parameters_with_specs(), training)
        if optimizer.needs_inputs:
            optimizer.watch(self.model)
        schedule = build_schedule(optimizer, training)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as the spec says, unless the Trainer was told otherwise."""
        if gradient_clip_val is None:
            gradient_clip_val = self.spec.system.training.clip
        self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the spec into the checkpoint, so that it opens alone, and the checksums of all.

        A subclass adds its own entries before it calls this, and they have checksums too.
        """
        checkpoint[ENTRY] = {**describe(self.spec), "commits": dict(self._commits)}
        checkpoint[ENTRY]["skipped"] = self.skipped
        seal(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the counts that are no part of the weights.

        Raises:
            InputError: when the checkpoint is damaged or not nestgraph's.
        """
        leave = (*TOUCHED, *MIGRATED) if OLDER in checkpoint else TOUCHED
        entry = verified("the checkpoint", checkpoint, leave=leave)[ENTRY]
        self._commits.update(entry.get("commits", {}))
        self.skipped = entry.get("skipped", 0)

    @classmethod
    def load_from_checkpoint(
        cls,
        checkpoint_path: str | Path | IO[Any],
        map_location: Any = None,
        hparams_file: str | Path | None = None,
        strict: bool | None = None,
        weights_only: bool | None = None,
        **kwargs: Any,
    ) -> Self:
        """Open a trained model, or one of a subclass; its spec lies in the checkpoint.

        Args:
            checkpoint_path: a `.ckpt` file, of any Trainer, or a run folder.
            map_location: where to put the weights; where they were if None.
            hparams_file: has no meaning here.
            strict: whether the weights must be those of the spec; they must if None.
            weights_only: nothing of a checkpoint runs as code, whatever is asked.
            kwargs: what else a subclass takes.

        Raises:
            InputError: there is no such file, or it is damaged, or not nestgraph's.
            SpecError: this version of nestgraph reads the spec inside otherwise.
        """
        if not isinstance(checkpoint_path, str | Path) or hparams_file is not None:
            raise InputError(
                "NG733",
                "`load_from_checkpoint` takes the path of a checkpoint, which holds its own spec",
                "give a .ckpt file or a run folder, and no `hparams_file`",
            )
        file = find_checkpoint(Path(checkpoint_path))
        spec = spec_of(read_checkpoint(file))
        seed = spec.system.training.seed
        model = compile_model(spec.system, seed=seed, blank=strict is not False)
        own = {"model": model, "spec": spec, **kwargs}
        return super().load_from_checkpoint(
            file, map_location, strict=strict, weights_only=True, **own
        )

    def generate(
        self,
        prompt: Prompt,
        tokens: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        generator: torch.Generator | None = None,
        state: State | None = None,
    ) -> Tensor:
        """Continue a prompt; the work for one token doesn't grow with those before it.

        Args:
            prompt: tokens (rows, time), with -1 behind rows that end earlier; (time,) for one row;
                or a list of rows. None is empty. Rows of unequal length are read in groups, and
                each goes on as it would alone.
            tokens: how many to add.
            temperature: 0 always takes the likeliest token.
            top_k: choose among the best so many only.
            generator: source of the choices.
            state: where an earlier sequence ended; None is the start.

        Returns:
            The added tokens (rows, tokens), without the prompt.

        Raises:
            InputError: for a prompt or settings that make no sense, or a model whose head has
                other classes than its tokens.
        """
        if tokens < 0:
            raise InputError("NG741", f"the number of tokens (={tokens}) must be 0 or more")
        stream = self.stream(
            prompt, temperature=temperature, top_k=top_k, generator=generator, state=state
        )
        added = [sample.tokens for sample in itertools.islice(stream, tokens)]
        if added:
            return torch.stack(added, dim=1)
        rows = 1 if isinstance(prompt, Tensor) and prompt.ndim == 1 else len(prompt)
        return torch.empty(rows, 0, dtype=torch.long, device=self.device)

    def stream(
        self,
        prompt: Prompt,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        generator: torch.Generator | None = None,
        state: State | None = None,
    ) -> Iterator[sampling.Sample]:
        """Continue a prompt without end, token by token; arguments as for `generate`."""
        require_next_tokens(self.spec.system)
        taste = sampling.Taste(temperature=temperature, top_k=top_k, generator=generator)
        groups = groups_of(prompt, model_of(self.spec.system).vocab, state)
        return self._continue([self._moved(group) for group in groups], taste)

    def _moved(self, group: Group) -> Group:
        rows, tokens = group.rows.to(self.device), group.tokens.to(self.device)
        return replace(group, rows=rows, tokens=tokens)

    def _continue(self, groups: list[Group], taste: sampling.Taste) -> Iterator[sampling.Sample]:
        order = torch.cat([group.rows for group in groups]).argsort()
        while True:
            with torch.no_grad():
                answers = [self(group.tokens, group.state) for group in groups]
            scores = torch.cat([answer.logits[:, -1] for answer in answers])[order]
            chosen = sampling.choose(scores, taste)
            groups = [
                Group(rows=group.rows, tokens=chosen[group.rows][:, None], state=answer.state)
                for group, answer in zip(groups, answers, strict=True)
            ]
            yield sampling.Sample(chosen, joint(groups))

    def _parameters_with_specs(self) -> Iterator[tuple[ParameterSpec, Tensor]]:
        weights = cast(Any, self.model).weights
        named = weights.named()
        return ((spec, named[spec.name]) for spec in weights.table)


def inputs_and_targets(batch: Batch) -> tuple[Tensor, Tensor]:
    """Split a batch into what the model reads and what it should predict.

    Raises:
        TypeError: when it is neither one tensor of tokens nor a pair.
    """
    parts = [batch] if isinstance(batch, Tensor) else list(batch)
    shapes = [tuple(part.shape) if isinstance(part, Tensor) else part for part in parts]
    tokens = all(isinstance(part, Tensor) and part.ndim == 2 for part in parts)
    if tokens and len(parts) == 1 and parts[0].shape[1] > 1:
        return parts[0][:, :-1].long(), parts[0][:, 1:].long()
    if tokens and len(parts) == 2 and shapes[0] == shapes[1]:
        return parts[0].long(), parts[1].long()
    raise TypeError(
        f"a batch of {', '.join(map(str, shapes))} can't be trained on: give tokens"
        " (rows, time + 1), or a pair (inputs, targets) of (rows, time)"
    )
