"""A text read once, in order, by several rows at a time: each reads a part of its own."""

from __future__ import annotations

from torch import Tensor

from nestgraph.training.batches import as_tokens


class StreamBatches:
    """Pieces of a text that follow each other.

    Args:
        text: at least two bytes a row.
        rows: parts of equal length that are read side by side; what is left over is not read.
        context: tokens of a piece; the last one may be shorter.
    """

    def __init__(self, text: bytes, *, rows: int, context: int) -> None:
        self.length = len(text) // rows  # tokens of a row
        self._tokens = as_tokens(text[: rows * self.length]).view(rows, self.length)
        self._context = context

    def __len__(self) -> int:
        return max(0, -(-(self.length - 1) // self._context))

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets (rows, time) of one step, counted from 0."""
        begin = step * self._context
        end = min(begin + self._context, self.length - 1)
        tokens = self._tokens.long()[:, begin : end + 1]
        return tokens[:, :-1], tokens[:, 1:]
