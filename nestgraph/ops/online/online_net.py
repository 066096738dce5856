"""Online memories: nets whose weights each row of the batch has for itself, and how these move.

Their weights stand still within a segment; what moves them between two is a gradient of the whole
model's loss, which the caller takes. Plain differentiable tensor code: gradients of gradients
flow through it.

Legend: B batch, H heads, T tokens, D key width, E value width of a head, W = H·D.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from nestgraph.ops.common.activations import between
from nestgraph.ops.common.heads import merge_heads, split_heads
from nestgraph.ops.common.norms import EPS, standard
from nestgraph.ops.fused.gathered import Gathered, Products, Slope, gathering_net
from nestgraph.ops.history.newton_schulz import newton_schulz

Rate: TypeAlias = Tensor | float
Parts = tuple[Tensor, ...]  # matrices (B, H, out, in), input side first, then biases (B, H, out)


class OnlineState(NamedTuple):
    """What an online memory holds.

    Attributes:
        weights: its only state, matrices and biases.
        momentum: the same shapes; empty for a rule without momentum.
        rates: its coefficients that are flows, at the last position read, (B, 1 or H) each.
        grams: sums of a aᵀ, (B, H, in, in), over what the first layers were given since the last
            move; for a rule that erases.
        past: what the next gradients are added to, while a graph is built for all of them at once.
    """

    weights: Parts
    momentum: Parts = ()
    rates: Parts = ()
    grams: Parts = ()
    past: Gathered | None = None


class OnlineRates(NamedTuple):
    """Coefficients of one move, numbers or (B or 1, H or 1) each.

    Attributes:
        rate: of the gradient, inside the momentum.
        momentum: how much of the last push goes on.
        retain: how much of the weights is kept.
        step: of the direction, outside the momentum.
        share: of the way from the old weights to the new.
        erase_rate: of what the weights answer to what they were asked.
    """

    rate: Rate
    momentum: Rate
    retain: Rate
    step: Rate
    share: Rate
    erase_rate: Rate

    @property
    def plain(self) -> float | None:
        """Return what a move without momentum, direction and erasing multiplies the gradient by.

        None where coefficients differ between rows or heads, or some of the weights is forgotten.
        """
        rate, _, retain, step, share, _ = self
        if isinstance(rate, Tensor) or isinstance(step, Tensor) or isinstance(share, Tensor):
            return None
        return -rate * step * share if _is_one(retain) else None


def first_online(
    parts: Parts, batch: int, *, momentum: bool, rates: int, erased: int = 0
) -> OnlineState:
    """Return the state before the first token: `parts` (H, ...) for every row, on a node of its
    own.
    """
    weights = tuple(part.expand(batch, *part.shape).clone() for part in parts)
    speeds = tuple(torch.zeros_like(weight) for weight in weights) if momentum else ()
    blank = tuple(weights[0].new_zeros(batch, 1) for _ in range(rates))
    first = weights[:erased]
    grams = tuple(w.new_zeros(batch, w.shape[1], w.shape[-1], w.shape[-1]) for w in first)
    return OnlineState(weights, speeds, blank, grams)


def online_net(
    x_BTW: Tensor,
    weights: Parts,
    activation: str,
    *,
    layers: int,
    residual: bool,
    gated: bool = False,
    norm: str = "none",
    slow: Parts = (),
    past: Gathered | None = None,
) -> Tensor:
    """Return [x +] norm(W_L s(... W_1 x + b_1 ...) + b_L), row by row: (B, T, H·E).

    2 FLOPs a weight and token; the rows' weights are read once, which for few tokens a row costs
    more than the arithmetic.

    Args:
        x_BTW: queries, heads side by side.
        weights: each row's matrices, then biases.
        activation: name of the function between layers; see `nestgraph.ops.common.activations`.
        layers: how many of the weights are matrices.
        residual: whether the query is added to the answer.
        gated: whether a layer's upper rows gate its lower ones; `activations.between`.
        norm: of the last layer's output, over each head: none, layer_norm or rms_norm.
        slow: the norm's gain and shift, (H, E).
        past: what gradients of the weights are added to; then they are differentiable once.
    """
    if past is None:
        a, _ = _chain(x_BTW, weights, activation, layers, gated=gated)
    else:
        parts = _laid_out(x_BTW, weights[:layers], weights[layers:])
        a = gathering_net(*parts, activation, past, gated=gated)
    return _answer(x_BTW, a, norm, slow, residual=residual)


def asked_online_net(
    x_BTW: Tensor,
    weights: Parts,
    activation: str,
    *,
    layers: int,
    residual: bool,
    gated: bool = False,
    norm: str = "none",
    slow: Parts = (),
    erased: int,
    whole: bool,
    written: Tensor | None = None,
) -> tuple[Tensor, Parts]:
    """Return what `online_net` answers, and Σ a aᵀ over the tokens, (B, H, in, in), of the first
    layers.

    2 FLOPs a token and number of those more.

    Args:
        x_BTW: and all others, as in `online_net`.
        erased: how many layers.
        whole: whether the sums have a gradient.
        written: (B, T) whether each position counts in the sums; None where all do.
    """
    a, inputs = _chain(x_BTW, weights, activation, layers, gated=gated)
    given = inputs[:erased] if whole else [a.detach() for a in inputs[:erased]]
    answer = _answer(x_BTW, a, norm, slow, residual=residual)
    heads = weights[0].shape[:2]
    return answer, tuple((_counted(a, written).mT @ a).view(*heads, a.shape[-1], -1) for a in given)


def _counted(a: Tensor, written_BT: Tensor | None) -> Tensor:
    """Return rows (B, H, T, D), or (T, D) of a single net; 0 where a position does not count."""
    if written_BT is None:
        return a
    mask = written_BT[:, None, :, None] if a.dim() > 2 else written_BT[0, :, None]
    return torch.where(mask, a, 0.0)


def with_grams(state: OnlineState, more: Parts) -> OnlineState:
    """Return the state with sums of a piece added to its own."""
    return state._replace(grams=tuple(map(torch.add, state.grams, more)))


def last_rate(flow_BTH: Tensor) -> Tensor:
    """Return a coefficient as it is at the last position, (B, H)."""
    return flow_BTH[:, -1]


def online_step(
    weights: Parts,
    momentum: Parts,
    slopes: tuple[Slope, ...],
    rates: OnlineRates,
    *,
    steps: int,
    grams: Parts = (),
) -> tuple[Parts, Parts]:
    """Return one move: S ← βS − ηG, A = αΘ − ρΘK + γD(S), θ = Θ + c(A − Θ); language reference,
    `task`.

    Bytes: the weights are large and the arithmetic small, so that a factor of 1 costs no pass. A
    move that adds a multiple of G takes one; with G as products, none but theirs.

    Args:
        weights: Θ.
        momentum: S, or empty.
        slopes: G; as products only where `rates.plain` says all of the move.
        rates: η, β, α, γ, c and ρ.
        steps: of Newton-Schulz on S; 0 takes S as it is. Biases are never orthogonalised.
        grams: K, of as many of the first matrices as erase.

    Returns:
        θ and S.
    """
    scale = rates.plain
    if scale is not None and not (momentum or steps or grams):
        return tuple(_added(w, slope, scale) for w, slope in zip(weights, slopes, strict=True)), ()
    moved: list[Tensor] = []
    pushes: list[Tensor] = []
    for part, (weight, slope) in enumerate(zip(weights, slopes, strict=True)):
        assert isinstance(slope, Tensor)
        rate, beta, retain, step, share, erase = (_over(one, weight) for one in rates)
        kept = _times(retain, weight)
        if part < len(grams):
            kept = kept - erase * (weight @ grams[part])
        if not (momentum or steps or isinstance(rate, Tensor) or isinstance(step, Tensor)):
            there = torch.add(kept, slope, alpha=-rate * step)
        else:
            push = -rate * slope
            if momentum:
                push = beta * momentum[part] + push
            pushes.append(push)
            direction = newton_schulz(push, steps) if steps and push.ndim > 3 else push
            there = kept + _times(step, direction)
        moved.append(there if _is_one(share) else weight + share * (there - weight))
    return tuple(moved), tuple(pushes) if momentum else ()


def _chain(
    x_BTW: Tensor, weights: Parts, activation: str, layers: int, *, gated: bool
) -> tuple[Tensor, list[Tensor]]:
    """Return W_L s(... W_1 x + b_1 ...) + b_L, head by head, and what each layer was given."""
    function = between(activation, gated=gated)
    a, matrices, biases = _laid_out(x_BTW, weights[:layers], weights[layers:])
    inputs: list[Tensor] = []
    for layer, matrix in enumerate(matrices):
        a = function(a) if layer else a
        inputs.append(a)
        a = a @ matrix.mT
        a = a + biases[layer] if biases else a
    return a, inputs


def _laid_out(x_BTW: Tensor, matrices: Parts, biases: Parts) -> tuple[Tensor, Parts, Parts]:
    """Return rows, matrices and biases of a net as products take them.

    A single net is no batch of products, which are slower, and has no axes of rows and heads
    either: each would be a step of its own at every product, forth and back.
    """
    batch, heads = matrices[0].shape[:2]
    if batch * heads > 1:
        rows = split_heads(x_BTW, heads) if heads > 1 else x_BTW.unsqueeze(1)
        return rows, matrices, tuple(bias.unsqueeze(2) for bias in biases)
    plain = tuple(matrix.flatten(0, 2) for matrix in matrices)
    return x_BTW.flatten(0, 1), plain, tuple(bias.flatten(0, 2) for bias in biases)


def _added(weight: Tensor, slope: Slope, scale: float) -> Tensor:
    if isinstance(slope, Products):
        return slope.added_to(weight, scale)
    return torch.add(weight, slope, alpha=scale)


def _over(rate: Rate, weight: Tensor) -> Rate:
    if not isinstance(rate, Tensor):
        return rate
    return rate.reshape(*rate.shape, *[1] * (weight.ndim - 2))


def _is_one(rate: Rate) -> bool:
    return not isinstance(rate, Tensor) and rate == 1


def _times(rate: Rate, x: Tensor) -> Tensor:
    return x if _is_one(rate) else rate * x


def _answer(x_BTW: Tensor, a: Tensor, norm: str, slow: Parts, *, residual: bool) -> Tensor:
    y = _normed(a, norm, slow)
    y = merge_heads(y) if y.ndim > 3 else y.view(*x_BTW.shape[:2], -1)
    return x_BTW + y if residual else y


def _normed(y: Tensor, norm: str, slow: Parts) -> Tensor:
    if norm == "none":
        return y
    gain = slow[0].unsqueeze(1)
    if norm == "layer_norm":
        return standard(y) * gain + slow[1].unsqueeze(1)
    return y * (y.square().mean(-1, keepdim=True) + EPS).rsqrt() * gain
