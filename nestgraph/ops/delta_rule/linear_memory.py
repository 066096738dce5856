"""A linear memory over a whole sequence in chunks: (gated) delta rule or decayed sum.

For a memory that writes into a matrix A and corrects its last state at every event:

    R_t = α_t A_{t-1} if retain_first else A_{t-1}
    A_t = α_t A_{t-1} - ρ_t (R_t k_t) k_tᵀ - η_t g_t k_tᵀ
    g_t = scale (R_t k_t - v_t) for `l2`, -scale v_t for `dot`

so A_t = α_t A_{t-1} + (w_t - c_t A_{t-1} k_t) k_tᵀ with w = η scale v and
c = (η scale [l2] + ρ) (α if retain_first). In chunks of C tokens that is the WY form of Yang et
al. (arXiv 2406.06484, 2412.06464), and without c the chunked form of Mamba-2 (arXiv 2405.21060);
`delta_blocks` has it, with what it costs.

Several events of one position all meet the state before it, and their writes and erases add up:
there is a row an event, and nothing between events of one position.

Legend: B batch, H heads, T time, n events a position, D key width, E value width; G = B·H groups,
N chunks of C tokens, R = C·n events of a chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from nestgraph.ops.common.skips import where_written
from nestgraph.ops.delta_rule.decay import ratios
from nestgraph.ops.delta_rule.delta_blocks import delta_blocks
from nestgraph.ops.delta_rule.delta_blocks_fwd import At, Paces, Shape, asked_filled, copies, filled

Coefficient = Tensor | float


def linear_memory(
    k_BHTD: Tensor,
    v_BHTE: Tensor,
    first_BHED: Tensor,
    rate: Coefficient,
    retain: Coefficient | None,
    erase: Coefficient | None,
    reads: Sequence[tuple[Tensor, At]],
    *,
    objective: Literal["dot", "l2"] = "l2",
    scale: float = 1.0,
    retain_first: bool = False,
    signed: bool = False,
    written: Tensor | None = None,
    chunk: int = 32,
) -> tuple[list[Tensor], Tensor]:
    """Write all events and answer all queries.

    Args:
        k_BHTD: keys; (B, H, T, n, D) for several events a position, which share its rates.
        v_BHTE: values; (B, H, T, n, E) for several events.
        first_BHED: the matrix before the first event.
        rate: η; here and below a number, (H,) or (B, H, T). With `dot` it may also differ by
            value, (B, H, T, E).
        retain: α; None is 1.
        erase: ρ; None is 0.
        reads: queries (B, H, T, D), each with whether its answer knows its own position's event.
        objective: what the memory makes small.
        scale: a factor on the objective.
        retain_first: gradient and erase see what retention left.
        signed: retention may be zero or negative.
        written: (B, T) whether each position is written; None where all are.
        chunk: tokens that are worked out together.

    Returns:
        One answer (B, H, T, E) a read, and the matrix after the last event (B, H, E, D).
    """
    batch, heads, time = k_BHTD.shape[:3]
    if k_BHTD.dim() == 4:
        k_BHTD, v_BHTE = k_BHTD.unsqueeze(3), v_BHTE.unsqueeze(3)
    shape = Shape(batch, heads, max(1, min(chunk, time)), k_BHTD.shape[3])
    rate = _broadcast(rate, k_BHTD)
    if written is not None:
        rate = where_written(written, rate, 0.0)
    assert rate.dim() == 3 or objective == "dot", "rates by value have no closed form with `l2`"
    pull = rate * scale if objective == "l2" else None
    if erase is not None:
        erase = _broadcast(erase, k_BHTD)
        erase = erase if written is None else where_written(written, erase, 0.0)
        pull = erase if pull is None else pull + erase
    if retain is not None:
        retain = _broadcast(retain, k_BHTD)
        retain = retain if written is None else where_written(written, retain, 1.0)
        pull = pull * retain if pull is not None and retain_first else pull
    events, whole = _left(shape, retain, k_BHTD, signed)
    paces = Paces(
        _paces(shape, rate * scale), None if pull is None else _paces(shape, pull), events, whole
    )
    keys, values = filled(shape, k_BHTD), filled(shape, v_BHTE)
    return asked_filled(
        shape,
        reads,
        lambda asked: delta_blocks(keys, values, first_BHED, paces, asked, shape),
    )


def _broadcast(value: Coefficient, k_BHTD: Tensor) -> Tensor:
    if not isinstance(value, Tensor):
        value = k_BHTD.new_tensor(value)
    if value.dim() > 3:
        return value
    value = value.unsqueeze(-1) if value.dim() == 1 else value
    return value.expand(k_BHTD.shape[:3])


def _paces(shape: Shape, x_BHT: Tensor) -> Tensor:
    """Return a coefficient (B, H, T) or (B, H, T, E) for each event, (N, G, R, 1 or E)."""
    x = shape.chunks(filled(shape, x_BHT)).flatten(1, 2)
    return copies(x.unsqueeze(-1) if x_BHT.dim() == 3 else x, shape.many)


def _left(
    shape: Shape, retain_BHT: Tensor | None, keys: Tensor, signed: bool
) -> tuple[Tensor, Tensor | None]:
    """Return P (N, G, C, R) and b (N, G, C, 1) within chunks; b is None if nothing decays."""
    size, many, groups = shape.size, shape.many, shape.batch * shape.heads
    if retain_BHT is None:
        ones = torch.ones(size, size, dtype=keys.dtype, device=keys.device).tril()
        ones = ones if many == 1 else ones.repeat_interleave(many, -1)
        return ones.expand(-(-keys.shape[2] // size), groups, -1, -1), None
    split = shape.chunks(filled(shape, retain_BHT, 1.0)).flatten(1, 2)
    events, whole = ratios(split, signed)
    events = events if many == 1 else events.repeat_interleave(many, -1)
    return events, whole.unsqueeze(-1)
