"""A linear memory that keeps, erases and learns in every channel at its own pace, in chunks.

    R_t = A_{t-1} diag(α_t) if retain_first else A_{t-1}
    A_t = A_{t-1} diag(α_t) - Σ_j (ρ_tj ⊙ R_t e_tj) e_tjᵀ - scale Σ_j (η_t ⊙ g_tj) k_tjᵀ
    g_t = R_t k_t - v_t  for `l2`,  -v_t  for `dot`

with retention by key channel (or by head, or by value: diag(α) on the left), rates and erases by
head, key (⊙ on the key) or value, and an erase under a key of its own. It is RWKV-7 (arXiv
2503.14456) with `dot`, α and ρ by key and e the normalised key; gated linear attention (arXiv
2312.06635) with `dot` and α by key; Kimi's delta attention (arXiv 2510.26692) with `l2`,
`retain_first` and α by key; and Comba with an erase beside the write.

All of it is two kinds of events. A *pull* has keys x and y and adds u yᵀ with u = w - c ⊙ (R x);
a *write* adds w zᵀ. A rate by key lies on y or z, a rate by value in c and w. What is left of an
event where a later one meets it, M, comes from `fades`; with it a chunk that starts at A is

    U = (I + c M_xy)^-1 (w - c M_xz W - c X̂ Aᵀ) = Z_w - Z_k Aᵀ      (`delta_columns`)

where c is one number an event. Where retention by key leaves enough of every channel over a chunk,
x and y are measured against the chunk's start instead, and M is one product (`key_blocks`). With
rates by value, or retention by value, every row of A has an inverse of its own (`delta_rows`). No
form in chunks is known where a rate or retention differs by cell, nor where retention differs by
key and by value: those are for `selective_scan` or a loop.

An `after` read at t is a `before` read at t + 1, so that all reads are of one kind.

Legend: B batch, H heads, T time, n events a position, D key width, E value width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from nestgraph.ops.common.chunks import Cut, spread
from nestgraph.ops.common.skips import where_written
from nestgraph.ops.delta_rule.delta_blocks_fwd import At, Shape, asked_filled, filled
from nestgraph.ops.diagonal_delta_rule import delta_columns, delta_rows
from nestgraph.ops.diagonal_delta_rule.chunk_decay import (
    SIGNED_CHUNK,
    Decay,
    HeadDecay,
    KeyDecay,
    NoDecay,
    SignedKeyDecay,
)
from nestgraph.ops.diagonal_delta_rule.delta_events import Events, gather
from nestgraph.ops.diagonal_delta_rule.key_blocks import key_blocks
from nestgraph.ops.diagonal_delta_rule.key_blocks_fwd import within_reach


def diagonal_delta(
    k_BHTD: Tensor,
    v_BHTE: Tensor,
    first_BHED: Tensor,
    rate: Tensor | float,
    retain: Tensor | float | None,
    erase: Tensor | float | None,
    reads: Sequence[tuple[Tensor, At]],
    *,
    erase_key: Tensor | None = None,
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
        rate: η; here and below a number, (H,), (B, H, T), by value (B, H, T, E) or
            (B, H, T, E, 1), or by key (B, H, T, 1, D).
        retain: α; None is 1.
        erase: ρ; None is 0.
        reads: queries (B, H, T, D), each with whether its answer knows its own position's event.
        erase_key: e (B, H, T, D); None erases under the keys themselves.
        objective: what the memory makes small.
        scale: a factor on the objective.
        retain_first: gradient and erase see what retention left.
        signed: retention may be zero or negative; by key that costs C·D numbers a position.
        written: (B, T) whether each position is written; None where all are.
        chunk: tokens that are worked out together, rounded to a power of two.

    Returns:
        One answer (B, H, T, E) a read, and the matrix after the last event (B, H, E, D).
    """
    batch, heads, time = k_BHTD.shape[:3]
    alike = erase is rate and scale == 1.0
    alpha = None if retain is None else spread(retain, k_BHTD)
    eta, rho = spread(rate, k_BHTD), None if erase is None else spread(erase, k_BHTD)
    if written is not None:
        eta = where_written(written, eta, 0.0)
        rho = None if rho is None else where_written(written, rho, 0.0)
        alpha = None if alpha is None else where_written(written, alpha, 1.0)
    assert alpha is None or 1 in alpha.shape[3:], "retention by cell has no form in chunks"
    by_value = alpha is not None and alpha.shape[3] > 1
    events = gather(
        k_BHTD,
        v_BHTE,
        eta * scale,
        rho,
        alpha if retain_first else None,
        erase_key=erase_key,
        pulling=objective == "l2",
        alike=alike,
    )
    rows = by_value or events.by_value
    limit = min(chunk, delta_rows.CHUNK) if rows else chunk
    by_key = alpha is not None and alpha.shape[4] > 1
    limit = min(limit, SIGNED_CHUNK) if signed and by_key else limit
    size = _size(limit, time)
    if alpha is not None and by_key and not (signed or rows) and within_reach(alpha, size):
        shape = Shape(batch, heads, size, 1)
        whole = Events(*(filled(shape, x) for x in events))
        left = filled(shape, alpha.squeeze(3), 1.0)
        return asked_filled(
            shape, reads, lambda asked: key_blocks(shape, whole, left, first_BHED, asked)
        )
    cut = Cut(batch, heads, time, size)
    queries = torch.stack([_shifted(q, at) for q, at in reads], 3) if reads else None
    asked = (
        k_BHTD.new_zeros(batch, heads, time, 0, k_BHTD.shape[-1]) if queries is None else queries
    )
    decay = NoDecay() if by_value or alpha is None else _fade(cut, alpha, signed)
    first = first_BHED.flatten(0, 1)
    if rows:
        fading = cut.split(alpha[..., 0], 1.0) if by_value and alpha is not None else None
        found, last = delta_rows.run(cut, decay, events, first, asked, fading, signed)
    else:
        found, last = delta_columns.run(cut, decay, events, first, asked)
    state = last.view(batch, heads, *last.shape[1:])
    answers = [
        _unshifted(cut.join(y), q, at, state)
        for y, (q, at) in zip(found.unbind(3), reads, strict=True)
    ]
    return answers, state


def _size(limit: int, time: int) -> int:
    """Return the largest power of two up to `limit`, and no longer than the sequence needs."""
    return int(1 << min(limit.bit_length() - 1, max(time - 1, 0).bit_length()))


def _fade(cut: Cut, alpha: Tensor, signed: bool) -> Decay:
    split = cut.split(alpha[..., 0, :], 1.0)
    if split.shape[-1] == 1:
        return HeadDecay(split[..., 0], signed=signed)
    return SignedKeyDecay(split) if signed else KeyDecay(split)


def _shifted(q_BHTD: Tensor, at: At) -> Tensor:
    """Return queries where they are answered from the state before."""
    if at == "before":
        return q_BHTD
    return torch.cat((torch.zeros_like(q_BHTD[:, :, :1]), q_BHTD[:, :, :-1]), 2)


def _unshifted(y_BHTE: Tensor, q_BHTD: Tensor, at: At, last_BHED: Tensor) -> Tensor:
    if at == "before":
        return y_BHTE
    return torch.cat((y_BHTE[:, :, 1:], q_BHTD[:, :, -1:] @ last_BHED.mT), 2)
