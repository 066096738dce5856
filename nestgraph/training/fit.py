"""Training a spec from start to end, or on from a checkpoint: what `nestgraph train` does."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import rich
from lightning.pytorch.utilities.exceptions import SIGTERMException
from rich.console import Console

from nestgraph.data import Corpus
from nestgraph.errors import InputError
from nestgraph.language.models import require_next_tokens
from nestgraph.training import checkpoint, folder, loading, report, texts
from nestgraph.training.batches import TrainingBatches, ValidationBatches
from nestgraph.training.board import Board, wants_board
from nestgraph.training.build import compile
from nestgraph.training.callbacks import CheckpointCallback, Lines, Metrics, Times
from nestgraph.training.checkpoint_io import AtomicCheckpointIO
from nestgraph.training.cpu_contention import crowd
from nestgraph.training.interruption import Interruption, TrainingStopped
from nestgraph.training.module import NestModule
from nestgraph.training.options import refuse_for_now, spec_of_run, wished
from nestgraph.training.progress import StepBar, StepLines
from nestgraph.training.quiet import quiet
from nestgraph.training.sizes import Sizes
from nestgraph.training.telling import tell
from nestgraph.training.throughput import Throughput

if TYPE_CHECKING:
    from nestgraph.language.spec import Spec

# Rich would read brackets of a sample as styles, and colour numbers.


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What came of a training.

    Attributes:
        folder: where everything is.
        module: as it is now.
        step: updates so far, those before a resumption included.
        val_loss: nats a token over the whole validation text; None when interrupted.
        interrupted: whether somebody stopped it.
    """

    folder: Path
    module: NestModule
    step: int
    val_loss: float | None
    interrupted: bool


def fit(
    spec: Spec | None,
    out: Path | None = None,
    *,
    resume: Path | None = None,
    weights: Path | None = None,
    max_steps: int | None = None,
    data: str | None = None,
    seed: int | None = None,
    devices: str = "1",
    strategy: str = "auto",
    precision: str = "32-true",
    tensorboard: bool = False,
    console: Console | None = None,
) -> Run:
    """Train a model, write its run folder, and says what came of it.

    Args:
        spec: what to train; may be None with `resume`, whose checkpoint holds the spec.
        out: folder of the run; the next free `runs/NAME-k` if None.
        resume: a run folder or a checkpoint to go on from.
        weights: a run or checkpoint whose weights to begin with.
        max_steps: in place of the spec's `training.steps`.
        data: in place of the spec's `training.data`.
        seed: in place of the spec's `training.seed`.
        devices: only "1" for now.
        strategy: only "auto" for now.
        precision: only "32-true" for now.
        tensorboard: write event files, too; a run that has them goes on with them.
        console: where to print.

    Raises:
        InputError: for bad data, checkpoints, options, a full disk, or a loss that is no number.
        SpecError: when the spec can't be trained.
    """
    refuse_for_now(devices=devices, strategy=strategy, precision=precision)
    settings = wished(max_steps=max_steps, data=data, seed=seed)
    file = checkpoint.find_checkpoint(resume) if resume is not None else None
    blank = weights is not None or file is not None
    with contextlib.ExitStack() as held:
        folder.hold_home(file, held)
        content = checkpoint.read_checkpoint(file, whole=True) if file is not None else None
        anew = texts.named_anew(spec, data)
        spec = spec_of_run(spec, content, settings)
        job = _prepare(spec, file, content, blank=blank, anew=anew)
        if weights is not None:
            loading.adopt(job.module, weights)
        board = wants_board(folder.home_of(file), tensorboard)
        place = folder.place_of(job.module.spec, file, out, held)
        return _train(job, place, console or rich.get_console(), board)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """All that training needs, known to fit together."""

    module: NestModule
    corpus: Corpus
    file: Path | None  # checkpoint to go on from
    done: int  # steps in it


def _prepare(
    spec: Spec, file: Path | None, content: dict[str, Any] | None, *, blank: bool, anew: bool
) -> _Job:
    require_next_tokens(spec.system)
    training = spec.system.training
    done = _steps_in(file, content)
    if done >= training.steps:
        raise InputError(
            "NG723",
            f"`{file}` has all its {done} steps of {training.steps}",
            "give a larger --max-steps to train on",
        )
    spec, corpus = texts.text_of_run(spec, content, anew=anew)
    corpus.require(training.context)
    texts.require_known(spec, corpus)
    module = compile(spec, blank=blank)
    if file is not None and content is not None:
        loading.check_weights(file, module, content)
    return _Job(module=module, corpus=corpus, file=file, done=done)


def _steps_in(file: Path | None, content: dict[str, Any] | None) -> int:
    if content is None:
        return 0
    if CheckpointCallback.__qualname__ not in content.get("callbacks", {}):
        raise InputError(
            "NG723",
            f"`{file}` was not written by `nestgraph train`, so it doesn't say where it stopped",
            "resume it with the Trainer that wrote it",
        )
    return int(content["global_step"])


def _train(job: _Job, place: Path, console: Console, tensorboard: bool) -> Run:
    spec, began = job.module.spec, time.monotonic()
    steps = spec.system.training.steps
    picture = folder.draw_levels(place, spec)
    board = Board(place, spec, after=job.done) if tensorboard else None
    tell(console, report.opening(spec, job.corpus, place))
    if note := crowd():
        tell(console, note)
    with Interruption() as interruption, quiet():
        trainer = _trainer(place, job, console, interruption, board)
        try:
            trainer.fit(job.module, *_loaders(job), ckpt_path=job.file)
        except (TrainingStopped, SIGTERMException) as stop:
            saved = isinstance(stop, TrainingStopped) and stop.saved
            step = trainer.global_step
            words = report.interrupted(folder=place, step=step, steps=steps, saved=saved)
            folder.seal_tables(place)
            tell(console, words)
            return Run(folder=place, module=job.module, step=step, val_loss=None, interrupted=True)
    folder.seal_tables(place)
    loss = trainer.callback_metrics["val_loss"].item()
    words = report.summary(
        folder=place,
        step=steps,
        taken=steps - job.done,
        seconds=time.monotonic() - began,
        loss=loss,
        text=report.sample(job.module, seed=spec.system.training.seed),
        picture=picture,
    )
    tell(console, words)
    return Run(folder=place, module=job.module, step=steps, val_loss=loss, interrupted=False)


def _loaders(job: _Job) -> tuple[TrainingBatches, ValidationBatches]:
    training = job.module.spec.system.training
    context, batch = training.context, training.batch
    return (
        TrainingBatches(
            job.corpus.train,
            context=context,
            batch=batch,
            steps=training.steps,
            seed=training.seed,
        ),
        ValidationBatches(job.corpus.validation, context=context, batch=batch),
    )


def _trainer(
    place: Path,
    job: _Job,
    console: Console,
    interruption: Interruption,
    board: Board | None,
) -> L.Trainer:
    module, training = job.module, job.module.spec.system.training
    steps, val_interval = training.steps, training.val_interval

    def write(line: str) -> None:
        tell(console, line)

    tokens = training.batch * training.context
    progress: L.Callback = (
        StepBar()
        if console.is_terminal
        else StepLines(write, Throughput(steps), steps=steps, tokens=tokens)
    )
    lines = Lines(write, steps)
    times, sizes = Times(place / folder.TIMES), Sizes(module.spec.system)
    metrics = Metrics(place / folder.METRICS, sizes, board)
    text = texts.remembered(job.corpus)
    keeper = CheckpointCallback(
        place, steps=steps, val_interval=val_interval, interruption=interruption, text=text
    )
    return L.Trainer(
        devices=1,
        max_steps=steps,
        val_check_interval=val_interval,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        callbacks=[times, sizes, metrics, progress, lines, keeper],
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=console.is_terminal,
        enable_model_summary=False,
        default_root_dir=place,
    )
