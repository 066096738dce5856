"""What a model of nestgraph answers, whichever executor runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Output(NamedTuple):
    """Answer of `module(tokens, state)`.

    Attributes:
        logits: scores of the next token, (batch, time, vocab).
        state: a plain tree of tensors; pass it back in to continue the sequence.
    """

    logits: Tensor
    state: dict[str, Any]


class HiddenOutput(NamedTuple):
    """Answer of `module(tokens, state, hidden=True)`.

    Attributes:
        logits: scores of the next token, (batch, time, vocab).
        state: a plain tree of tensors; pass it back in to continue the sequence.
        hidden: what the head was given, (batch, time, width): the last layer's flow, normed.
    """

    logits: Tensor
    state: dict[str, Any]
    hidden: Tensor

    def asked(self, *, hidden: bool) -> Output | HiddenOutput:
        """Return the output with the hidden states, or without."""
        return self if hidden else Output(self.logits, self.state)
