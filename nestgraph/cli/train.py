"""`nestgraph train`: hands what was asked for to `nestgraph.training`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nestgraph.cli.failures import INTERRUPTED
from nestgraph.cli.opening import open_spec
from nestgraph.errors import InputError

if TYPE_CHECKING:
    from nestgraph.language.spec import Spec
    from nestgraph.training.fit import Run
    from nestgraph.training.stream import StreamRun


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """The options of the command; None leaves the spec's own value."""

    out: Path | None
    resume: Path | None
    max_steps: int | None
    data: str | None
    seed: int | None
    devices: str
    strategy: str
    precision: str
    weights: Path | None = None
    stream: bool = False
    frozen: bool = False
    tensorboard: bool = False


def train_spec(path: str | None, options: TrainOptions, changes: list[str]) -> None:
    """Train a spec, or goes on with a run, whose checkpoint holds its spec."""
    if path is not None:
        with open_spec(path, changes) as spec:
            run = _fit(spec, options)
    elif changes:
        hint = "name the changed spec as well: `nestgraph train S --resume RUN`"
        raise InputError("NG804", "`--set` changes a spec, and none was named", hint)
    else:
        run = _fit(None, options)
    if run.interrupted:
        raise typer.Exit(INTERRUPTED)


def _fit(spec: Spec | None, options: TrainOptions) -> Run | StreamRun:
    from nestgraph.training.fit import fit

    if options.stream:
        return _stream(spec, options)
    if options.frozen:
        hint = "add --stream, which reads a text with the outermost level frozen"
        raise InputError("NG804", "`--frozen` leaves nothing to train", hint)

    return fit(
        spec,
        options.out,
        resume=options.resume,
        weights=options.weights,
        max_steps=options.max_steps,
        data=options.data,
        seed=options.seed,
        devices=options.devices,
        strategy=options.strategy,
        precision=options.precision,
        tensorboard=options.tensorboard,
    )


def _stream(spec: Spec | None, options: TrainOptions) -> StreamRun:
    from nestgraph.training.options import refuse_for_now
    from nestgraph.training.stream import stream

    refuse_for_now(devices=options.devices, strategy=options.strategy, precision=options.precision)
    return stream(
        spec,
        options.out,
        resume=options.resume,
        weights=options.weights,
        frozen=options.frozen,
        max_steps=options.max_steps,
        data=options.data,
        seed=options.seed,
        tensorboard=options.tensorboard,
    )
