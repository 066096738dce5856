"""How much the text of a training surprises the memories that learn from their own objectives.

No kernel hands out its gradients, so the interpreter reads a little of the text beside it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from nestgraph.analysis.parameters import parameter_table
from nestgraph.analysis.support import unsupported
from nestgraph.language.system import System
from nestgraph.reference import Reference
from nestgraph.reference.surprise import surprises
from nestgraph.training.levels import token_memories
from nestgraph.training.module import NestModule

POSITIONS = 32  # of one sequence: a second or two of a small model, at each validation
MOST = 2**24  # parameters; beyond, a position takes the interpreter too long


class Surprise:
    """Measures levels on tokens that have an objective of their own.

    Args:
        system: of the model.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self._reference: Reference | None = None
        count = sum(spec.size for spec in parameter_table(system))
        can = count <= MOST and not unsupported(system)
        self._homes = {
            name: memory.level.name
            for name, memory in token_memories(system)
            if can and memory.objective.kind != "task"
        }

    @property
    def levels(self) -> tuple[str, ...]:
        """Those that are measured; none where the interpreter can't or would take too long."""
        return tuple(dict.fromkeys(self._homes.values()))

    @torch.inference_mode(False)
    @torch.no_grad()
    def of(self, module: NestModule, tokens: Tensor) -> dict[str, float]:
        """Return root mean squares over the memories of each level, for the first of tokens (1,
        time).
        """
        if not self._homes:
            return {}
        if self._reference is None:
            self._reference = Reference(self._system, dtype=torch.float32, blank=True).to(
                module.device
            )
        own = self._reference.weights.named()
        model: Any = module.model
        for name, weight in model.weights.named().items():
            own[name].copy_(weight)
        squares: dict[str, list[float]] = {}
        for memory, size in surprises(self._reference, tokens[:1, :POSITIONS]).items():
            if memory in self._homes:
                squares.setdefault(self._homes[memory], []).append(size**2)
        return {level: math.sqrt(sum(one) / len(one)) for level, one in squares.items()}
