"""The parts of a compiled model that whoever drives it piece by piece asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

from nestgraph.compiler.ir import Program
from nestgraph.runtime.weights import Weights

Prepared = tuple[Mapping[str, Tensor], Mapping[str, Any]]
"""Parameters by name, and by layer the work on them alone."""


class PieceRunner(Protocol):
    """A model that runs pieces of a sequence.

    Attributes:
        program: that it runs.
        weights: its parameters.
    """

    program: Program
    weights: Weights

    def prepared(self, *, constant: bool = False) -> Prepared:
        """Return the parameters, as constants if wished, and the work of layers on them alone."""
        ...

    def piece(
        self,
        prepared: Prepared,
        tokens: Tensor,
        layers: Mapping[str, Any],
        start: int,
        written: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Any]]:
        """Return what the head is given from position `start` on, and the layers' states behind."""
        ...

    def scores(self, prepared: Prepared, x_BTW: Tensor) -> Tensor:
        """Return what the head answers."""
        ...

    def first_layers(self, prepared: Prepared, like: Mapping[str, Any]) -> dict[str, Any]:
        """Return the layers' states before the first token, for as many rows as `like` has."""
        ...
