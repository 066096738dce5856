"""A stream of four authors and domains, each byte of which is predicted from those before it."""

from __future__ import annotations

from functools import partial

from nestgraph.evaluation.continual.settings import NO_LABELS, RATES, Moves, require_stream
from nestgraph.evaluation.continual.texts import DOMAINS, mixed, windows
from nestgraph.evaluation.task import Task, require, task


@task("domains")
def domains(
    *, T: int = 128, moves: Moves = "all", base: int = 0, buffer: int = 1500, ewc: float = 100.0
) -> Task:
    """Return Shakespeare, Jane Austen, DBpedia's articles and Banking77's questions, one after
    another.
    """
    require(2 <= T <= 4096, f"`T` (={T}) must be from 2 to 4096", "texts for tests are short")
    require_stream(moves=moves, base=base, buffer=buffer, ewc=ewc)
    require(base == 0, f"`base` (={base}) must be 0", NO_LABELS)
    parts = {name: partial(windows, name, T) for name in DOMAINS}
    return Task(
        name="domains",
        kind="continual",
        doc="Four texts by different authors, byte by byte; they come one after another.",
        vocab=256,
        context=T,
        metric="nats",
        higher=False,
        chance=None,
        floor=None,
        stop=None,
        steps=2000,
        batch=16,
        rates=RATES[moves],
        references=(),
        draw=partial(mixed, list(parts.values())),
        rows=256,
        parts=parts,
    )
