"""Gradients at the anchor as rank-one pairs: each layer's input and its output's gradient.

Legend: B batch, H heads, M stacked memories, T tokens, D key width, E value width; N is 1 where
all members share a tensor, else M.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from nestgraph.ops.form import Form
from nestgraph.ops.nets import answer


class Factors(NamedTuple):
    """G_t = slopes_t inputs_tᵀ is the gradient of one matrix at token t.

    Attributes:
        inputs: what the layer was fed, (B, H, N, T, in).
        slopes: gradient of the objective at the layer's output, (B, H, M, T, out).
    """

    inputs: Tensor
    slopes: Tensor


def layer_factors(
    form: Form,
    anchor: tuple[Tensor, ...],
    k_BHTD: Tensor,
    values_BHMTE: Tensor | None,
    self_values_BHTD: Tensor | None,
    kept_BHT: Tensor | None,
) -> list[Factors]:
    """Forward and backward of the net for every key, all layers.

    Args:
        form: what the memories are.
        anchor: each layer's (B, H, M, out, in).
        k_BHTD: keys.
        values_BHMTE: targets; None with `self_values_BHTD`.
        self_values_BHTD: queries whose answers are the targets.
        kept_BHT: with `retain_first`, what is left of the anchor at each token.

    Returns:
        One pair a layer, input side first.
    """
    kept = None if kept_BHT is None else kept_BHT[:, :, None, :, None]
    x = k_BHTD.unsqueeze(2)
    inputs, outputs = [x], [_fade(x @ anchor[0].mT, kept)]
    for weight in anchor[1:]:
        inputs.append(form.nonlinearity.value(outputs[-1]))
        outputs.append(_fade(inputs[-1] @ weight.mT, kept))
    if self_values_BHTD is not None:
        values_BHMTE = answer(form, anchor, self_values_BHTD)
    assert values_BHMTE is not None, "a write needs values or self values"
    if form.objective == "dot":
        slope = -form.scale * values_BHMTE
    else:
        y = x + outputs[-1] if form.adds_input else outputs[-1]
        slope = form.scale * (y - values_BHMTE)
    slopes = [slope]
    for layer in range(len(anchor) - 1, 0, -1):
        back = _fade(slope @ anchor[layer], kept)
        slope = form.nonlinearity.back(back, outputs[layer - 1], inputs[layer])
        slopes.append(slope)
    return [Factors(*pair) for pair in zip(inputs, reversed(slopes), strict=True)]


def _fade(y_BHMTE: Tensor, kept: Tensor | None) -> Tensor:
    return y_BHMTE if kept is None else y_BHMTE * kept


def rates_of(
    form: Form,
    layer: int,
    inputs_BHNTD: Tensor,
    rate_BHT: Tensor | None,
    erase_rate_BHT: Tensor | None,
    retain_BHT: Tensor | None,
) -> tuple[Tensor | float, Tensor | None]:
    """A layer's write rate and erase rate at each token.

    Args:
        form: what the memories are.
        layer: 0 is the input side.
        inputs_BHNTD: the layer's inputs.
        rate_BHT: step size; None is 1.
        erase_rate_BHT: None takes the write rate.
        retain_BHT: retention; the erase acts on what it leaves with `retain_first`.

    Returns:
        The write rate (B, H, N, T, 1), or the number 1; and the erase rate, or None.
    """
    rate: Tensor | float = 1.0 if rate_BHT is None else rate_BHT[:, :, None, :, None]
    if form.implicit:
        rate = rate / (1 + rate * inputs_BHNTD.square().sum(-1, keepdim=True))
    if not form.erases(layer):
        return rate, None
    if erase_rate_BHT is not None:
        erase = erase_rate_BHT[:, :, None, :, None]
    elif isinstance(rate, float):
        erase = inputs_BHNTD.new_ones(1, 1, 1, 1, 1)
    else:
        erase = rate
    if form.retain_first and retain_BHT is not None:
        erase = erase * retain_BHT[:, :, None, :, None]
    return rate, erase
