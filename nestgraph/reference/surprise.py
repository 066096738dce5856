"""How much a text surprises the memories that learn from objectives of their own."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nestgraph.reference.model import Reference


@torch.no_grad()
def surprises(reference: Reference, tokens: Tensor) -> dict[str, float]:
    """Return the size of the gradients that each memory learns from, by ids such as `3.hope.a.M`.

    Of one position that is the Euclidean norm of the gradient of its objective by the memory's
    weights as they were at the last tick, before any rate (the surprise of Titans, arXiv
    2501.00663, eq. 8); here its root mean square over positions and rows. Memories that the task
    moves stay as they start.

    Args:
        reference: the model.
        tokens: (batch, time), the first of sequences.
    """
    sums: dict[str, Tensor] = {}

    def watch(memory: str, square_B: Tensor) -> None:
        sums[memory] = sums.get(memory, 0) + square_B.double().sum()

    batch, time = tokens.shape
    states = reference.unpacked(reference.initial_state(batch))
    parameters = reference.parameters_by_layer()
    for index in range(time):
        _, states = reference.step(tokens[:, index], states, parameters, index + 1, watch)
    return {memory: math.sqrt(float(total) / (batch * time)) for memory, total in sums.items()}
