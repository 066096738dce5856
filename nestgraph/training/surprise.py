"""How much the text of a training surprises the memories that learn from their own objectives.

No kernel hands out its gradients, so the interpreter reads a little of the text beside it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from nestgraph.errors import SpecError
from nestgraph.levels import instances
from nestgraph.reference import Reference
from nestgraph.reference.surprise import surprises
from nestgraph.system import System
from nestgraph.training.module import NestModule

POSITIONS = 32  # of one sequence: a second or two of a small model, at each validation
MOST = 2**24  # parameters; beyond, a position takes the interpreter too long


class Surprise:
    """Measures levels on tokens that have an objective of their own.

    Args:
        system: of the model.

    Attributes:
        levels: those that are measured; none where the interpreter can't or would take too long.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self._reference: Reference | None = None
        self._homes = {
            f"{path}.{memory.name}": memory.level.name
            for path, block in instances(system)
            for memory in block.memories.values()
            if memory.level.unit == "tokens"
            and memory.net.kind != "attention"
            and memory.objective.kind != "task"
        }

    @property
    def levels(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(dict.fromkeys(self._homes.values()))

    def prepare(self, module: NestModule) -> None:
        """Builds the interpreter of a module, if it is to be asked."""
        count = sum(weight.numel() for weight in _weights(module).values())
        if not self._homes or count > MOST:
            self._homes = {}
            return
        try:
            reference = Reference(self._system, dtype=torch.float32)
        except SpecError:  # it runs less than the compiler does
            self._homes = {}
        else:
            self._reference = reference.to(module.device)

    @torch.inference_mode(False)
    @torch.no_grad()
    def of(self, module: NestModule, tokens: Tensor) -> dict[str, float]:
        """Root mean squares over the memories of each level, for the first of tokens (1, time)."""
        if self._reference is None:
            return {}
        own = self._reference.weights.named()
        for name, weight in _weights(module).items():
            own[name].copy_(weight)
        squares: dict[str, list[float]] = {}
        for memory, size in surprises(self._reference, tokens[:1, :POSITIONS]).items():
            if memory in self._homes:
                squares.setdefault(self._homes[memory], []).append(size**2)
        return {level: math.sqrt(sum(one) / len(one)) for level, one in squares.items()}


def _weights(module: NestModule) -> dict[str, Tensor]:
    model: Any = module.model
    return dict(model.weights.named())
