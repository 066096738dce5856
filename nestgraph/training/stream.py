"""`nestgraph train --stream`: a text is read once, in order, and every level learns from it.

What a row remembers goes on from piece to piece; the outermost level moves after each piece, by
a gradient that ends where the piece begins. The loss of a piece is taken before anything has
learned from it, so that its mean is the model's online code length of the text.

The checkpoint of a run holds the weights, the optimizer, what each row remembers and how far the
text was read; nothing else decides what comes next, so that a run which was stopped or killed
goes on from its last checkpoint with the numbers of an unbroken one.
"""

from __future__ import annotations

import contextlib
import io
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rich
import torch
from rich.console import Console

from nestgraph.analysis.online_memories import online_memories
from nestgraph.compiler.executor.trees import detached
from nestgraph.data import Corpus
from nestgraph.errors import InputError
from nestgraph.language.models import model_of
from nestgraph.language.spec import Spec
from nestgraph.runtime.checksums import ENTRY, seal
from nestgraph.training import checkpoint, folder, loading, states, texts
from nestgraph.training.board import Board, wants_board
from nestgraph.training.build import compile
from nestgraph.training.cpu_contention import crowd
from nestgraph.training.files import replace_file
from nestgraph.training.gradients import all_finite
from nestgraph.training.interruption import Interruption, TrainingStopped
from nestgraph.training.level_metrics import level_metrics
from nestgraph.training.metrics_file import STEP, MetricsFile
from nestgraph.training.module import NestModule
from nestgraph.training.options import spec_of_run, wished, with_settings
from nestgraph.training.report import at_step
from nestgraph.training.stream_batches import StreamBatches
from nestgraph.training.telling import tell
from nestgraph.training.throughput import Throughput

STREAM = "stream"  # the checkpoint's entry
KEPT = ("text", "step", "nats", "tokens", "frozen", "optimizer", "schedule", "state")
ONLINE = "online_bits_per_byte"
TOKENS = "tokens"


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamRun:
    """What came of reading a text.

    Attributes:
        folder: where everything is.
        module: as it is now.
        step: pieces read so far, those before a resumption included.
        tokens: predictions made so far.
        bits_per_byte: mean over them, each made before anything had learned from it.
        interrupted: whether somebody stopped it.
    """

    folder: Path
    module: NestModule
    step: int
    tokens: int
    bits_per_byte: float
    interrupted: bool


def stream(
    spec: Spec | None,
    out: Path | None = None,
    *,
    resume: Path | None = None,
    weights: Path | None = None,
    frozen: bool = False,
    max_steps: int | None = None,
    data: str | None = None,
    seed: int | None = None,
    tensorboard: bool = False,
    console: Console | None = None,
) -> StreamRun:
    """Read a text once and let every level learn.

    Args:
        spec: of the model; may be None with `resume`, whose checkpoint holds the spec.
        out: folder of the run; the next free `runs/NAME-k` if None.
        resume: a run folder or a checkpoint of an earlier stream to go on from.
        weights: a run or checkpoint whose weights to begin with.
        frozen: whether the outermost level stays as it is.
        max_steps: pieces to read at most; as many as the resumed run was to read, or all of
            the text, if None.
        data: in place of the spec's `training.data`.
        seed: in place of the spec's `training.seed`.
        tensorboard: write event files, too; a run that has them goes on with them.
        console: where to print.

    Raises:
        InputError: for bad data or checkpoints, a full disk, or a loss that is no number.
        SpecError: when the spec can't be trained.
    """
    file = checkpoint.find_checkpoint(resume) if resume is not None else None
    with contextlib.ExitStack() as held:
        folder.hold_home(file, held)
        content = checkpoint.read_checkpoint(file, whole=True) if file is not None else None
        anew = texts.named_anew(spec, data)
        spec = spec_of_run(spec, content, wished(max_steps=None, data=data, seed=seed))
        _require_stream(file, content)
        spec, corpus = texts.text_of_run(spec, content, anew=anew, same=True)
        if max_steps is None and content is not None:
            max_steps = content.get(STREAM, {}).get("limit")
        blank = weights is not None or file is not None
        job = _Job(spec, corpus, frozen=frozen, max_steps=max_steps, blank=blank)
        if weights is not None:
            loading.adopt(job.module, weights)
        if file is not None and content is not None:
            job.restore(file, content)
        job.tensorboard = wants_board(folder.home_of(file), tensorboard)
        place = folder.place_of(spec, file, out, held)
        return job.run(place, console or rich.get_console())


class _Job:
    """A text on its way through a model.

    Args:
        spec: of the model.
        corpus: the text.
        frozen: whether the outermost level stays as it is.
        max_steps: pieces to read at most.
        blank: whether a checkpoint's weights are about to take the place of the model's own.
    """

    def __init__(
        self, spec: Spec, corpus: Corpus, *, frozen: bool, max_steps: int | None, blank: bool
    ) -> None:
        training = spec.system.training
        self.batches = StreamBatches(corpus.text, rows=training.batch, context=training.context)
        _require(spec, corpus, self.batches)
        self.limit = max_steps
        self.steps = min(len(self.batches), max_steps or len(self.batches))
        # The schedule is the text's, however much of it is read now.
        spec = with_settings(spec, {"training.steps": len(self.batches)})
        self.spec, self.corpus, self.frozen = spec, corpus, frozen
        self.module = compile(spec, blank=blank)
        configured: Any = self.module.configure_optimizers()
        self.optimizer = configured["optimizer"]
        self.schedule = configured["lr_scheduler"]["scheduler"]
        self.state: dict[str, Any] | None = None
        self.step, self.nats, self.tokens = 0, 0.0, 0
        self.tensorboard = False

    @property
    def bits(self) -> float:
        """Online bits a byte so far."""
        return self.nats / max(1, self.tokens) / math.log(2)

    def restore(self, file: Path, content: dict[str, Any]) -> None:
        """Go on where a checkpoint was written.

        Raises:
            InputError: when it lacks a part, is another text's, or this text is read.
        """
        kept = content[STREAM]
        self._require_whole(file, kept)
        if kept["text"] != self.corpus.sha256:
            raise InputError(
                "NG723",
                f"`{self.corpus.name}` is not the text that the run in `{file}` was reading",
                "resume it with that text",
            )
        if kept["step"] >= self.steps:
            raise InputError(
                "NG723",
                f"`{file}` has read all its {kept['step']} pieces",
                "give a larger --max-steps, or a longer text to a new run",
            )
        loading.check_weights(file, self.module, content)
        self.module.load_state_dict(content["state_dict"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.schedule.load_state_dict(kept["schedule"])
        self.state = None  # nothing was read yet
        if kept["step"]:
            rows = self.spec.system.training.batch
            blank = dict(states.named_tensors(self.module.initial_state(rows)))
            whole = states.completed(kept["state"], blank)
            self.state = states.from_named(self.module, whole, rows)
        self.step, self.nats, self.tokens = kept["step"], kept["nats"], kept["tokens"]
        self.frozen = kept["frozen"]

    def _require_whole(self, file: Path, kept: dict[str, Any]) -> None:
        rows = self.spec.system.training.batch
        tensors = dict(states.named_tensors(self.module.initial_state(rows)))
        held = kept.get("state")
        held = states.completed(held, tensors) if isinstance(held, dict) else held
        lost = [name for name in KEPT if name not in kept]
        lost += [name for name in tensors if isinstance(held, dict) and name not in held]
        if lost:
            raise InputError("NG713", f"`{file}` is incomplete: its `{lost[0]}` is missing")

    def run(self, place: Path, console: Console) -> StreamRun:
        """Read to the end, or until somebody stops it."""
        began, first = time.monotonic(), self.step
        tell(console, self._opening(place))
        if note := crowd():
            tell(console, note)
        metrics: MetricsFile | None = None
        board = Board(place, self.spec, after=self.step) if self.tensorboard else None
        pace = Throughput(self.steps)
        pace.begin(self.step, self.tokens)
        stopped = False
        with Interruption() as interruption:
            try:
                if not (place / checkpoint.LAST).is_file():
                    self.save(place)  # so that it can be gone on with, whenever it is killed
                while self.step < self.steps and not interruption.wished:
                    row = self._learn()
                    if metrics is None:
                        path = place / folder.METRICS
                        metrics = MetricsFile(path, list(row), after=self.step - 1)
                    metrics.write({**row})
                    if board is not None:
                        board.write({**row})
                    self._keep_or_tell(row, place, console, pace)
                stopped = self.step < self.steps
                if stopped:
                    self.save(place)
            except TrainingStopped:
                stopped = True  # at once: what the last checkpoint holds is saved
            finally:
                for one in (metrics, board):
                    if one is not None:
                        one.close()
        folder.seal_tables(place)
        picture = folder.draw_level_history(place)
        seconds = time.monotonic() - began
        tell(console, self._summary(place, self.step - first, seconds, stopped, picture))
        return StreamRun(
            folder=place,
            module=self.module,
            step=self.step,
            tokens=self.tokens,
            bits_per_byte=self.bits,
            interrupted=stopped,
        )

    def _keep_or_tell(
        self, row: dict[str, float], place: Path, console: Console, pace: Throughput
    ) -> None:
        """Save a checkpoint and tell its line at each interval; else tell a line where there was
        none for long.
        """
        if self.step % self.spec.system.training.val_interval == 0 or self.step == self.steps:
            self.save(place)
            tell(console, self._line(row))
            pace.said(self.tokens)
        elif speed := pace.after(self.step, self.tokens):
            tell(console, f"{self._line(row)}  {speed}")

    def _learn(self) -> dict[str, float]:
        """Read one piece; return its row of metrics."""
        inputs, targets = self.batches.at(self.step)
        model: Any = self.module.model
        with torch.set_grad_enabled(not self.frozen):
            loss, state = model.loss(inputs, targets, self.state)
        if not math.isfinite(loss.item()):
            raise self._broken(f"the loss became {loss.item()}")
        if not self.frozen:
            loss.backward()
            if not all_finite(self.optimizer):  # an update would leave no number in the weights
                raise self._broken("the gradient became no number")
            clip = self.spec.system.training.clip
            if clip:
                torch.nn.utils.clip_grad_norm_(self.module.parameters(), clip)
            self.optimizer.step()
            self.schedule.step()
            self.optimizer.zero_grad()
        self.state = detached(state)
        self.step += 1
        self.nats += loss.item() * targets.numel()
        self.tokens += targets.numel()
        row = {STEP: self.step, TOKENS: self.tokens, "train_loss": loss.item(), ONLINE: self.bits}
        return {**row, **level_metrics(self.module, self.state)}

    def _broken(self, what: str) -> InputError:
        return InputError(
            "NG731",
            f"{what} at step {self.step + 1}; the last checkpoint of the run holds its last good"
            " state",
            "lower `training.lr` or the rates of the memories",
        )

    def save(self, place: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        rows = self.spec.system.training.batch
        remembered = states.named_tensors(self.state or self.module.initial_state(rows))
        content: dict[str, Any] = {
            "state_dict": self.module.state_dict(),
            ENTRY: checkpoint.describe(self.spec),
            texts.ENTRY: texts.remembered(self.corpus),
            STREAM: {
                "step": self.step,
                "limit": self.limit,
                "nats": self.nats,
                "tokens": self.tokens,
                "frozen": self.frozen,
                "text": self.corpus.sha256,
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "state": {name: x.clone() for name, x in remembered},
            },
        }
        seal(content)
        buffer = io.BytesIO()
        torch.save(content, buffer)
        replace_file(place / checkpoint.LAST, buffer.getbuffer())

    def _opening(self, place: Path) -> str:
        training = self.spec.system.training
        mode = ", the outermost level frozen" if self.frozen else ""
        return (
            f"{self.spec.system.name}: reads {self.corpus.name} once, {training.batch} x "
            f"{self.batches.length} bytes in {self.steps} pieces of {training.context}{mode}, "
            f"in {place}"
        )

    def _line(self, row: dict[str, float]) -> str:
        return (
            f"{at_step(self.step, self.steps)}  tokens {self.tokens}"
            f"  this piece {row['train_loss'] / math.log(2):.4f}"
            f"  online {self.bits:.4f} bits per byte"
        )

    def _summary(self, place: Path, taken: int, seconds: float, stopped: bool, picture: str) -> str:
        said = [f"{taken} pieces in {seconds:.1f} s", f"levels      {self._levels()}"]
        said.append(f"online      {self.bits:.4f} bits per byte over {self.tokens} tokens")
        said.append(f"picture     {picture}")
        if stopped:
            said.append(f"go on with  nestgraph train --stream --resume {place}")
        return "\n".join(said)

    def _levels(self) -> str:
        model = self.spec.system.model
        fast = online_memories(model) if model else iter(())
        periods = {memory.level.name: memory.level.period for _, memory in fast}
        listed = [f"{name} every {period} tokens" for name, period in periods.items() if period]
        return ", ".join(listed) or "none learns from the task while it reads"


def _require_stream(file: Path | None, content: dict[str, Any] | None) -> None:
    """Make sure that a checkpoint is that of a stream."""
    if content is not None and not isinstance(content.get(STREAM), dict):
        raise InputError(
            "NG723",
            f"`{file}` was not written by `nestgraph train --stream`",
            "resume it without --stream, or begin a stream with its weights by --weights",
        )


def _require(spec: Spec, corpus: Corpus, batches: StreamBatches) -> None:
    """Make sure that there is something to read, and that every level ticks in it."""
    model = model_of(spec.system)
    if not len(batches):
        raise InputError(
            "NG702",
            f"`{corpus.name}` holds too little for {spec.system.training.batch} rows of 2 bytes",
            "give a longer text, or set a smaller `training.batch`",
        )
    texts.require_known(spec, corpus)
    levels = [memory.level for _, memory in online_memories(model)]
    slow = max(levels, key=lambda level: level.period, default=None)
    if slow is not None and slow.period >= batches.length:
        raise InputError(
            "NG705",
            f"level `{slow.name}` moves every {slow.period} tokens, but each of the"
            f" {spec.system.training.batch} rows of `{corpus.name}` has {batches.length}: it never"
            " ticks",
            "give a longer text, a smaller `training.batch`, or the level a shorter period",
        )
