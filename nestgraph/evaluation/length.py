"""The loss of a trained run by position, far beyond the context that it was trained at.

Windows of the validation text are read whole, each from the initial state: once as the run is, and
once with the same weights and all inner rates at 0. Where the memories learn, the first should win
by more and more; where they do harm, the difference says from which position on.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from nestgraph import training
from nestgraph.data import Corpus
from nestgraph.display.markdown_text import table
from nestgraph.errors import InputError
from nestgraph.evaluation.report.summary import Mean, mean_of
from nestgraph.evaluation.training import one_thread
from nestgraph.language.spec import Spec
from nestgraph.rewriting import rates_off
from nestgraph.training import NestModule, texts
from nestgraph.training.batches import as_tokens
from nestgraph.training.checkpoint import find_checkpoint, read_checkpoint
from nestgraph.training.files import replace_file
from nestgraph.training.loading import rebuild

TIMES = 16
WINDOWS = 64
ROWS_TOKENS = 8192  # read at once
STATIC = "NG955"
COLUMNS = ("positions", "learning", "without", "difference")


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Losses of a run by position.

    Attributes:
        run: as it was named.
        context: tokens that it was trained at.
        on: (windows, positions) float64, nats of each prediction; positions count from 1.
        off: the same with inner rates at 0; None where nothing has any.
    """

    run: str
    context: int
    on: Tensor
    off: Tensor | None

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Positions, first and last, whose means are told: halves and doubles of the context."""
        return spans(self.context, self.on.shape[1])

    def means(self, losses: Tensor) -> list[Mean | None]:
        """Return the mean of each span, with its standard error over windows."""
        return [_mean(losses[:, first - 1 : last]) for first, last in self.spans]

    def __str__(self) -> str:
        windows, positions = self.on.shape
        times = positions / self.context
        return "\n".join(
            [
                f"## {self.run}",
                "",
                f"{windows} windows of {positions:,} tokens, {times:g} times the context of"
                f" {self.context:,} that it was trained at. Nats a token; errors over windows.",
                "",
                *_table(self),
            ]
        )


def lengths(run: str | Path, *, times: int = TIMES, windows: int = WINDOWS) -> Lengths:
    """Read the validation text of a run in windows longer than those that it was trained
    at.

    Args:
        run: a run folder or a checkpoint.
        times: length of a window over the context; less where the text is shorter.
        windows: at most so many, spread evenly over the text.

    Raises:
        InputError: there is no such run, it is damaged, or its text isn't there or too short.
    """
    file = find_checkpoint(Path(run))
    content = read_checkpoint(file)
    module = rebuild(file, content)
    spec, corpus = texts.text_of_run(module.spec, content, anew=False)
    context = spec.system.training.context
    rows = _windows(corpus, context, times, windows)
    with one_thread():
        on = losses_of(module, rows)
        other = without_learning(module)
        off = None if other is None else losses_of(other, rows)
    return Lengths(run=str(run), context=context, on=on, off=off)


def write_curves(file: Path, found: Sequence[Lengths]) -> None:
    """Write the mean loss of each run at every position, as CSV.

    Raises:
        InputError: the file can't be written (NG721).
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "position", "learning", "without"])
    for each in found:
        on = each.on.mean(0).tolist()
        off = [""] * len(on) if each.off is None else each.off.mean(0).tolist()
        for at, losses in enumerate(zip(on, off, strict=True), start=1):
            writer.writerow([each.run, at, *losses])
    replace_file(file, text.getvalue().encode())


def without_learning(module: NestModule) -> NestModule | None:
    """Return the same weights with inner rates at 0; None where no memory learns by a rate."""
    try:
        spec = rates_off(module.spec)
    except InputError as error:
        if error.diagnostics[0].code != STATIC:
            raise
        return None
    return _with_weights(spec, module)


def losses_of(module: NestModule, rows: Tensor) -> Tensor:
    """Return nats of every prediction (rows, time) float64 of rows (rows, time + 1)."""
    module.eval()
    many = max(1, ROWS_TOKENS // rows.shape[1])
    found = []
    with torch.no_grad():
        for piece in rows.split(many):
            logits = module(piece[:, :-1]).logits.double()
            found.append(F.cross_entropy(logits.mT, piece[:, 1:], reduction="none"))
    return torch.cat(found)


def spans(context: int, positions: int) -> list[tuple[int, int]]:
    """Return spans from 1 to `positions` that end at halves and doubles of the context."""
    ends = {context >> power for power in range(context.bit_length())}
    ends |= {context << power for power in range(positions.bit_length())}
    inside = sorted(end for end in ends if 1 <= end < positions)
    bounds = [0, *inside, positions]
    return [(bounds[at] + 1, bounds[at + 1]) for at in range(len(bounds) - 1)]


def together(found: Sequence[Lengths]) -> str:
    """Return runs of several seeds as one table: differences are means over runs, errors too."""
    first = found[0]
    rows = []
    for at, (low, high) in enumerate(first.spans):
        on = [_value(each.means(each.on)[at]) for each in found]
        off = [None if each.off is None else _value(each.means(each.off)[at]) for each in found]
        pairs = zip(on, off, strict=True)
        gain = mean_of(a - b for a, b in pairs if a is not None and b is not None)
        rows.append([_span(low, high), _told(mean_of(on)), _told(mean_of(off)), _told(gain, "+")])
    about = [f"## {len(found)} runs", "", "Means over runs, with standard errors over them.", ""]
    return "\n".join([*about, *table(COLUMNS, rows)])


def _with_weights(spec: Spec, module: NestModule) -> NestModule:
    other = training.compile(spec, blank=True)
    other.model.load_state_dict(module.model.state_dict())
    return other


def _windows(corpus: Corpus, context: int, times: int, windows: int) -> Tensor:
    """Return windows (rows, time + 1) of the validation text, spread evenly over it."""
    corpus.require(context)
    text = as_tokens(corpus.validation)
    length = min(times * context, len(text) - 1)
    if length < context:
        said = f"the validation text of `{corpus.name}` holds {len(text):,} bytes"
        hint = "name a run whose text is longer"
        raise InputError("NG702", f"{said}, and one window takes {context + 1:,}", hint)
    rows = min(windows, (len(text) - 1) // length)
    starts = torch.linspace(0, len(text) - 1 - length, rows, dtype=torch.float64).long()
    return text[starts[:, None] + torch.arange(length + 1)].long()


def _mean(losses: Tensor) -> Mean | None:
    """Return the mean over windows; None where a loss is no number."""
    each = losses.mean(1)
    return mean_of(each.tolist()) if bool(each.isfinite().all()) else None


def _table(lengths: Lengths) -> list[str]:
    if lengths.off is None:
        means = zip(lengths.spans, lengths.means(lengths.on), strict=True)
        return [
            *table(["positions", "nats"], ([_span(*span), _told(mean)] for span, mean in means)),
            "",
            "No memory of it learns by a rate, so there is nothing to stop.",
        ]
    difference = lengths.on - lengths.off
    columns = [lengths.means(each) for each in (lengths.on, lengths.off, difference)]
    rows = []
    for span, on, off, gain in zip(lengths.spans, *columns, strict=True):
        rows.append([_span(*span), _told(on), _told(off), _told(gain, "+")])
    return table(COLUMNS, rows)


def _span(first: int, last: int) -> str:
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"


def _value(mean: Mean | None) -> float | None:
    return None if mean is None else mean.value


def _told(mean: Mean | None, sign: str = "") -> str:
    if mean is None or not math.isfinite(mean.value):
        return "no number"
    return f"{sign if mean.value >= 0 else ''}{mean}"
