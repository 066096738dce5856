"""What an event asks of a memory (§5): the declared objectives, one number a row and head.

Answers and values are (batch, heads, d_v); r is their difference. Nothing is differentiated here:
`nets.gradient` takes the gradient of these very expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from nestgraph.language.system import Objective


def loss(objective: Objective, answer: Tensor, value: Tensor, delta: Tensor | None) -> Tensor:
    """Return the declared objective of one event, (batch, heads).

    Args:
        objective: which one, with its numbers.
        answer: what the memory answers to the key.
        value: what it should answer.
        delta: (batch, heads), of `huber`: where it turns linear.
    """
    if objective.kind == "dot":
        return -objective.scale * (answer * value).sum(-1)
    return objective.scale * ERRORS[objective.kind](objective, answer - value, delta)


def _l2(_: Objective, r: Tensor, __: Tensor | None) -> Tensor:
    return 0.5 * r.square().sum(-1)


def _huber(objective: Objective, r: Tensor, delta: Tensor | None) -> Tensor:
    """Return ½ r² within δ, and beyond it δ(|r| − δ/2) in each channel, or δ‖r‖₁ for the whole
    head.
    """
    assert delta is not None, "`huber` has a `delta`"
    if objective.switch == "norm":
        # Yaad (arXiv 2504.13173) turns as a whole, where ‖r‖₂ passes δ.
        return torch.where(
            r.detach().norm(dim=-1) <= delta,
            0.5 * r.square().sum(-1),
            delta * r.abs().sum(-1),
        )
    wide = delta[..., None]
    beyond = wide * (r.abs() - wide / 2)
    return torch.where(r.abs() <= wide, 0.5 * r.square(), beyond).sum(-1)


def _lp(objective: Objective, r: Tensor, _: Tensor | None) -> Tensor:
    """Return Σ |r|^p. At r = 0 it is flat, also for the gradient of the gradient, which p < 2
    leaves.
    """
    assert objective.p is not None, "`lp` has a `p`"
    if objective.p >= 2:
        return r.abs().pow(objective.p).sum(-1)
    zero = r == 0
    away = torch.where(zero, torch.ones_like(r), r)
    return torch.where(zero, torch.zeros_like(r), away.abs().pow(objective.p)).sum(-1)


ERRORS: Mapping[str, Callable[[Objective, Tensor, Tensor | None], Tensor]] = {
    "l2": _l2,
    "huber": _huber,
    "lp": _lp,
}
