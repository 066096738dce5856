"""Metrics, and the score of a model on rows of a task.

A metric gives each thing that it judges, a position or a row, a number; a score is their mean.
Where they stand, at which position or in how long a row, is kept for plots.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from nestgraph.errors import InputError
from nestgraph.evaluation.task import Batch, Draw, Split
from nestgraph.runtime.labels import IGNORED
from nestgraph.runtime.output import Output

MOST_TOKENS = 16384  # read at once
BUCKETS = 10
END = ord("\n")
LARGEST_BYTE = 255
FINITE = "lower the rates, or those of its memories"
Points: TypeAlias = tuple[tuple[float, float], ...]
Reader: TypeAlias = Callable[..., Output]
"""Called with tokens (B, T), and with the state behind those before if there is one."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a metric finds in a batch.

    Attributes:
        values: (n,) float64, one for each thing that is judged.
        at: (n,) int64, where each stands, counted from 1.
    """

    values: Tensor
    at: Tensor


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A way to score.

    Attributes:
        name: of it.
        unit: of a score, in words.
        across: what `Judged.at` counts, in words.
        doubling: whether plots go by spans that double; else by spans of one width.
        judge: of a batch and the logits (B, T, V) for it.
        writes: whether the model writes its answers, greedily; `judge` is then given what it wrote
            (B, T) where labels are, in place of logits.
    """

    name: str
    unit: str
    across: str
    doubling: bool
    judge: Callable[[Batch, Tensor], Judged]
    writes: bool = False


@dataclass(frozen=True, kw_only=True)
class Score:
    """How a model did.

    Attributes:
        mean: over all that was judged.
        points: the mean of each span, at its last position.
    """

    mean: float
    points: Points


def _accuracy(batch: Batch, logits: Tensor) -> Judged:
    scored = batch.targets != IGNORED
    right = logits.argmax(-1) == batch.targets
    return Judged(values=right[scored].double(), at=scored.nonzero()[:, 1] + 1)


def _strings(batch: Batch, logits: Tensor) -> Judged:
    right = (logits.argmax(-1) == batch.targets) | (batch.targets == IGNORED)
    return Judged(values=right.all(1).double(), at=(batch.tokens >= 0).sum(1))


def _chrf(batch: Batch, written: Tensor) -> Judged:
    """Return chrF of a row up to the end of its line; characters up to six, no words, recall twice
    as much.
    """
    from torchmetrics.functional.text import chrf_score

    values = [
        cast(Tensor, chrf_score([_line(said)], [[_line(wanted)]], n_word_order=0)).item()
        for said, wanted in zip(written.tolist(), batch.targets.tolist(), strict=True)
    ]
    found = torch.tensor(values, dtype=torch.float64)
    return Judged(values=found, at=(batch.tokens >= 0).sum(1))


def _line(tokens: list[int]) -> str:
    """Return the bytes of a line, as text; tokens that are none end it."""
    answer = [token for token in tokens if token >= 0]
    ends = [at for at, token in enumerate(answer) if token == END or token > LARGEST_BYTE]
    return bytes(answer[: min(ends, default=len(answer))]).decode(errors="replace")


def _nats(batch: Batch, logits: Tensor) -> Judged:
    scored = batch.targets != IGNORED
    losses = F.cross_entropy(logits[scored].double(), batch.targets[scored], reduction="none")
    return Judged(values=losses, at=scored.nonzero()[:, 1] + 1)


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            name="accuracy",
            unit="share of answers right",
            across="position",
            doubling=False,
            judge=_accuracy,
        ),
        Metric(
            name="strings",
            unit="share of rows right at every position",
            across="tokens of a row",
            doubling=False,
            judge=_strings,
        ),
        Metric(
            name="nats",
            unit="nats a label",
            across="position",
            doubling=True,
            judge=_nats,
        ),
        Metric(
            name="chrf",
            unit="chrF of what is written, from 0 to 1, the mean over rows",
            across="tokens of a row",
            doubling=False,
            judge=_chrf,
            writes=True,
        ),
    )
}


def score(
    model: Reader, draw: Draw, metric: Metric, *, split: Split, seed: int, rows: int
) -> Score:
    """Return the score of a model on rows of a split.

    Args:
        model: gives logits (B, T, V) for tokens (B, T); it is told nothing else.
        draw: of a task.
        metric: by which to judge.
        split: which rows.
        seed: of the rows.
        rows: how many.

    Raises:
        InputError: a logit of a label is no number (NG742).
    """
    found = []
    with torch.no_grad():
        for batch in _pieces(draw(split, seed, rows)):
            answers = _written(model, batch) if metric.writes else _logits(model, batch)
            found.append(metric.judge(batch, answers))
    values = torch.cat([judged.values for judged in found])
    at = torch.cat([judged.at for judged in found])
    return Score(mean=values.mean().item(), points=points(values, at, doubling=metric.doubling))


def _logits(model: Reader, batch: Batch) -> Tensor:
    logits = model(batch.tokens).logits
    _require_numbers(logits[batch.targets != IGNORED])
    return logits


def _written(model: Reader, batch: Batch) -> Tensor:
    """Return the likeliest token behind each, from the first that all rows are asked for (B, T)."""
    asked = batch.targets != IGNORED
    first = int(asked.any(0).nonzero()[0])
    assert bool(asked[:, first].all()), "answers of one batch begin at one place"
    found, length = torch.full_like(batch.tokens, IGNORED), batch.tokens.shape[1]
    answer = model(batch.tokens[:, : first + 1])
    for at in range(first, length):
        _require_numbers(answer.logits[:, -1])
        found[:, at] = answer.logits[:, -1].argmax(-1)
        if at + 1 < length:
            answer = model(found[:, at : at + 1], answer.state)
    return found


def _require_numbers(logits: Tensor) -> None:
    if not bool(logits.isfinite().all()):
        raise InputError("NG742", "the model gives scores that are no numbers", FINITE)


def points(values: Tensor, at: Tensor, *, doubling: bool) -> Points:
    """Return means over spans of positions, each at the last position of its span.

    Args:
        values: (n,) what was found.
        at: (n,) where, from 1 on.
        doubling: spans 1, 2, 3–4, 5–8, …; else ten of one width.
    """
    found = []
    for first, last in _spans(int(at.max()), doubling=doubling):
        inside = (at >= first) & (at <= last)
        if bool(inside.any()):
            found.append((float(last), values[inside].mean().item()))
    return tuple(found)


def _spans(most: int, *, doubling: bool) -> Iterator[tuple[int, int]]:
    first, width = 1, 1 if doubling else math.ceil(most / BUCKETS)
    while first <= most:
        last = min(first + width - 1, most)
        yield first, last
        width = last if doubling else width
        first = last + 1


def _pieces(batch: Batch) -> Iterator[Batch]:
    rows = max(1, MOST_TOKENS // batch.tokens.shape[1])
    pairs = zip(batch.tokens.split(rows), batch.targets.split(rows), strict=True)
    return (Batch(tokens=tokens, targets=targets) for tokens, targets in pairs)
