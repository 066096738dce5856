"""One block of a random spec while it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

Draw = Callable[..., Any]
Fields = dict[str, Any]


@dataclass
class Sheet:
    """One block while it is drawn."""

    draw: Draw
    width: int
    heads: int
    nodes: Fields = field(default_factory=dict)
    memories: Fields = field(default_factory=dict)

    def pick(self, *choices: Any) -> Any:
        """Return one of the choices; the first is the simplest."""
        return self.draw(st.sampled_from(choices))

    def chance(self) -> bool:
        """Return a coin."""
        return bool(self.draw(st.booleans()))

    def add(self, prefix: str, **fields: Any) -> str:
        """Return a node under a fresh name."""
        name = f"{prefix}{sum(n.startswith(prefix) for n in self.nodes)}"
        self.nodes[name] = {("in" if k == "in_" else k): v for k, v in fields.items()}
        return name

    def normed(self, flow: str) -> str:
        """Return the flow behind a norm, and sometimes a short convolution."""
        op = self.pick("rms_norm", "layer_norm")
        then: list[Any] = [{"op": "conv", "width": self.pick(1, 2, 4)}] if self.chance() else []
        return self.add("u", op=op, in_=flow, then=then) if then else self.add("u", op=op, in_=flow)

    def unit(self) -> Fields:
        """Return the op that gives every head's run norm 1."""
        return {"op": "l2_norm", "heads": self.heads}

    def homing(self, retain: Any) -> Any:
        """Return a retention, which sometimes pulls towards where its memory started."""
        if not (self.chance() and self.chance()):
            return retain
        if isinstance(retain, dict):
            return {**retain, "towards": "init"}
        return {"flow" if isinstance(retain, str) else "number": retain, "towards": "init"}

    def finish(self, flows: Sequence[str]) -> Fields:
        """Bring flows of any width back to the stream, and closes the block."""
        parts = [self.add("o", op="linear", in_=flow, out=self.width) for flow in flows]
        last: Fields = {"op": "sum", "in": ["x", *parts]}
        if self.chance():
            last["weights"] = self.pick("learned", [1.0] + [0.5] * len(parts))
        self.nodes["out"] = last
        block: Fields = {"nodes": self.nodes}
        return {"memories": self.memories, **block} if self.memories else block
