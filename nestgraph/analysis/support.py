"""What the language has and no executor runs yet: compiling, training or interpreting refuses it.

`check`, `draw` and `show` work on everything. Each refusal names the field that asks for more,
so that nothing accepted is ever ignored. Codes are NG9xx.
"""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.analysis.optimizer_support import refused
from nestgraph.errors import Diagnostic, Span, in_file_order
from nestgraph.language.system import Memory, System
from nestgraph.shapes.flows import spot

# fmt: off
# What executors run in a model; the language's other ops belong to optimizers (NG336).
OPS = frozenset({
    "linear", "conv", "rms_norm", "layer_norm", "l2_norm", "softmax",
    "silu", "gelu", "gelu_tanh", "relu", "sigmoid", "tanh", "softplus", "exp",
    "affine", "bias", "gain", "power", "polynomial", "sum", "product", "divide", "max",
    "mean", "total", "tile", "repeat", "slice", "decay", "rope", "position", "lookup",
    "constant",
})
# fmt: on

MOST_LOOPED = 128  # memories of a block on clocks of their own; ordering them takes seconds
Refusal = tuple[str, str, str]  # code, field of the memory, what isn't run yet


def unsupported(system: System) -> tuple[Diagnostic, ...]:
    """Return every field that asks for what no executor runs yet, at its place."""
    return in_file_order((*_optimizer_spec(system), *_training(system), *_blocks(system)))


def _not_yet(code: str, what: str, span: Span | None) -> Diagnostic:
    return Diagnostic(
        code=code,
        message=f"nothing runs {what} yet, though the language has it",
        hint="`check`, `draw` and `show` work on it",
        span=span,
    )


def _optimizer_spec(system: System) -> Iterator[Diagnostic]:
    if system.optimizer:
        yield from refused(system)


def _training(system: System) -> Iterator[Diagnostic]:
    if system.model and system.training.system is not None:
        yield from refused(system.training.system)


def _blocks(system: System) -> Iterator[Diagnostic]:
    layers = system.model.layers if system.model else ()
    for block in {id(layer.block): layer.block for layer in layers}.values():
        for memory in block.memories.values():
            yield from _memory(memory)
        looped = [memory for memory in block.memories.values() if _may_loop(memory)]
        if len(looped) > MOST_LOOPED:
            what = f"{len(looped)} memories in one block that are walked segment by segment"
            yield _not_yet("NG911", f"{what} (at most {MOST_LOOPED})", looped[MOST_LOOPED].span)


def _may_loop(memory: Memory) -> bool:
    """Return whether the compiler may have to order a memory in loops, whose cost is their cube."""
    if memory.net.kind == "attention" or memory.objective.kind == "task":
        return False
    plain = memory.net.kind == "linear" and memory.level.period == 1
    return not plain or memory.reset.period > 0


def _memory(memory: Memory) -> Iterator[Diagnostic]:
    for code, field, what in (*_net(memory), *_objective(memory)):
        yield _not_yet(code, what, spot(memory, field))


def _net(memory: Memory) -> Iterator[Refusal]:
    if memory.net.gated and memory.objective.kind != "task":
        yield "NG902", "net.gated", "a `gated` net with an objective of its own"


def _objective(memory: Memory) -> Iterator[Refusal]:
    if memory.is_online and memory.net.kind == "vector":
        yield "NG903", "objective", "the objective `task` on a `vector` memory in a model"
