"""What models are given to read: rows of tokens, which may end at different lengths.

A row that ends before others is filled up with -1 behind its end. Padding is never read: it
writes into no memory, and no clock ticks over it. Where all rows end together, the state behind
them is that of their last token. Where they don't, positions and ticks of the rows would differ,
and a state has one position: it is marked by the lengths, and nothing goes on from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import is_fake

from nestgraph.errors import InputError
from nestgraph.runtime.output import HiddenOutput

PADDING = -1
GROUPS = "groups"  # in a state of prompts of unequal length: rows and state of each group
LENGTHS = "lengths"  # in a state: how many tokens each row had, where they differ
ADVICE = "fill rows up behind their ends, with -1; whole numbers from 0 on are tokens"
MOST_TOLD = 8  # lengths


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Tokens without the padding that all rows share.

    Attributes:
        tokens: (rows, longest) int64; -1 behind the ends of shorter rows.
        time: how many positions were given.
        lengths: (rows,) tokens in each row; None where all rows have as many.
    """

    tokens: Tensor
    time: int
    lengths: Tensor | None

    def answer(self, output: HiddenOutput) -> HiddenOutput:
        """Return the answer for all positions given: 0 where a row has no token."""
        logits, state, hidden = output
        return HiddenOutput(self._filled(logits), self.marked(state), self._filled(hidden))

    def _filled(self, x: Tensor) -> Tensor:
        if self.lengths is not None:
            x = x.masked_fill((self.tokens < 0)[:, :, None], 0)
        more = self.time - self.tokens.shape[1]
        return F.pad(x, (0, 0, 0, more)) if more else x

    def marked(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return the state behind these rows, with their lengths where they differ."""
        return state if self.lengths is None else {**state, LENGTHS: self.lengths}


def rows_of(tokens: Tensor, vocab: int, state: Mapping[str, Any] | None = None) -> Rows:
    """Return tokens as rows, checked.

    Args:
        tokens: (rows, time) whole numbers below `vocab`; -1 behind the end of a row.
        vocab: how many tokens the model knows.
        state: what they go on from; None for the start.

    Raises:
        InputError: they are no rows of whole numbers (NG743), hold what is no token, or padding
            before a token (NG744), or the state is that of rows of different lengths (NG745).
    """
    require_equal_rows(state)
    if tokens.ndim != 2 or tokens.dtype == torch.bool or has_fractions(tokens):
        said = f"tokens are {str(tokens.dtype).removeprefix('torch.')} of {tuple(tokens.shape)}"
        raise InputError("NG743", said, "give whole numbers, (rows, time)")
    tokens = tokens.long()
    if tokens.numel() == 0 or is_unknown(tokens):
        return Rows(tokens=tokens, time=tokens.shape[1], lengths=None)
    least, most = (int(x) for x in torch.aminmax(tokens))
    if most >= vocab or least < PADDING:
        raise _no_token(tokens, (tokens >= vocab) | (tokens < PADDING), vocab)
    if least >= 0:
        return Rows(tokens=tokens, time=tokens.shape[1], lengths=None)
    return _padded(tokens, vocab)


def require_precision(dtype: torch.dtype, device: str, *, mixed: bool) -> None:
    """Make sure that a model runs in a precision.

    Args:
        dtype: of its weights.
        device: kind of device that they lie on.
        mixed: whether it runs in less than float32 at all.

    Raises:
        InputError: it doesn't (NG746).
    """
    known = "float32 and float64" + (", bfloat16 and float16" if mixed else "")
    casts = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    cast = torch.get_autocast_dtype(device) if casts else None
    if mixed or (dtype in (torch.float32, torch.float64) and cast in (None, torch.float32)):
        return
    low = f"autocast to {cast}" if cast is not None else f"weights of {dtype}"
    raise InputError(
        "NG746",
        f"this model doesn't run under {low}".replace("torch.", ""),
        f"it runs in {known}: its memories are kept and moved at full precision",
    )


def _padded(tokens: Tensor, vocab: int) -> Rows:
    real = tokens >= 0
    # A token behind a padding: fewer were real up to here than positions.
    broken = real & (real.cumsum(1) <= torch.arange(tokens.shape[1], device=tokens.device))
    if bool(broken.any()):
        row, at = first_of(broken)
        said = f"row {row} has -1 before the token at position {at}"
        raise InputError("NG744", said, ADVICE)
    lengths = real.sum(1)
    longest, equal = int(lengths.max()), bool((lengths == lengths[0]).all())
    cut = tokens[:, :longest]
    return Rows(tokens=cut, time=tokens.shape[1], lengths=None if equal else lengths)


def require_equal_rows(state: Mapping[str, Any] | None) -> None:
    """Make sure that all rows of a state stand at one position.

    Raises:
        InputError: they don't (NG745).
    """
    if state is not None and GROUPS in state:
        said = f"this state is of rows at {len(state[GROUPS])} different positions"
        hint = "go on from it by `generate` or `stream`, which read each group by itself"
        raise InputError("NG745", said, hint)
    if state is None or LENGTHS not in state:
        return
    told = state[LENGTHS].tolist()
    more = f" and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
    said = f"this state is of rows that ended after {told[:MOST_TOLD]}{more} tokens"
    hint = "a state has one position: read rows of one length together, or each row alone"
    raise InputError("NG745", said, hint)


def _no_token(tokens: Tensor, wrong: Tensor, vocab: int) -> InputError:
    row, at = first_of(wrong)
    said = f"row {row} holds {int(tokens[row, at])} at position {at}"
    return InputError("NG744", said, f"the model knows tokens 0 to {vocab - 1}, and -1 as padding")


def first_of(where: Tensor) -> tuple[int, int]:
    """Return row and position of the first that is true."""
    row, at = where.nonzero()[0].tolist()
    return int(row), int(at)


def has_fractions(tokens: Tensor) -> bool:
    """Return whether the type of a tensor isn't one of whole numbers."""
    return tokens.is_floating_point() or tokens.is_complex()


def is_unknown(tokens: Tensor) -> bool:
    """Return whether there are no numbers to look at: only shapes, or a graph that is being
    traced.
    """
    return tokens.is_meta or is_fake(tokens) or torch.compiler.is_compiling()
