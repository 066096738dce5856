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
    from nestgraph.spec import Spec
    from nestgraph.training.fit import Run
    from nestgraph.training.stream import StreamRun


@dataclass(frozen=True, kw_only=True)
class Wishes:
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


def train_spec(path: str | None, wishes: Wishes, changes: list[str]) -> None:
    """Train a spec, or goes on with a run, whose checkpoint holds its spec."""
    if path is not None:
        with open_spec(path, changes) as spec:
            run = _fit(spec, wishes)
    elif changes:
        hint = "name the changed spec as well: `nestgraph train S --resume RUN`"
        raise InputError("NG804", "`--set` changes a spec, and none was named", hint)
    else:
        run = _fit(None, wishes)
    if run.interrupted:
        raise typer.Exit(INTERRUPTED)


def _fit(spec: Spec | None, wishes: Wishes) -> Run | StreamRun:
    from nestgraph.training.fit import fit

    if wishes.stream:
        return _stream(spec, wishes)
    if wishes.frozen:
        hint = "add --stream, which reads a text with the outermost level frozen"
        raise InputError("NG804", "`--frozen` leaves nothing to train", hint)

    return fit(
        spec,
        wishes.out,
        resume=wishes.resume,
        weights=wishes.weights,
        max_steps=wishes.max_steps,
        data=wishes.data,
        seed=wishes.seed,
        devices=wishes.devices,
        strategy=wishes.strategy,
        precision=wishes.precision,
        tensorboard=wishes.tensorboard,
    )


def _stream(spec: Spec | None, wishes: Wishes) -> StreamRun:
    from nestgraph.training.options import refuse_for_now
    from nestgraph.training.stream import stream

    refuse_for_now(devices=wishes.devices, strategy=wishes.strategy, precision=wishes.precision)
    return stream(
        spec,
        wishes.out,
        resume=wishes.resume,
        weights=wishes.weights,
        frozen=wishes.frozen,
        max_steps=wishes.max_steps,
        data=wishes.data,
        seed=wishes.seed,
        tensorboard=wishes.tensorboard,
    )
