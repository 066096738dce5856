"""A linear memory over a whole sequence in chunks: (gated) delta rule or decayed sum.

For a memory that writes into a matrix A and corrects its last state at every event:

    R_t = α_t A_{t-1} if retain_first else A_{t-1}
    A_t = α_t A_{t-1} - ρ_t (R_t k_t) k_tᵀ - η_t g_t k_tᵀ
    g_t = scale (R_t k_t - v_t) for `l2`, -scale v_t for `dot`

so A_t = α_t A_{t-1} - (w_t + c_t A_{t-1} k_t) k_tᵀ with w = -η scale v and
c = (η scale [l2] + ρ) (α if retain_first). Within a chunk of C tokens that starts at A, with P
and b the products of α between two tokens and from the start (`_prev`: one token earlier):

    U = (I + L)^-1 (w + c b_prev K Aᵀ) = Z_w + Z_k Aᵀ,     L = c (P_prev ∘ K Kᵀ)
    A' = A (b_C I - Z_kᵀ diag(P_C) K) - Z_wᵀ diag(P_C) K
    Y  = (b Q - S Z_k) Aᵀ - S Z_w,                         S = P ∘ Q Kᵀ

the WY form of Yang et al. (arXiv 2406.06484, 2412.06464). Everything but A' is worked out for
all chunks at once; the loop over chunks is one D x D product each. Without c there is no inverse
and A' = b_C A - wᵀ diag(P_C) K, the chunked form of Mamba-2 (arXiv 2405.21060).

Several events of one position all meet the state before it, and their writes and erases add up:
K, w and U then have a row an event, L is zero between events of one position.

Legend: B batch, H heads, T time, n events a position, D key width, E value width; G = B·H groups,
N chunks of C tokens.
FLOPs a token and head: 2C(2D + E + D + E) for K Kᵀ, Q Kᵀ and the products with Z, 4(D + E)D for
A' and Y, 2ED·D/C for the loop, about 4C² log2 C for the inverse. Bytes kept for the backward, a
token and head: about 4(6D + 4E + 8C + 2ED/C + 2D²/C) in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from nestgraph.ops.chunks import Cut
from nestgraph.ops.decay import ratios
from nestgraph.ops.scan import affine_scan
from nestgraph.ops.transfer import earlier
from nestgraph.ops.triangular import unit_lower_inverse

At = Literal["after", "before"]
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
        chunk: tokens that are worked out together.

    Returns:
        One answer (B, H, T, E) a read, and the matrix after the last event (B, H, E, D).
    """
    batch, heads, time = k_BHTD.shape[:3]
    if k_BHTD.dim() == 4:
        k_BHTD, v_BHTE = k_BHTD.unsqueeze(3), v_BHTE.unsqueeze(3)
    many = k_BHTD.shape[3]
    cut = Cut(batch, heads, time, min(chunk, time))
    rate = _broadcast(rate, k_BHTD)
    assert rate.dim() == 3 or objective == "dot", "rates by value have no closed form with `l2`"
    pull = rate * scale if objective == "l2" else None
    if erase is not None:
        erase = _broadcast(erase, k_BHTD)
        pull = erase if pull is None else pull + erase
    if retain is not None:
        retain = _broadcast(retain, k_BHTD)
        pull = pull * retain if pull is not None and retain_first else pull
    keys = cut.split(k_BHTD).flatten(2, 3)
    events, whole = _left(cut, retain, keys, signed, many)
    by_value = rate.unsqueeze(-1) if rate.dim() == 3 else rate
    writes = cut.split(v_BHTE * (-scale * by_value).unsqueeze(3)).flatten(2, 3)
    mixed = writes if pull is None else _solve(keys, writes, cut.split(pull), events, whole, many)
    states, last = _states(cut, first_BHED, keys, mixed, events, whole)
    answers = [
        cut.join(_answer(cut.split(q_BHTD), keys, mixed, states, events, whole, at))
        for q_BHTD, at in reads
    ]
    return answers, last.view(batch, heads, *last.shape[1:])


def _broadcast(value: Coefficient, k_BHTD: Tensor) -> Tensor:
    if not isinstance(value, Tensor):
        value = k_BHTD.new_tensor(value)
    if value.dim() > 3:
        return value
    value = value.unsqueeze(-1) if value.dim() == 1 else value
    return value.expand(k_BHTD.shape[:3])


def _left(
    cut: Cut, retain_BHT: Tensor | None, keys: Tensor, signed: bool, many: int
) -> tuple[Tensor, Tensor | None]:
    """P (G, N, C, C·n) and b (G, N, C, 1) within chunks; b is None if nothing decays."""
    if retain_BHT is None:
        ones = torch.ones(cut.size, cut.size, dtype=keys.dtype, device=keys.device)
        return _copies(ones.tril(), many, -1), None
    events, whole = ratios(cut.split(retain_BHT, 1.0), signed)
    return _copies(events, many, -1), whole.unsqueeze(-1)


def _copies(x: Tensor, many: int, axis: int) -> Tensor:
    """A position's entry for each of its events."""
    return x if many == 1 else x.repeat_interleave(many, axis)


def _solve(
    keys: Tensor,
    writes: Tensor,
    pull: Tensor,
    events: Tensor,
    whole: Tensor | None,
    many: int,
) -> Tensor:
    """[Z_k | Z_w], (G, N, C·n, D + E)."""
    pull = pull.unsqueeze(-1)
    met = pull if whole is None else pull * earlier(whole, 1.0)
    right = torch.cat((_copies(met, many, -2) * keys, writes), -1)
    if keys.shape[-2] == many:
        return right
    lower = (keys @ keys.mT) * _copies(earlier(events, 0.0) * pull, many, -2)
    return unit_lower_inverse(lower) @ right


def _states(
    cut: Cut,
    first_BHED: Tensor,
    keys: Tensor,
    mixed: Tensor,
    events: Tensor,
    whole: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """The matrix before each chunk (G, N, E, D), and after the last (G, E, D)."""
    first = first_BHED.flatten(0, 1)
    width, rows = keys.shape[-1], first.shape[-2]
    left = -keys if whole is None else keys * -events[..., -1, :, None]
    moved = mixed.mT @ left
    end = first.new_ones(1, 1, 1, 1) if whole is None else whole[..., -1:, :]
    if moved.shape[-2] == rows:
        return affine_scan(first, end.expand(*keys.shape[:2], 1, 1)[..., 0, 0], moved)
    diagonal = end * torch.eye(width, dtype=keys.dtype, device=keys.device)
    factors, additions = moved.split((width, rows), -2)
    return affine_scan(first, diagonal + factors, additions)


def _answer(
    queries: Tensor,
    keys: Tensor,
    mixed: Tensor,
    states: Tensor,
    events: Tensor,
    whole: Tensor | None,
    at: At,
) -> Tensor:
    """(G, N, C, E)."""
    if at == "before":
        events = earlier(events, 0.0)
        whole = None if whole is None else earlier(whole, 1.0)
    scores = (queries @ keys.mT) * events
    asked = queries if whole is None else queries * whole
    inside, rows = scores @ mixed, states.shape[-2]
    if inside.shape[-1] > rows:
        known, inside = inside.split((queries.shape[-1], rows), -1)
        asked = asked - known
    return asked @ states.mT - inside
