"""Positions that memories are not written at: each row says which of its tokens they learn from.

A position without a write is read and counted like any other; only its events are skipped. States
keep such marks beside tokens that may be run again, and leave them out as long as there are none.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nestgraph.errors import InputError
from nestgraph.runtime.labels import IGNORED
from nestgraph.runtime.tokens import Rows, is_unknown


def mask_of(write_mask: Tensor | None, rows: Rows) -> Tensor | None:
    """Return which of the tokens that are read are written, (batch, longest); None if all are.

    Args:
        write_mask: (batch, time) of truth values beside the tokens that were given; what it says
            behind the end of a row means nothing.
        rows: the tokens.

    Raises:
        InputError: it has another shape than the tokens, or holds numbers (NG747).
    """
    if write_mask is None:
        return None
    shape = (len(rows.tokens), rows.time)
    if write_mask.dtype != torch.bool or tuple(write_mask.shape) != shape:
        kind = str(write_mask.dtype).removeprefix("torch.")
        said = f"`write_mask` is {kind} of {tuple(write_mask.shape)}, beside tokens of {shape}"
        raise InputError("NG747", said, "give true or false for each token, a torch.bool")
    mask = write_mask[:, : rows.tokens.shape[1]].to(rows.tokens.device)
    if mask.numel() == 0 or is_unknown(mask):
        return mask
    return None if bool((mask | (rows.tokens < 0)).all()) else mask


def unwritten(labels: Tensor, mask: Tensor | None) -> Tensor:
    """Return labels (batch, time) of inner losses: none where nothing is written."""
    return labels if mask is None else torch.where(mask, labels, IGNORED)


def joined(before: Tensor, read: int, now: Tensor | None, more: int) -> Tensor:
    """Return marks of `read` tokens and of `more` behind them, (batch, read + more).

    Args:
        before: (batch, read); (batch, 0) if all were written.
        read: tokens that it is of.
        now: (batch, more); None if all are written.
        more: tokens that it is of.

    Returns:
        Marks, or (batch, 0) if neither has any.
    """
    if now is None and before.shape[1] == 0:
        return before
    if before.shape[1] == 0:
        before = before.new_ones(len(before), read)
    return torch.cat((before, before.new_ones(len(before), more) if now is None else now), 1)


def marks(joint: Tensor, first: int, last: int | None = None) -> Tensor | None:
    """Return the marks of some of the tokens that `joined` is of; None if all are written."""
    return joint[:, first:last] if joint.shape[1] else None
