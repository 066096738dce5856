"""Gradients that one node of the autograd graph makes for another, who then adds to them in place.

The graph adds up what several nodes say of a tensor: each writes a gradient of its own, and all
are read again for their sum. Of a memory's weights these are large beside a short segment. A node
that hands its weights on instead is told of what comes behind it, and adds its own part to that; it
may write to it only if it is what `Gift` says: a tensor made for it, which nobody else holds.
"""

from __future__ import annotations

from torch import Tensor


class Gift:
    """What the node behind made for the node that holds this."""

    def __init__(self) -> None:
        self._made: tuple[Tensor, ...] = ()

    def give(self, made: tuple[Tensor, ...]) -> None:
        """Say which gradients are the receiver's to write to.

        While they are held here, the graph adds nothing to them in place: a sum is a new tensor.
        """
        self._made = made

    def take(self) -> tuple[Tensor, ...]:
        """What was given, once."""
        made, self._made = self._made, ()
        return made


def gift_of(handed_on: tuple[Tensor, ...]) -> Gift | None:
    """Where the node that handed these tensors on looks for their gradients."""
    nodes = {x.grad_fn for x in handed_on}
    gift = getattr(nodes.pop(), "gift", None) if len(nodes) == 1 else None
    return gift if isinstance(gift, Gift) else None


def is_given(x: Tensor | None, made: tuple[Tensor, ...]) -> bool:
    """Whether a gradient that arrived is one of those made for the receiver."""
    return x is not None and any(
        x.data_ptr() == one.data_ptr() and x.shape == one.shape and x.stride() == one.stride()
        for one in made
    )
