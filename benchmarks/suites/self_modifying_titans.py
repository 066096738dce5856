"""Five self-modifying memories, two-layer MLPs that learn while they read, against attention.

The spec lies beside this file. The FLOPs of both sides are counted by formulas, which are printed,
and stand beside what the machine reaches on one large matrix product in the same run.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks import flops
from benchmarks.compiled import CompiledLayer, system_of
from benchmarks.steps import Product, Size, Step, flow
from benchmarks.suites import Comparison, Side
from benchmarks.suites.gated_deltanet import attention_step
from nestgraph.language.system import Memory, System

SPEC = Path(__file__).with_suffix(".yaml")
GOALS = {16: 0.2, 32: 0.2}


def comparisons(
    size: Size | None = None, chunks: tuple[int, ...] = tuple(GOALS)
) -> list[Comparison]:
    """Return one comparison a chunk length."""
    return [compare(size or Size(), chunk) for chunk in chunks]


def compare(size: Size, chunk: int) -> Comparison:
    """Return memories that commit every `chunk` tokens against attention."""
    attention = flops.attention_mixer(size)
    memories = flops.self_modifying_titans(size, *shape_of(system_at(size, chunk)))
    return Comparison(
        title=f"self-modifying Titans mixer, chunk {chunk}, against attention mixer",
        size=size,
        sides=(
            Side(name="attention", build=partial(attention_step, size), flops=attention.total),
            Side(
                name="compiled",
                build=partial(titans_step, size, chunk),
                flops=memories.total,
                goal=GOALS.get(chunk),
            ),
            Side(name="one product, 1024³", build=Product, flops=Product.flops),
        ),
        notes=(*attention.lines("attention"), *memories.lines("compiled"), flops.RULES),
    )


def titans_step(size: Size, chunk: int) -> Step:
    """Return the compiled mixer."""
    layer, x = CompiledLayer(system_at(size, chunk)), flow(size)
    return Step(lambda: layer(x), [x, *layer.parameters.values()])


def system_at(size: Size, chunk: int) -> System:
    """Return the spec at this size."""
    return system_of(
        str(SPEC), {"width": size.width, "heads": size.heads, "depth": 1, "chunk": chunk}
    )


def shape_of(system: System) -> tuple[int, flops.MemoryShape]:
    """Return how many memories there are, and what each is like."""
    assert system.model is not None
    memories = list(system.model.layers[0].block.memories.values())
    return len(memories), _shape(memories[0])


def _shape(memory: Memory) -> flops.MemoryShape:
    assert memory.key_width is not None
    assert memory.value_width is not None
    keys, values = memory.key_width // memory.heads, memory.value_width // memory.heads
    hidden = round(memory.net.expansion * keys)
    return flops.MemoryShape(
        widths=(keys, *[hidden] * (memory.net.layers - 1), values),
        chunk=memory.level.period,
        erased={"none": 0, "key": 1, "layers": memory.net.layers}[memory.rule.erase.where],
    )
