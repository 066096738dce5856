"""Softmax attention over all events so far, with its cache of keys and values.

Legend: B batch, H heads, T new positions, P past positions, D key width, E value width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def attend(
    q_BHTD: Tensor,
    k_BHTD: Tensor,
    v_BHTE: Tensor,
    past_k_BHPD: Tensor,
    past_v_BHPE: Tensor,
    before: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Causal softmax(q·k / sqrt(D)) over past and present events.

    Costs 2·(D + E) FLOPs for each pair of query and visible event.

    Args:
        q_BHTD: queries.
        k_BHTD: keys of the new events.
        v_BHTE: values of the new events.
        past_k_BHPD: keys kept from before; P may be 0.
        past_v_BHPE: values kept from before.
        before: a query doesn't see its own position's event; with nothing to see it answers 0.

    Returns:
        Answers (B, H, T, E); then the keys and values to keep, with P + T positions.
    """
    past = past_k_BHPD.shape[2]
    keys = torch.cat((past_k_BHPD, k_BHTD), 2) if past else k_BHTD
    values = torch.cat((past_v_BHPE, v_BHTE), 2) if past else v_BHTE
    if before:
        return _attend_before(q_BHTD, keys, values, past), keys, values
    if past == 0:
        return F.scaled_dot_product_attention(q_BHTD, k_BHTD, v_BHTE, is_causal=True), keys, values
    if q_BHTD.shape[2] == 1:
        return F.scaled_dot_product_attention(q_BHTD, keys, values), keys, values
    mask = _visible(q_BHTD, past, keys.shape[2])
    return F.scaled_dot_product_attention(q_BHTD, keys, values, attn_mask=mask), keys, values


def recall(q_BHTD: Tensor, keys_BHPD: Tensor, values_BHPE: Tensor) -> Tensor:
    """Softmax attention over kept events alone, all of them visible; 0 while there are none.

    Args:
        q_BHTD: queries.
        keys_BHPD: keys of the events.
        values_BHPE: their values.

    Returns:
        (B, H, T, E).
    """
    if keys_BHPD.shape[2] == 0:
        return values_BHPE.new_zeros(*q_BHTD.shape[:3], values_BHPE.shape[-1])
    return F.scaled_dot_product_attention(q_BHTD, keys_BHPD, values_BHPE)


def _attend_before(q_BHTD: Tensor, keys: Tensor, values: Tensor, past: int) -> Tensor:
    """Position t sees events up to t-1: the causal pattern, one event to the left."""
    time = q_BHTD.shape[2]
    blind = min(1, time) if past == 0 else 0
    silent = values.new_zeros(*q_BHTD.shape[:2], blind, values.shape[-1])
    if time == blind:
        return silent
    queries, events = q_BHTD[:, :, blind:], keys.shape[2] - 1
    seen_k, seen_v = keys[:, :, :events], values[:, :, :events]
    if past <= 1:
        seeing = F.scaled_dot_product_attention(queries, seen_k, seen_v, is_causal=True)
    else:
        mask = _visible(queries, past - 1, events)
        seeing = F.scaled_dot_product_attention(queries, seen_k, seen_v, attn_mask=mask)
    return torch.cat((silent, seeing), 2) if blind else seeing


def _visible(q_BHTD: Tensor, past: int, events: int) -> Tensor:
    """(T, events): query i sees the events 0 .. past + i."""
    everything = torch.ones(q_BHTD.shape[2], events, dtype=torch.bool, device=q_BHTD.device)
    return everything.tril(past)
