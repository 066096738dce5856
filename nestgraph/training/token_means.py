"""Means over tokens, whatever the batches and processes that the tokens come in.

Lightning takes the mean of the losses of accumulated batches, and of several processes: a mean of
means, in which a token of a short batch weighs more than one of a long batch. Here each batch's
gradient is weighed by its tokens as it is computed, and their sum put right before the step:

    weight of a batch     its tokens / unit, the unit being the mean tokens of the first batch
    factor at the step    batches * processes * unit / tokens of them all

Both are exactly 1 where all batches have as many tokens, so that full rows train bit for bit as
they would without any of it.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def processes() -> int:
    """Return how many processes train together."""
    known = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_world_size() if known else 1


def summed(numbers: Iterable[float], device: torch.device) -> list[float]:
    """Return the numbers summed over all processes, in float64; alone, just the numbers."""
    own = list(numbers)
    if processes() == 1:
        return own
    total = torch.tensor(own, dtype=torch.float64, device=device)
    torch.distributed.all_reduce(total)
    return [float(number) for number in total.tolist()]


class Tally:
    """A sum of losses in float64, and how many tokens have one."""

    def __init__(self) -> None:
        self._nats, self._tokens = 0.0, 0

    def add(self, losses: Tensor, tokens: int) -> None:
        """Add the losses of some tokens."""
        self._nats += losses.cpu().double().sum().item()
        self._tokens += tokens

    def mean(self, device: torch.device) -> Tensor | None:
        """Return nats a token over all processes; None where no process has any token."""
        nats, tokens = summed((self._nats, self._tokens), device)
        return torch.tensor(nats / tokens, dtype=torch.float64) if tokens else None


class Window:
    """The batches of one step of the outer optimizer."""

    def __init__(self) -> None:
        self._unit = 0.0
        self._tokens = 0.0

    def weight(self, own: int, everyone: float) -> float:
        """Return what the mean loss of the next batch counts.

        Args:
            own: its tokens in this process.
            everyone: its tokens in all processes.
        """
        self._tokens += everyone
        self._unit = self._unit or everyone / processes()
        return own / self._unit if self._unit else 0.0

    def factor(self, batches: int) -> float:
        """Return what the sum of its gradients is to be multiplied by.

        Args:
            batches: what Lightning has divided each loss by.
        """
        return batches * processes() * self._unit / self._tokens if self._tokens else 1.0
