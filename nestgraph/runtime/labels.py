"""What each position should be answered with: targets that were given, or the token behind it.

A target is a class that the head answers with. Where none was given, the label of a position is
the token that follows, which isn't known at the last position of a piece: it stays `NEXT` until
that token is read. Without a class for each token there is no such label.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nestgraph.errors import InputError
from nestgraph.runtime.tokens import PADDING, first_of, has_fractions, is_unknown

IGNORED = -100  # the label that `cross_entropy` leaves out
NEXT = -1  # the token behind, which was not read yet
NOWHERE = f"{PADDING} and {IGNORED} count nowhere"


def require_targets(targets: Tensor, tokens: Tensor, classes: int) -> None:
    """Make sure that targets lie beside tokens, and are classes where there are tokens.

    Args:
        targets: (batch, time) whole numbers below `classes`; -1 or -100 where none counts.
        tokens: those that they lie beside, checked; -1 behind the end of a row.
        classes: how many the head answers with.

    Raises:
        InputError: they are of another shape or no whole numbers (NG747), one is no class, or
            stands where there is nothing to read (NG744).
    """
    if targets.shape != tokens.shape or targets.dtype == torch.bool or has_fractions(targets):
        kind = str(targets.dtype).removeprefix("torch.")
        beside = f"beside tokens of {tuple(tokens.shape)}"
        said = f"targets are {kind} of {tuple(targets.shape)}, {beside}"
        raise InputError("NG747", said, f"give one whole number for each token; {NOWHERE}")
    if targets.numel() == 0 or is_unknown(targets):
        return
    strange = (targets < 0) & (targets != PADDING) & (targets != IGNORED)
    unread = (targets >= 0) & (tokens < 0)
    if not bool(((targets >= classes) | strange | unread).any()):
        return
    if bool(unread.any()):
        row, at = first_of(unread)
        said = f"row {row} has a label at position {at}, behind its last token"
        raise InputError("NG744", said, "a position without a token has the label -1")
    row, at = first_of((targets >= classes) | strange)
    said = f"row {row} has the label {int(targets[row, at])} at position {at}"
    raise InputError("NG744", said, f"the model answers with 0 to {classes - 1}; {NOWHERE}")


def labels_of(targets: Tensor | None, tokens: Tensor, *, of_tokens: bool) -> Tensor:
    """Return what each token that is read should be answered with, (batch, longest).

    Args:
        targets: checked ones, (batch, time), or None.
        tokens: without the padding that all rows share, (batch, longest).
        of_tokens: whether tokens are classes, so that the next one is a label.
    """
    if targets is None:
        return torch.full_like(tokens, NEXT if of_tokens else IGNORED)
    given = targets[:, : tokens.shape[1]].to(tokens)
    return torch.where(given < 0, IGNORED, given)


def behind(labels: Tensor, tokens: Tensor) -> Tensor:
    """Return labels (batch, time) of these tokens, with the next token where one is due and
    known.
    """
    following = F.pad(tokens[:, 1:], (0, 1), value=NEXT)
    return torch.where(labels == NEXT, following, labels)


def nats(scores: Tensor, labels: Tensor) -> Tensor:
    """Return cross-entropy of scores (..., classes) with labels (...), summed; negative ones
    add 0.
    """
    flat = torch.where(labels < 0, IGNORED, labels).long().flatten()
    return F.cross_entropy(scores.flatten(0, -2), flat, reduction="sum", ignore_index=IGNORED)


def mean_nats(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the same, as the mean over the labels that count; 0 where none does."""
    flat = torch.where(labels < 0, IGNORED, labels).long().flatten()
    how = "mean" if bool((flat >= 0).any()) else "sum"  # the mean of nothing is no number
    return F.cross_entropy(scores.flatten(0, -2), flat, reduction=how, ignore_index=IGNORED)
