"""Which windows of a text make which batch.

Training batch i is a pure function of (seed, i, rank) and the text: nothing is shuffled and no
generator has a history, so a resumed run meets the batches of an unbroken one without reading
past those it has seen. Validation goes over its whole text once, in windows that follow each
other, so that every token but the first is predicted exactly once.

A batch is a LongTensor (rows, context + 1): inputs are all columns but the last, targets all
but the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

VALIDATION_TOKENS = 4096  # in one batch, unless a training batch has more


class TrainingBatches:
    """Random windows of a text, `steps` batches long; resumable under Lightning.

    Args:
        text: bytes to draw from; at least `context` + 1 of them.
        context: input tokens of a window.
        batch: windows in a batch.
        steps: how many batches there are.
        seed: chooses the windows.
        rank: which of several processes this is; each draws its own windows.
    """

    def __init__(
        self, text: bytes, *, context: int, batch: int, steps: int, seed: int, rank: int = 0
    ) -> None:
        self._tokens = as_tokens(text)
        self._columns = torch.arange(context + 1)
        self._starts = len(text) - context
        self._batch = batch
        self._steps = steps
        self._stream = f"{seed}/{rank}"
        self._next = 0
        if self._starts < 1:
            raise ValueError(f"`text` ({len(text)} bytes) must exceed `context` (={context})")

    def at(self, step: int) -> Tensor:
        """Return the batch of one step, counted from 0."""
        starts = torch.tensor(_draw(f"{self._stream}/{step}", self._batch, self._starts))
        return self._tokens[starts[:, None] + self._columns].long()

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the batches that haven't been given out yet; all of them once more after the
        last.
        """
        if self._next >= self._steps:
            self._next = 0
        while self._next < self._steps:
            self._next += 1
            yield self.at(self._next - 1)

    def state_dict(self) -> dict[str, int]:
        """Return how far it is; Lightning keeps this in its checkpoints."""
        return {"step": self._next}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on behind the batches that were given out."""
        self._next = state_dict["step"]


class ValidationBatches:
    """A whole text in windows that follow each other; the last one may be shorter.

    Args:
        text: at least 2 bytes.
        context: input tokens of a window.
        batch: windows in a batch.
    """

    def __init__(self, text: bytes, *, context: int, batch: int) -> None:
        self._tokens = as_tokens(text)
        self._context = context
        self._batch = max(batch, VALIDATION_TOKENS // context)
        self._whole, self._rest = divmod(len(text) - 1, context)

    def __len__(self) -> int:
        return -(-self._whole // self._batch) + (self._rest > 0)

    def __iter__(self) -> Iterator[Tensor]:
        columns = torch.arange(self._context + 1)
        for first in range(0, self._whole, self._batch):
            rows = torch.arange(first, min(first + self._batch, self._whole))
            yield self._tokens[rows[:, None] * self._context + columns].long()
        if self._rest:
            yield self._tokens[self._whole * self._context :].long()[None]


def as_tokens(text: bytes) -> Tensor:
    """Return bytes as a tensor of uint8."""
    return torch.frombuffer(bytearray(text), dtype=torch.uint8)


def _draw(key: str, count: int, choices: int) -> list[int]:
    """Return numbers below `choices` that depend on the key alone, on every machine and version."""
    digest = hashlib.shake_256(key.encode()).digest(8 * count)
    numbers = (int.from_bytes(digest[i : i + 8], "big") for i in range(0, len(digest), 8))
    return [number % choices for number in numbers]
