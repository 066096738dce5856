"""Gradients at the anchor as rank-one pairs: each layer's input and its output's gradient.

Legend: B batch, H heads, M stacked memories, J events, D key width, E value width; N is 1 where
all members share a tensor, else M.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from nestgraph.ops.form import Form
from nestgraph.ops.net_norms import Slow, back, normed
from nestgraph.ops.nets import answer
from nestgraph.ops.objectives import slope as slope_of


class Factors(NamedTuple):
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


def layer_factors(
    form: Form,
    anchor: tuple[Tensor, ...],
    facts: Facts,
    slow: Slow = (),
    kept_BHJ: Tensor | None = None,
    asked: tuple[Tensor, ...] | None = None,
) -> list[Factors]:
    """Forward and backward of the net for every key: all matrices, then all biases.

    Args:
        form: what the memories are.
        anchor: each layer's weights (B, H, M, out, in), then the biases (B, H, M, out, 1).
        facts: keys and targets.
        slow: gain and shift of the norm.
        kept_BHJ: with `retain_first`, what is left of the anchor at each event.
        asked: the weights that answer own values, where they aren't the anchor.
    """
    kept = None if kept_BHJ is None else kept_BHJ[:, :, None, :, None]
    x = facts.keys.unsqueeze(2)
    inputs, outputs = [x], [_output(form, anchor, 0, x, kept)]
    for layer in range(1, form.layers):
        inputs.append(form.nonlinearity.value(outputs[-1]))
        outputs.append(_output(form, anchor, layer, inputs[-1], kept))
    values = facts.values
    if facts.own is not None:
        values = answer(form, asked or anchor, facts.own, slow)
    assert values is not None, "a write needs values or self values"
    y = normed(form, outputs[-1], slow)
    top = slope_of(form, x + y if form.adds_input else y, values, facts.delta)
    slopes = [back(form, top, outputs[-1], slow)]
    for layer in range(form.layers - 1, 0, -1):
        under = _fade(slopes[-1] @ anchor[layer], kept)
        slopes.append(form.nonlinearity.back(under, outputs[layer - 1], inputs[layer]))
    found = [Factors(*pair) for pair in zip(inputs, reversed(slopes), strict=True)]
    if form.bias:
        ones = x.new_ones(1, 1, 1, x.shape[-2], 1)
        found += [Factors(ones, pair.slopes) for pair in found]
    return found


def _output(
    form: Form, anchor: tuple[Tensor, ...], layer: int, a: Tensor, kept: Tensor | None
) -> Tensor:
    z = a @ anchor[layer].mT
    if form.bias:
        z = z + anchor[form.layers + layer].mT
    return _fade(z, kept)


def _fade(y_BHMJE: Tensor, kept: Tensor | None) -> Tensor:
    return y_BHMJE if kept is None else y_BHMJE * kept
