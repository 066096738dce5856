"""Gradients that one node of the autograd graph makes for another, who then writes to them.

A memory's weights are large beside a short segment, and its graph is a chain: a question hands the
weights on to the write behind it, and the write hands new ones to the next question. The graph
would have each of these nodes write a gradient of its own, and read several again for their sum.
Here each node takes what came from behind and changes it in place; it may do so only with a tensor
that was made for it and that nobody else holds, which is what a `Gift` says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor


class Gift:
    """What the nodes behind made for the node that holds this.

    Args:
        private: whether nobody outside can ask for these gradients: else they are left as they are.
    """

    def __init__(self, *, private: bool) -> None:
        self.private = private
        self._made: tuple[Tensor, ...] = ()

    def give(self, made: tuple[Tensor, ...]) -> None:
        """Say which gradients are the receiver's to write to.

        While they are held here, the graph adds nothing to them in place: a sum is a new tensor.
        """
        if self.private:
            self._made += made

    def take(self) -> tuple[Tensor, ...]:
        """Return what was given, once."""
        made, self._made = self._made, ()
        return made


def gift_of(handed_on: tuple[Tensor, ...]) -> Gift | None:
    """Return where the node that handed these tensors on looks for their gradients."""
    nodes = {x.grad_fn for x in handed_on}
    return _gift(nodes.pop()) if len(nodes) == 1 else None


def give(gift: Gift | None, made: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the gradients, of which their receiver is told if it is one."""
    if gift is not None:
        gift.give(made)
    return made


def is_given(x: Tensor | None, made: tuple[Tensor, ...]) -> bool:
    """Return whether a gradient that arrived is one of those made for the receiver."""
    return x is not None and any(
        x.data_ptr() == one.data_ptr() and x.shape == one.shape and x.stride() == one.stride()
        for one in made
    )


def keep_private(handed_on: Iterable[Tensor], private: bool) -> None:
    """Say of tensors whether nobody but the nodes behind them ever sees them."""
    for x in handed_on:
        if (gift := _gift(x.grad_fn)) is not None:
            gift.private = private


def _gift(node: Any) -> Gift | None:
    gift = getattr(node, "gift", None)
    return gift if isinstance(gift, Gift) else None
