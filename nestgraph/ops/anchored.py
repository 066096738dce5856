"""A stack of memories over one segment: gradients at an anchor that stands still inside it.

For every matrix of the net, with layer input a_t and gradient d_t at the layer's output, both
taken at the anchor, and w_t = rate_t d_t (math: arXiv 2512.24695 Eq. 88 and 90, Titans
arXiv 2501.00663 Eq. 13-18; language.md §5 gives the order of retention and erase):

    S_t = momentum_t S_{t-1} - w_t a_tᵀ
    A_t = retain_t A_{t-1} - erase_t (A_{t-1} a_t) a_tᵀ + S_t

Because a and d don't depend on A inside the segment, this is a delta rule with given keys and
values, matrix by matrix: all tokens at once (`recurrence.py`). A loop outside calls, segment by
segment: `answer` at the anchor for reads at the boundary, `write`, `read`, then `advance`.

Legend: B batch, H heads, M stacked memories, T tokens of the segment, D key width, E value width.
FLOPs a token, head and member for a net with N weights: 2N an answer; 8N a write and advance
(10N with own answers as values); 2T(D + E) more a layer for the pairs of tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from nestgraph.ops import recurrence
from nestgraph.ops.factors import Factors, layer_factors, rates_of
from nestgraph.ops.form import Form, State
from nestgraph.ops.fused_step import can_fuse, fused_step
from nestgraph.ops.nets import answer
from nestgraph.ops.recurrence import Pairs, Transfer

__all__ = ["Form", "State", "Written", "advance", "answer", "read", "write"]


@dataclass(frozen=True, kw_only=True)
class Written:
    """The events of one segment; what they do to the weights is worked out when asked for."""

    form: Form
    state: State
    keys_BHTD: Tensor
    values_BHMTE: Tensor | None
    self_values_BHTD: Tensor | None
    rate_BHT: Tensor | None
    retain_BHT: Tensor | None
    momentum_BHT: Tensor | None
    erase_rate_BHT: Tensor | None

    @cached_property
    def transfer(self) -> Transfer:
        """What retention and momentum leave of each event at each later token."""
        return recurrence.transfer(
            self.keys_BHTD, self.retain_BHT, self.momentum_BHT, signed=self.form.signed
        )

    @cached_property
    def kept_BHT(self) -> Tensor | None:
        """With `retain_first`: the product of retentions from the tick up to each token."""
        if self.state.kept is None:
            return None
        return self.state.kept.unsqueeze(-1) * self.transfer.whole_B1T

    @cached_property
    def layers(self) -> tuple[recurrence.Layer, ...]:
        """For each matrix, its events as rank-one pairs."""
        factors = layer_factors(
            self.form,
            self.state.anchor,
            self.keys_BHTD,
            self.values_BHMTE,
            self.self_values_BHTD,
            self.kept_BHT,
        )
        return tuple(self._layer(index, factor) for index, factor in enumerate(factors))

    @property
    def is_worked_out(self) -> bool:
        """Whether a read has asked for the events already."""
        return "layers" in self.__dict__

    def fused(self) -> tuple[Tensor, ...]:
        """The running weights after the segment, in one step."""
        return fused_step(
            self.form,
            self.state,
            self.keys_BHTD,
            self.values_BHMTE,
            self.self_values_BHTD,
            self.rate_BHT,
            self.retain_BHT,
            self.erase_rate_BHT,
        )

    def _layer(self, index: int, factor: Factors) -> recurrence.Layer:
        rate, erase = rates_of(
            self.form,
            index,
            factor.inputs,
            self.rate_BHT,
            self.erase_rate_BHT,
            self.retain_BHT,
        )
        pairs = Pairs(inputs=factor.inputs, writes=factor.slopes * rate, erase=erase)
        speed = self.state.momentum[index] if self.form.momentum else None
        return recurrence.layer(self.state.running[index], speed, pairs, self.transfer)


def write(
    form: Form,
    state: State,
    k_BHTD: Tensor,
    values_BHMTE: Tensor | None,
    self_values_BHTD: Tensor | None,
    rate_BHT: Tensor | None = None,
    retain_BHT: Tensor | None = None,
    momentum_BHT: Tensor | None = None,
    erase_rate_BHT: Tensor | None = None,
) -> Written:
    """Take in the events of a segment.

    Args:
        form: what the memories are.
        state: before the segment; its anchor gives the gradients.
        k_BHTD: keys, shared by the members.
        values_BHMTE: a target for every member; None with `self_values_BHTD`.
        self_values_BHTD: flows whose answers at the anchor are each member's targets. Targets
            are constant for the memory's own gradient, but learning flows through them.
        rate_BHT: step size; None is 1.
        retain_BHT: what a position keeps; None is 1.
        momentum_BHT: what the momentum keeps; None is 0.
        erase_rate_BHT: None takes the memory's own (implicit) rate.

    Returns:
        The events, to be read from and to advance over.
    """
    return Written(
        form=form,
        state=state,
        keys_BHTD=k_BHTD,
        values_BHMTE=values_BHMTE,
        self_values_BHTD=self_values_BHTD,
        rate_BHT=rate_BHT,
        retain_BHT=retain_BHT,
        momentum_BHT=momentum_BHT,
        erase_rate_BHT=erase_rate_BHT,
    )


def read(
    form: Form,
    state: State,
    written: Written,
    q_BHTD: Tensor,
    at: Literal["after", "before"] = "after",
) -> Tensor:
    """Ask the running weights, token by token of the segment.

    Args:
        form: what the memories are.
        state: before the segment.
        written: the segment's events.
        q_BHTD: queries shared by the members, or (B, H, M, T, D).
        at: whether a token's answer knows the event of its own position.

    Returns:
        (B, H, M, T, E).
    """
    x = q_BHTD.unsqueeze(2) if q_BHTD.dim() == 4 else q_BHTD
    y, last = x, len(written.layers) - 1
    for index, layer in enumerate(written.layers):
        y = layer.read(y, written.transfer, before=at == "before")
        if index < last:
            y = form.nonlinearity.value(y)
    return x + y if form.adds_input else y


def advance(form: Form, state: State, written: Written, commit: bool) -> State:
    """The state after the segment.

    Args:
        form: what the memories are.
        state: before the segment.
        written: the segment's events.
        commit: whether the segment ends at a tick: the anchor then moves to the running weights.

    Returns:
        The new state; momentum survives ticks.
    """
    speeds: tuple[Tensor, ...] = ()
    if can_fuse(form) and not written.is_worked_out:
        running = written.fused()
    else:
        moved = [layer.advance(written.transfer) for layer in written.layers]
        running = tuple(weights for weights, _ in moved)
        speeds = tuple(speed for _, speed in moved if speed is not None)
    kept = None if written.kept_BHT is None else written.kept_BHT[..., -1]
    if commit:
        kept = None if kept is None else torch.ones_like(kept)
        return State(running, running, speeds, kept)
    return State(running, state.anchor, speeds, kept)
