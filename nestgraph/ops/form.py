"""What a stack of alike memories is, and what it remembers.

Legend: B batch, H heads, M stacked memories, T tokens, D key width, E value width of a head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor

from nestgraph.ops.activations import ACTIVATIONS, Activation


@dataclass(frozen=True, kw_only=True)
class Form:
    """The axes of an anchored memory: net, objective and rule.

    Attributes:
        layers: how many matrices the net has.
        activation: between two layers; see `nestgraph.ops.activations`.
        residual: whether the net adds its input to its answer.
        linear: the net is one matrix, without activation and residual.
        objective: what is made small: -<answer, value>, or half the squared distance.
        scale: a factor on the objective.
        retain_first: retention comes before the gradient and the erase.
        erase: which layers forget what they stored under their input: none, the first, all.
        implicit: rates become rate / (1 + rate |input|²), layer by layer.
        momentum: gradients pass through a momentum.
        signed: retention or momentum may be zero or negative.
    """

    layers: int
    activation: str = "silu"
    residual: bool = False
    linear: bool = False
    objective: Literal["dot", "l2"] = "l2"
    scale: float = 1.0
    retain_first: bool = False
    erase: Literal["none", "key", "layers"] = "none"
    implicit: bool = False
    momentum: bool = False
    signed: bool = False

    @property
    def nonlinearity(self) -> Activation:
        """The activation with its derivatives."""
        return ACTIVATIONS[self.activation]

    @property
    def adds_input(self) -> bool:
        """Whether an answer contains the question."""
        return self.residual and not self.linear

    def erases(self, layer: int) -> bool:
        """Whether writes to a layer (0 is the input side) first erase."""
        return self.erase == "layers" or (self.erase == "key" and layer == 0)


class State(NamedTuple):
    """What a stack of memories holds between two events.

    Attributes:
        running: each layer's weights as they are now, (B, H, M, out, in), input side first.
        anchor: the weights of the last tick, where gradients are taken.
        momentum: as `running`, or empty without momentum.
        kept: product of retentions since the tick, (B, H); only with `retain_first`.
    """

    running: tuple[Tensor, ...]
    anchor: tuple[Tensor, ...]
    momentum: tuple[Tensor, ...] = ()
    kept: Tensor | None = None
