"""The parts of an interpreted model that memories with `objective: task` on tokens ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from nestgraph.language.system import Model
from nestgraph.reference.block import LayerState, Watch
from nestgraph.reference.starts import Parameters


class Stepper(Protocol):
    """A model that takes one position after the other.

    Attributes:
        model: of its system.
    """

    model: Model

    def step(
        self,
        token: Tensor,
        states: Mapping[str, LayerState],
        parameters: Mapping[str, Parameters],
        position: int,
        watch: Watch | None = None,
        written: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, LayerState]]:
        """Return what the head is given at a position, and the layers' states behind it."""
        ...

    def scores(self, x: Tensor, parameters: Mapping[str, Parameters]) -> Tensor:
        """Return what the head answers to what it is given (..., width)."""
        ...

    def unpacked(self, flat: Mapping[str, Tensor]) -> dict[str, LayerState]:
        """Return the state of each layer out of a flat one."""
        ...

    def packed(self, states: Mapping[str, LayerState]) -> dict[str, Tensor]:
        """Return the inverse of `unpacked`."""
        ...

    def parameters_by_layer(self, *, constant: bool = False) -> dict[str, Parameters]:
        """Return every layer's parameters, by its path, then the owner, then the short name."""
        ...
