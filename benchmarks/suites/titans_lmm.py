"""Titans' long-term memory against the package `titans-pytorch` (2-layer MLPs, momentum, decay).

Both sides hold the same parameters and compute the same numbers, gradients included: one rate a
token, one momentum and one decay a chunk, gradients at the state before the chunk, and answers
from the last finished chunk. `titans-pytorch` does so when its `batch_size` is the chunk; its
default takes all gradients at the first state, which is another memory and is timed besides.

Legend: B batch, H heads, T tokens, C tokens of a chunk, N chunks, D width of a head.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.failure import BenchmarkError
from benchmarks.mixers import merge, same_numbers, split
from benchmarks.steps import Size, Step, flow
from benchmarks.suites import Comparison, Side
from nestgraph import ops

PACKAGE = "titans_pytorch"
GOALS = {(4, 16): 2.5, (4, 64): 1.0, (1, 16): 8.0, (1, 64): 1.0}
EXPANSION, MAX_RATE = 4, 0.1


def comparisons(
    size: Size | None = None, cases: tuple[tuple[int, int], ...] = tuple(GOALS)
) -> list[Comparison]:
    """Return one comparison for each number of heads and chunk length.

    Raises:
        BenchmarkError: when the package isn't there.
    """
    if find_spec(PACKAGE) is None:
        raise BenchmarkError(
            f"this benchmark measures against the package `titans-pytorch`, which `{PACKAGE}`"
            " would be imported from: `pip install titans-pytorch` into this environment"
        )
    size = size or Size()
    return [
        compare(Size(batch=size.batch, time=size.time, width=size.width, heads=heads), chunk)
        for heads, chunk in cases
    ]


def compare(size: Size, chunk: int) -> Comparison:
    """Return the package, the kernel of nestgraph, and the package in its default way."""
    theirs, mine = partial(their_step, size, chunk), partial(our_step, size, chunk)
    return Comparison(
        title=f"Titans' memory, {size.heads} heads, chunk {chunk}, against titans-pytorch",
        size=size,
        sides=(
            Side(name="titans-pytorch", build=theirs),
            Side(name="nestgraph", build=mine, goal=GOALS.get((size.heads, chunk))),
            Side(name="its default way", build=partial(their_step, size, chunk, renews=False)),
        ),
        notes=("the default way takes every gradient at the first state: other numbers",),
        check=lambda: same_numbers(mine(), theirs()),
    )


def their_memory(size: Size, chunk: int, *, renews: bool = True) -> nn.Module:
    """Return the package's module; without its output norm, so that both sides have the same
    net.
    """
    torch.manual_seed(0)
    found: nn.Module = import_module(PACKAGE).NeuralMemory(
        size.width,
        chunk_size=chunk,
        batch_size=chunk if renews else None,
        heads=size.heads,
        dim_head=size.width // size.heads,
        mem_model_norm_add_residual=False,
        default_step_transform_max_lr=MAX_RATE,
        default_model_kwargs={"depth": 2, "expansion_factor": EXPANSION},
    )
    return found


def their_step(size: Size, chunk: int, *, renews: bool = True) -> Step:
    """Return the package as it is called."""
    memory, x = their_memory(size, chunk, renews=renews), flow(size)
    return Step(lambda: memory(x)[0], [x, *_learned(memory)])


def our_step(size: Size, chunk: int) -> Step:
    """Return the package's parameters around the kernel of nestgraph."""
    memory, x = their_memory(size, chunk), flow(size)
    return Step(lambda: our_answer(memory, x, chunk), [x, *_learned(memory)])


def _learned(memory: nn.Module) -> list[nn.Parameter]:
    """Return its parameters but those of the net's template, which nothing reads."""
    named = memory.named_parameters()
    return [part for name, part in named if not name.startswith("memory_model.")]


def form_of(width: int) -> ops.MemoryConfig:
    """Return the memory: its loss is a mean over channels, which ours is half a sum of."""
    return ops.MemoryConfig(
        layers=2, activation="gelu", scale=2 / width, momentum=True, stepped=True, signed=True
    )


def our_answer(m: Any, x_BTW: Tensor, chunk: int) -> Tensor:
    """Return what `NeuralMemory` answers, (batch, time, width); time must be a multiple of the
    chunk.
    """
    heads = m.heads
    asking, storing = m.retrieve_norm(x_BTW), m.store_norm(x_BTW)
    q, k, v = (
        split(project(u), heads)
        for project, u in ((m.to_queries, asking), (m.to_keys, storing), (m.to_values, storing))
    )
    answers = _walk(m, (q, k, v), _rates(m, storing, chunk), chunk)
    if heads > 1:
        answers = answers * m.retrieve_gate(asking)
    answer: Tensor = m.combine_heads(merge(answers))
    return answer


def _rates(m: Any, storing_BTW: Tensor, chunk: int) -> ops.Rates:
    """Return a rate a token; momentum, decay and step once a chunk: they are 1 at its other
    tokens.
    """
    batch, heads = len(storing_BTW), m.heads
    pooled = storing_BTW.unflatten(1, (-1, chunk)).mean(2)
    rate = m.adaptive_step_transform(m.to_adaptive_step(storing_BTW))
    momentum = m.to_momentum(pooled).sigmoid().squeeze(0)
    retain = 1 - m.to_decay_factor(pooled).sigmoid()
    once_a_chunk = torch.arange(chunk)

    def first(x: Tensor) -> Tensor:
        return torch.where(once_a_chunk == 0, x, 1.0).view(batch, heads, -1)

    last = (once_a_chunk == chunk - 1).to(rate.dtype).repeat(pooled.shape[1])
    return ops.Rates(
        rate=rate.unflatten(0, (batch, heads)),
        retain=first(retain),
        momentum=first(momentum),
        step=last.expand(batch, heads, -1),
    )


def _walk(m: Any, flows: tuple[Tensor, Tensor, Tensor], rates: ops.Rates, chunk: int) -> Tensor:
    """Return chunk by chunk; the last token of a chunk already asks the state behind it."""
    q, k, v = flows
    form, time = form_of(q.shape[-1]), q.shape[2]
    weights = tuple(w.mT.unsqueeze(1) for w in m.memory_model_parameters)
    span = max(64, q.shape[-1] // 2)  # tokens that the compiler takes at once
    several = span >= 4 * chunk
    cuts = list(ops.segments(0, time, (chunk,), span, whole=several))
    late = F.pad(q, (0, 0, 1, -1))  # the last token of a chunk asks with the next one
    queries, keys, values = (ops.pieces(x, 2, cuts) for x in (late, k, v))
    given = {n: ops.pieces(r, 2, cuts) for n, r in vars(rates).items() if r is not None}

    def body(begin: int, end: int, due: object, state: ops.State) -> tuple[Any, Any]:
        rates = ops.Rates(**{name: parts[begin] for name, parts in given.items()})
        facts = keys[begin], values[begin].unsqueeze(2), None, rates
        if several:
            pending = ops.write(form, state, *facts, period=chunk)
            answer = ops.read(form, pending, queries[begin], "boundary")
        else:
            answer, state = ops.ask(form, state, queries[begin])
            pending = ops.write(form, state, *facts)
        return (answer.squeeze(2).transpose(1, 2),), (ops.advance(pending, commit=True),)

    parts, (state,) = ops.checkpointed_loop(body, cuts, (ops.first_state(form, weights, len(q)),))
    last = ops.answer(form, state.anchor, q[:, :, -1:]).squeeze(2)
    return torch.cat((parts[0].transpose(1, 2)[:, :, 1:], last), 2)
