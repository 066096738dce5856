"""A stream of two tasks that a small model learns in a moment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from nestgraph.evaluation.procedures import Job
from nestgraph.evaluation.task import Batch, Split, Task, generator
from nestgraph.runtime.labels import IGNORED

CLOCKED = """\
nestgraph: 1
name: clocked
doc: Three MLPs in a chain, each on a clock of its own.
vars: {vocab: 256, width: 16, mid: 2, slow: 4}
levels: {fast: step, mid: $mid steps, slow: $slow steps}
blocks:
  mlp:
    vars: {level: fast}
    memories:
      M: {net: {kind: mlp, layers: 2, expansion: 2}, level: $level, objective: task}
    nodes:
      u: {op: rms_norm, in: x}
      y: {read: M, query: u}
      out: {op: sum, in: [x, y]}
  layer:
    nodes:
      before: {op: conv, in: x, width: 2}
      a: {block: mlp, in: before, with: {level: fast}}
      b: {block: mlp, in: a, with: {level: mid}}
      out: {block: mlp, in: b, with: {level: slow}}
model:
  embed: {vocab: $vocab, width: $width}
  stack: [{block: layer}]
  norm: rms_norm
  head: {tie: true}
training: {weight_decay: 0}
"""
_TURNED = {
    "{fast: step, mid: $mid steps, slow: $slow steps}": "{fast: 4 tokens, slow: 8 tokens}",
    "mid: 2, slow: 4}": "rate: 0.01}",
    "objective: task}": "objective: task, rule: {rate: $rate}, gradient: first_order}",
    "{level: mid}": "{level: fast}",
    "  head: {tie: true}": "  head: {tie: true}\n  horizon: fast",
}
ON_TOKENS = CLOCKED
for old, new in _TURNED.items():
    ON_TOKENS = ON_TOKENS.replace(old, new)
"""The same with two clocks of tokens."""

SYMBOLS = 4  # that are read
ASK = 2 * SYMBOLS  # the token behind which the answer is due
FIRST = ASK + 1  # of the answers

Jobs = Callable[..., Job]


def two_tasks(**settings: object) -> Task:
    """Of each symbol a label of its own is asked; four symbols come first, then four others."""
    parts = {name: partial(rows_of, part) for part, name in enumerate(("first", "second"))}
    known = {"base": 0, "moves": "all", "buffer": 4, "ewc": 1.0, **settings}
    return Task(
        name="two-tasks",
        kind="continual",
        doc="Symbols and their labels.",
        vocab=FIRST + 2 * SYMBOLS,
        context=3,
        metric="accuracy",
        higher=True,
        chance=1 / (2 * SYMBOLS),
        floor=1.0,
        stop=None,
        steps=80,
        batch=8,
        rates=(1e-2,),
        references=(),
        draw=both,
        rows=32,
        parts=parts,
        settings=known,
    )


def rows_of(part: int, split: Split, seed: int, rows: int) -> Batch:
    """Return rows (symbol, ask) of a task, one token narrower than the context."""
    source = generator("two-tasks", part, split, seed)
    return coded(torch.randint(SYMBOLS, (rows,), generator=source) + SYMBOLS * part)


def both(split: Split, seed: int, rows: int) -> Batch:
    """Return rows of both tasks."""
    source = generator("two-tasks", split, seed)
    return coded(torch.randint(2 * SYMBOLS, (rows,), generator=source))


def coded(symbols: torch.Tensor) -> Batch:
    """Of a symbol s the answer is FIRST + s; the last column is empty."""
    tokens = torch.full((len(symbols), 3), -1)
    tokens[:, 0], tokens[:, 1] = symbols, ASK
    targets = torch.full_like(tokens, IGNORED)
    targets[:, 1] = FIRST + symbols
    return Batch(tokens=tokens, targets=targets)
