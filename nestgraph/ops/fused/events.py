"""The arguments of a step of `step_math.py` and `fused_momentum.py`.

Legend: as in `step_math.py`; J the m of all layers: 1 for the first, then M each.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Events(NamedTuple):
    """The arguments of a step.

    Attributes:
        anchors: each layer's (G, out, in).
        running: the same list if the last tick was just now.
        rows: keys and self values, (G, R, D).
        values: targets (G, T, E), or None with self values.
        rate: (N, T).
        erase: (N, T), or None for the memory's own rate.
        q: (N, T+1, T+1).
    """

    anchors: list[Tensor]
    running: list[Tensor]
    rows: Tensor
    values: Tensor | None
    rate: Tensor
    erase: Tensor | None
    q: Tensor

    @property
    def time(self) -> int:
        """T."""
        return self.rate.shape[1]

    @property
    def groups(self) -> int:
        """N."""
        return self.rate.shape[0]

    def spread(self, x_G: Tensor) -> Tensor:
        """Return (G, ...) as (M, N, ...), or (n, ...) as (m, N, ...): a view."""
        return x_G.view(-1, self.groups, *x_G.shape[1:])

    @property
    def members(self) -> int:
        """M."""
        return len(self.rows) // self.groups

    def alone(self, a_G: Tensor, layer: int) -> Tensor:
        """Return keys' inputs of a layer, (n, T, in): all members see the same ones at the
        first.
        """
        return a_G[: self.groups if layer == 0 else None, : self.time]

    def of_layer(self, x_J: Tensor, layer: int) -> Tensor:
        """Return one layer's (m, ...) of what stands for all, (J, ...), or for all alike, (1,
        ...).
        """
        if len(x_J) == 1:
            return x_J
        first = 1 + (layer - 1) * self.members if layer else 0
        return x_J[first : first + (self.members if layer else 1)]

    @property
    def left(self) -> Tensor:
        """Return what retention leaves of a matrix at the segment's end, (G, 1, 1)."""
        return self.q[:, -1, 0].expand(self.members, -1).reshape(-1, 1, 1)
