"""Gradients at the anchor as rank-one pairs: each layer's input and its output's gradient.

Legend: B batch, H heads, M stacked memories, J events, D key width, E value width; N is 1 where
all members share a tensor, else M.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from nestgraph.ops.ttt.memory_config import MemoryConfig
from nestgraph.ops.ttt.net_norms import Slow, back, normed
from nestgraph.ops.ttt.nets import answer
from nestgraph.ops.ttt.objectives import slope as slope_of


class Rank1Grads(NamedTuple):
    """G_j = slopes_j inputs_jᵀ is the gradient of one matrix at event j.

    Attributes:
        inputs: what the layer was fed, (B, H, N, J, in); ones (1, 1, 1, J, 1) for a bias.
        slopes: gradient of the objective at the layer's output, (B, H, M, J, out).
    """

    inputs: Tensor
    slopes: Tensor


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a memory is to learn.

    Attributes:
        keys: (B, H, J, D).
        values: targets (B, H, M, J, E); None with `own`.
        own: queries (B, H, J, D) whose answers at the anchor are the targets.
        delta: of `huber`, (B, H, J).
    """

    keys: Tensor
    values: Tensor | None
    own: Tensor | None
    delta: Tensor | None = None


class Net(Protocol):
    """The net where gradients are taken; rows are (B, H, M or 1, J, width)."""

    def enter(self, keys: Tensor) -> Tensor:
        """Return keys through the first layer."""

    def ahead(self, layer: int, a: Tensor) -> Tensor:
        """Return inputs of a layer through it."""

    def back(self, layer: int, d: Tensor) -> Tensor:
        """Return gradients of a layer's output back through its matrix."""

    def answer(self, own: Tensor) -> Tensor:
        """Return what it says of own queries (B, H, J, D), which are targets."""


@dataclass(frozen=True, kw_only=True)
class NetAtAnchor:
    """The net as its weights are.

    Attributes:
        config: what the memories are.
        weights: each layer's (B, H, M, out, in), then the biases (B, H, M, out, 1).
        slow: gain and shift of the norm.
        kept_BHJ: with `retain_first`, what is left of the weights at each event.
        asked: the weights that answer own values, where they aren't these.
        towards: what is wholly left of them, beside `weights`; only with `kept_BHJ`.
    """

    config: MemoryConfig
    weights: tuple[Tensor, ...]
    slow: Slow = ()
    kept_BHJ: Tensor | None = None
    asked: tuple[Tensor, ...] | None = None
    towards: tuple[Tensor, ...] = ()

    def enter(self, keys: Tensor) -> Tensor:
        """See `Net`."""
        return self.ahead(0, keys)

    def ahead(self, layer: int, a: Tensor) -> Tensor:
        """See `Net`."""
        z = self._faded(self._through(self.weights, layer, a))
        return z + self._through(self.towards, layer, a) if self.towards else z

    def back(self, layer: int, d: Tensor) -> Tensor:
        """See `Net`."""
        under = self._faded(d @ self.weights[layer])
        return under + d @ self.towards[layer] if self.towards else under

    def answer(self, own: Tensor) -> Tensor:
        """See `Net`."""
        return answer(self.config, self.asked or self.weights, own, self.slow)

    def _through(self, weights: tuple[Tensor, ...], layer: int, a: Tensor) -> Tensor:
        z = a @ weights[layer].mT
        return z + weights[self.config.layers + layer].mT if self.config.bias else z

    def _faded(self, y_BHMJE: Tensor) -> Tensor:
        kept = self.kept_BHJ
        return y_BHMJE if kept is None else y_BHMJE * kept[:, :, None, :, None]


def rank1_grads(config: MemoryConfig, net: Net, facts: Facts, slow: Slow = ()) -> list[Rank1Grads]:
    """Return forward and backward of the net for every key: all matrices, then all biases.

    Args:
        config: what the memories are.
        net: where gradients are taken.
        facts: keys and targets.
        slow: gain and shift of the norm.
    """
    x = facts.keys.unsqueeze(2)
    inputs, outputs = [x], [net.enter(x)]
    for layer in range(1, config.layers):
        inputs.append(config.nonlinearity.value(outputs[-1]))
        outputs.append(net.ahead(layer, inputs[-1]))
    values = facts.values if facts.own is None else net.answer(facts.own)
    assert values is not None, "a write needs values or self values"
    y = normed(config, outputs[-1], slow)
    top = slope_of(config, x + y if config.adds_input else y, values, facts.delta)
    slopes = [back(config, top, outputs[-1], slow)]
    for layer in range(config.layers - 1, 0, -1):
        under = net.back(layer, slopes[-1])
        slopes.append(config.nonlinearity.back(under, outputs[layer - 1], inputs[layer]))
    found = [Rank1Grads(*pair) for pair in zip(inputs, reversed(slopes), strict=True)]
    if config.bias:
        ones = x.new_ones(1, 1, 1, x.shape[-2], 1)
        found += [Rank1Grads(ones, pair.slopes) for pair in found]
    return found
