"""What a stack of alike memories is, and what it remembers.

Legend: B batch, H heads, M stacked memories, T tokens, D key width, E value width of a head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor

from nestgraph.ops.common.activations import ACTIVATIONS, Activation

Per = Literal["head", "value", "key", "cell"]


@dataclass(frozen=True, kw_only=True)
class MemoryConfig:
    """The axes of an anchored memory: net, objective and rule.

    Attributes:
        layers: how many matrices the net has.
        activation: between two layers; see `nestgraph.ops.common.activations`.
        residual: whether the net adds its input to its answer.
        linear: the net is one matrix, without activation and residual.
        bias: every layer adds a vector, held as a matrix of one column behind the matrices.
        norm: what the last layer's output goes through, with slow gain and shift.
        objective: what is made small: -<answer, value>, half the squared distance r, its Huber
            form, or the sum of |r|^power.
        scale: a factor on the objective.
        power: of `lp`.
        switch: where `huber` turns linear: channel by channel, or by the norm of r.
        window: positions whose events count in a write (Omega rule, arXiv 2505.23735).
        events: keys and values at one position.
        self_values: targets are the memory's own answers.
        retain_first: retention comes before the gradient and the erase.
        erase: which layers forget what they stored under their input: none, the first, all.
        erase_key: what is erased lies under a key of its own.
        implicit: rates become rate / (1 + rate |input|²), layer by layer.
        momentum: gradients pass through a momentum.
        stepped: the momentum is multiplied by a coefficient on its way to the weights.
        direction_steps: Newton-Schulz iterations on the momentum; 0 leaves it as it is.
        mirror: the map from state to weights.
        mirror_power: q of `lq`.
        reduces: what a period has moved so far counts with a factor, the `share`.
        gradient: what learning sees through writes: all, the state at the anchor, or that until
            the next commit.
        per: (role, per) of coefficients that are not one a head.
        signed: retention or momentum may be zero or negative.
        towards_start: retention pulls towards the first weights, not towards 0.
    """

    layers: int
    activation: str = "silu"
    residual: bool = False
    linear: bool = False
    bias: bool = False
    norm: Literal["none", "layer_norm", "rms_norm"] = "none"
    objective: Literal["dot", "l2", "huber", "lp"] = "l2"
    scale: float = 1.0
    power: float = 2.0
    switch: Literal["channel", "norm"] = "channel"
    window: int = 1
    events: int = 1
    self_values: bool = False
    retain_first: bool = False
    erase: Literal["none", "key", "layers"] = "none"
    erase_key: bool = False
    implicit: bool = False
    momentum: bool = False
    stepped: bool = False
    direction_steps: int = 0
    mirror: Literal["none", "softmax", "lq"] = "none"
    mirror_power: float = 2.0
    reduces: bool = False
    gradient: Literal["full", "first_order", "none"] = "full"
    per: tuple[tuple[str, Per], ...] = ()
    signed: bool = False
    towards_start: bool = False

    @property
    def nonlinearity(self) -> Activation:
        """The activation with its derivatives."""
        return ACTIVATIONS[self.activation]

    @property
    def adds_input(self) -> bool:
        """Return whether an answer contains the question."""
        return self.residual and not self.linear

    @property
    def is_plain_net(self) -> bool:
        """Return whether an answer is made of matrices, activations and the question alone."""
        return not self.bias and self.norm == "none"

    @property
    def past(self) -> int:
        """Events of earlier positions that still count."""
        return (self.window - 1) * self.events

    @property
    def is_explicit(self) -> bool:
        """Return whether the state at every token must be written out as a matrix.

        A step that isn't a sum of few products of two vectors, or coefficients within a matrix.
        """
        by_row = ("rate", "value") if self.erase == "none" else None
        within = any(per != "head" and (role, per) != by_row for role, per in self.per)
        return self.direction_steps > 0 or self.erase_key or within

    @property
    def is_directed(self) -> bool:
        """Return whether all that the state needs written out are the directions of its
        momentum.
        """
        plain = self.erase == "none" and not self.erase_key
        return self.direction_steps > 0 and plain and all(per == "head" for _, per in self.per)

    def kind(self, role: str) -> Per:
        """Return how many numbers a coefficient has."""
        return dict(self.per).get(role, "head")

    def erases(self, layer: int) -> bool:
        """Return whether writes to a layer (0 is the input side) first erase; biases never do."""
        if layer >= self.layers:
            return False
        return self.erase == "layers" or (self.erase == "key" and layer == 0)


class Window(NamedTuple):
    """Events of earlier positions that still count, oldest first; J = (window - 1) · events.

    Attributes:
        keys: (B, H, J, D).
        values: targets (B, H, M, J, E), or (B, H, 1, J, D) what the memory is asked for them.
        rate: (B, H, J) or (B, H, J, n); zero where there was no event yet.
        delta: of `huber`, (B, H, J); None where it is a number.
    """

    keys: Tensor
    values: Tensor
    rate: Tensor
    delta: Tensor | None


class State(NamedTuple):
    """What a stack of memories holds between two events.

    Attributes:
        running: each layer's weights as they are now, (B, H, M, out, in), input side first; behind
            them the biases, (B, H, M, out, 1).
        anchor: the weights of the last tick, where gradients are taken.
        momentum: as `running`, or empty without momentum.
        kept: product of retentions since the tick, (B, H), or (B, H, n); only with `retain_first`.
        share: the last position's factor of what the period has moved, (B, H); with `reduces`.
        window: events that still count; with a window of several positions.
    """

    running: tuple[Tensor, ...]
    anchor: tuple[Tensor, ...]
    momentum: tuple[Tensor, ...] = ()
    kept: Tensor | None = None
    share: Tensor | None = None
    window: Window | None = None
