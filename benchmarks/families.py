"""The recurrent sequence mixers of the zoo: one block each, at the same width and heads.

Every family is the first layer of its spec, compiled; norms, convolutions, gates and projections
are those of the spec, which differ from family to family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.compiled import CompiledLayer, system_of
from benchmarks.failure import BenchmarkError
from benchmarks.steps import Size, Step, flow


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A mixer of the zoo.

    Attributes:
        name: of its spec.
        chunk: the var that says after how many tokens its memories commit; empty if none does.
        settings: vars beside width, heads and depth.
    """

    name: str
    chunk: str = ""
    settings: Mapping[str, int] = field(default_factory=dict)

    def layer(self, size: Size, chunk: int | None = None) -> CompiledLayer:
        """Return the mixer, compiled; `chunk` in place of the spec's own."""
        settings = {"width": size.width, "heads": size.heads, "depth": 1, **self.settings}
        chunks = dict.fromkeys(self.chunk.split(), chunk) if chunk else {}
        return CompiledLayer(system_of(self.name, settings | chunks))

    def step(self, size: Size, chunk: int | None = None) -> Step:
        """Return forward and backward of it over a random flow."""
        layer, x = self.layer(size, chunk), flow(size)
        return Step(lambda: layer(x), [x, *layer.parameters.values()])


FAMILIES = (
    Family(name="linear-attention"),
    Family(name="retnet"),
    Family(name="mamba-2"),
    Family(name="samba"),
    Family(name="deltanet"),
    Family(name="gated-deltanet"),
    Family(name="comba"),
    Family(name="rwkv-7"),
    Family(name="ttt-linear", chunk="batch"),
    Family(name="ttt-mlp", chunk="batch"),
    Family(name="titans-lmm", chunk="chunk"),
    Family(name="dla", chunk="chunk"),
    Family(name="yaad", chunk="chunk"),
    Family(name="moneta", chunk="chunk"),
    Family(name="memora", chunk="chunk"),
    Family(name="omeganet", chunk="chunk"),
    Family(name="atlas", chunk="chunk"),
    Family(name="self-modifying-titans", chunk="chunk memory_chunk"),
    Family(name="srwm"),
)


def chosen(names: tuple[str, ...]) -> tuple[Family, ...]:
    """Return families by name; all of them if none is named.

    Raises:
        BenchmarkError: when there is no family of a name.
    """
    known = {family.name: family for family in FAMILIES}
    for name in names:
        if name not in known:
            raise BenchmarkError(f"no mixer is called `{name}`; there are {', '.join(known)}")
    return tuple(known[name] for name in names) if names else FAMILIES
