"""Elastic weight consolidation (Kirkpatrick et al. 2017), in its online form.

After each task the squares of the gradients of single rows, the diagonal of the empirical Fisher
information, are added to those of the tasks before; the loss of later tasks has
½ λ Σ F (θ - θ*)² besides, where θ* is the model after the last task.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from nestgraph.evaluation.task import Batch
from nestgraph.language.spec import Spec
from nestgraph.training import NestModule


class Elastic(NestModule):
    """A module that is pulled back to where it was after its last task.

    Args:
        model: that learns.
        spec: of it.
        strength: λ.
    """

    def __init__(self, model: nn.Module, spec: Spec, *, strength: float) -> None:
        super().__init__(model, spec)
        self._strength = strength
        self._held: dict[str, tuple[Tensor, Tensor]] = {}  # F and θ* of each parameter

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss of a batch, and what the moves since the last task cost."""
        loss = super().training_step(batch, batch_idx)
        return loss + self.pull() if self._held else loss

    def pull(self) -> Tensor:
        """Return ½ λ Σ F (θ - θ*)², 0 before the first task is over."""
        moved = [
            (needed * (parameter - place).square()).sum()
            for name, parameter in self._trained()
            if name in self._held
            for needed, place in [self._held[name]]
        ]
        return self._strength / 2 * torch.stack(moved).sum() if moved else torch.zeros(())

    def hold(self, rows: Batch) -> None:
        """Add what rows of a finished task need; pulls to the present place from now on.

        Args:
            rows: each counts by itself.
        """
        found = {name: torch.zeros_like(parameter) for name, parameter in self._trained()}
        for tokens, targets in zip(rows.tokens, rows.targets, strict=True):
            used = int((tokens >= 0).sum())
            with torch.enable_grad():
                loss = cast(Any, self.model).loss(tokens[None, :used], targets[None, :used])[0]
                parameters = dict(self._trained())
                gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
            for name, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    found[name] += gradient.square() / len(rows.tokens)
        for name, parameter in self._trained():
            before = self._held[name][0] if name in self._held else torch.zeros_like(parameter)
            self._held[name] = before + found[name], parameter.detach().clone()

    def _trained(self) -> list[tuple[str, Tensor]]:
        return [(name, p) for name, p in self.named_parameters() if p.requires_grad]
