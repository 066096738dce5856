"""What is known of one system of the zoo after one training: a cell of the table, a line of a file.

A finished cell is one line of JSON, added to the file by a single write: whoever is interrupted
loses the cell that was under way, and nothing else.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch

from benchmarks.training import Result, Task
from nestgraph.compiler import compile_model
from nestgraph.language.spec import Spec
from nestgraph.runtime.appended import append_line

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

TIMED, WARM = 5, 2
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One system, trained once.

    Attributes:
        key: the folder of its run, which other settings or an edited spec don't share.
        spec: name of the spec.
        seed: of first weights and batches.
        steps: that it took.
        whole: steps that the spec itself asks for.
        parameters: trained numbers.
        nats: loss a byte over the whole validation text after the last step.
        tokens_per_second: of processor time, forward and backward in the spec's own batches.
        state_bytes: what one row leaves in memory, besides the parameters.
        minutes: on the wall, all of the training.
        threads: that PyTorch might use.
    """

    key: str
    spec: str
    seed: int
    steps: int
    whole: int
    parameters: int
    nats: float
    tokens_per_second: float
    state_bytes: int
    minutes: float
    threads: int


def cell_of(task: Task, result: Result, whole: int) -> Cell:
    """Return the cell of a finished training; measures what trainings don't tell."""
    spec = task.load()
    return Cell(
        key=task.folder(),
        spec=spec.system.name,
        seed=task.seed,
        steps=result.steps,
        whole=whole,
        parameters=result.parameters,
        nats=result.nats,
        tokens_per_second=tokens_per_second(spec, task.threads),
        state_bytes=state_bytes(spec),
        minutes=result.seconds / 60,
        threads=task.threads,
    )


def tokens_per_second(spec: Spec, threads: int) -> float:
    """Return forward and backward of the spec's own batches of random tokens; a median of `TIMED`.

    Counts the time of processors, all threads together: others on the machine are no part of it.
    """
    torch.set_num_threads(threads)
    training, model = spec.system.training, compile_model(spec.system, seed=0)
    tokens = torch.randint(model.program.vocab, (training.batch, training.context + 1))
    seconds = [_seconds(model, tokens) for _ in range(WARM + TIMED)]
    return training.batch * training.context / statistics.median(seconds[WARM:])


def _seconds(model: torch.nn.Module, tokens: torch.Tensor) -> float:
    began = time.process_time()
    logits = model(tokens[:, :-1]).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    loss.backward()
    seconds = time.process_time() - began
    model.zero_grad()
    return seconds


def state_bytes(spec: Spec) -> int:
    """Return what a model keeps of one row of the spec's own context."""
    model = compile_model(spec.system, seed=0)
    tokens = torch.randint(model.program.vocab, (1, spec.system.training.context))
    with torch.no_grad():
        state = model.flat_state(model(tokens).state)
    return sum(tensor.nbytes for tensor in state.values())


def add(file: Path, cell: DataclassInstance) -> None:
    """Add a line, whole or not at all; take away a last one that was torn."""
    append_line(file, json.dumps(asdict(cell)), _is_whole)


def _is_whole(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def kept(file: Path) -> Iterator[Cell]:
    """Return the cells of the table of the zoo."""
    return read(file, Cell)


def read(file: Path, kind: type[T]) -> Iterator[T]:
    """Yield the cells of a file, in the order in which they were finished; a torn line is
    skipped.
    """
    if not file.is_file():
        return
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            yield kind(**json.loads(line))
        except (ValueError, TypeError):
            continue
