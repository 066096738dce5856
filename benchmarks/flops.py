"""FLOPs of one step of the mixers, from formulas that can be read and printed.

Counted are matrix products, two FLOPs for each multiplication and addition; the backward takes
two products for each one of the forward, so three times the forward in all (erases share some of
theirs, which makes that up to a twentieth too much). Not counted is what
costs no product: norms, activations, exponentials, convolutions of width 4, inverting the small
triangular matrices, and products that a kernel does again in its backward to save memory.

Legend: B batch, T time, W width of the flow, H heads, D = W / H, C chunk, M memories; a memory's
net has `weights` numbers a head, of which `above` lie above its first layer and `below` below its
last one.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.steps import Size

RULES = (
    "only matrix products are counted, 2 FLOPs for each multiplication and addition, and a"
    " backward as twice its forward"
)
BACKWARD = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A group of products.

    Attributes:
        name: what they are for.
        formula: how they are counted, for a reader.
        flops: for one token, forward.
    """

    name: str
    formula: str
    flops: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """The products of a mixer.

    Attributes:
        tokens: in one step.
        parts: forward, for one token.
    """

    tokens: int
    parts: tuple[Part, ...]

    @property
    def total(self) -> float:
        """FLOPs of one step, forward and backward."""
        return self.tokens * (1 + BACKWARD) * sum(part.flops for part in self.parts)

    def lines(self, name: str) -> list[str]:
        """Return the formulas with their numbers, for a reader."""
        a_token = sum(part.flops for part in self.parts)
        head = f"{name}: {a_token / 1e6:.3f} MFLOP a token forward, {self.total / 1e9:.2f} GFLOP a"
        return [
            f"{head} step",
            *(
                f"    {part.flops / 1e6:7.3f}  {part.name}: {part.formula}"
                for part in self.parts
                if part.flops
            ),
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryShape:
    """One of several alike memories.

    Attributes:
        widths: of its net for one head: input, hidden ones, output.
        chunk: tokens between two ticks.
        erased: how many of its layers, from the input side, erase before they write.
    """

    widths: tuple[int, ...]
    chunk: int
    erased: int

    @property
    def layers(self) -> list[int]:
        """Numbers in each matrix."""
        return [a * b for a, b in zip(self.widths, self.widths[1:], strict=False)]


def attention_mixer(size: Size) -> Count:
    """Return `plain.AttentionMixer`: half of all pairs of tokens meet, since attention is
    causal.
    """
    parts = (
        Part(
            name="query, key, value, gate, output",
            formula="5 · 2 W²",
            flops=5 * 2 * size.width**2,
        ),
        Part(
            name="scores and answers",
            formula="2 · 2 W · (T + 1) / 2",
            flops=2 * 2 * size.width * (size.time + 1) / 2,
        ),
    )
    return Count(tokens=size.tokens, parts=parts)


def self_modifying_titans(size: Size, members: int, memory: MemoryShape) -> Count:
    """Return the block of `hope`: every memory is asked once and writes once a token."""
    weights, above = sum(memory.layers), sum(memory.layers[1:])
    below = sum(memory.layers[:-1])  # their error needs the last layer at one difference only
    nets = size.heads * members
    parts = (
        Part(name="query, gate, output", formula="3 · 2 W²", flops=3 * 2 * size.width**2),
        Part(name="one read of each memory", formula="H M · 2 weights", flops=2 * nets * weights),
        Part(
            name="its error: the net at key and self value, the last layer at their difference",
            formula="H M · 2 (weights + below)",
            flops=2 * nets * (weights + below),
        ),
        Part(name="back to the hidden layer", formula="H M · 2 above", flops=2 * nets * above),
        Part(name="writing", formula="H M · 2 weights", flops=2 * nets * weights),
        Part(
            name="erasing: pairs of keys, and what they leave of each other",
            formula="H · 2 · 2 C D, once for all memories, whose first layers share their keys",
            flops=_erasing(size.heads, members, memory),
        ),
    )
    return Count(tokens=size.tokens, parts=parts)


def _erasing(heads: int, members: int, memory: MemoryShape) -> float:
    """Return FLOPs: C keys of a chunk meet each other, then the C x C outcome meets the keys."""
    inputs = memory.widths[: memory.erased]
    sharers = [1 if layer == 0 else members for layer in range(memory.erased)]
    return sum(
        heads * copies * 2 * 2 * memory.chunk * width
        for copies, width in zip(sharers, inputs, strict=True)
    )
