"""A stack of memories over one segment: gradients at an anchor that stands still inside it.

For every matrix of the net, with layer input a_j and gradient d_j at the layer's output of each
event j, both taken at the anchor, and w_j = rate_j d_j (math: arXiv 2512.24695 Eq. 88 and 90,
Titans arXiv 2501.00663 Eq. 13-18, TTT arXiv 2407.04620, Miras arXiv 2504.13173, Atlas arXiv
2505.23735; `docs/semantics.md` gives the order of retention and erase):

    S_t = momentum_t S_{t-1} - Σ_{j in the window} w_j a_jᵀ
    A_t = retain_t A_{t-1} - erase_t (A_{t-1} a_t) a_tᵀ + step_t D(S_t)
    θ_t = Θ + share_t (A_t - Θ),  W_t = mirror(θ_t)

Because a and d don't depend on A inside the segment, this is a delta rule with given keys and
values, matrix by matrix: all tokens at once (`recurrence.py`), with the direction of every S_t
(`orthogonalized.py`), or with every state written out (`materialized.py`). A loop outside calls,
segment by segment: `answer` at the anchor for reads at the boundary, `write`, `read`, then
`advance`.

Legend: B batch, H heads, M stacked memories, T positions of the segment, J events of the write,
D key width, E value width.
FLOPs a token, head and member for a net with N weights: 2N an answer; 8N a write and advance
(10N with own answers as values); 2T(D + E) more a layer for the pairs of tokens. Written out,
12N and what the direction costs; with directions 2TN for a read.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nestgraph.ops.common.skips import skipping
from nestgraph.ops.fused.fused_momentum import can_fuse_momentum
from nestgraph.ops.fused.fused_step import can_fuse
from nestgraph.ops.ttt.memory_config import MemoryConfig, State
from nestgraph.ops.ttt.net_norms import Slow, normed
from nestgraph.ops.ttt.nets import answer
from nestgraph.ops.ttt.rank1_grads import Facts
from nestgraph.ops.ttt.rates import Rates
from nestgraph.ops.ttt.segment_update import At, SegmentUpdate, window_of
from nestgraph.ops.ttt.states import detached, seen

__all__ = ["MemoryConfig", "SegmentUpdate", "State", "advance", "answer", "read", "whole", "write"]


def write(
    config: MemoryConfig,
    state: State,
    k_BHJD: Tensor,
    values_BHMJE: Tensor | None,
    self_values_BHJD: Tensor | None,
    rates: Rates | None = None,
    *,
    slow: Slow = (),
    erase_key_BHTD: Tensor | None = None,
    period: int = 0,
    written: Tensor | None = None,
    towards: tuple[Tensor, ...] = (),
) -> SegmentUpdate:
    """Take in the events of a segment.

    Args:
        config: what the memories are.
        state: before the segment; its anchor gives the gradients.
        k_BHJD: keys, shared by the members; with several events a position, position by position.
        values_BHMJE: a target for every member; None with `self_values_BHJD`.
        self_values_BHJD: flows whose answers at the anchor are each member's targets. Targets
            are constant for the memory's own gradient, but learning flows through them.
        rates: coefficients.
        slow: gain and shift of the net's norm.
        erase_key_BHTD: what is erased, where that isn't the write key.
        period: positions between two ticks. A segment is shorter, or begins at a tick and takes
            several whole periods, whose gradients are taken at each tick's state. For forms that
            add up events as they are (`low_rank_state.is_low_rank`); 0 is a segment without ticks.
        written: (B, T) whether each position is written; None where all are. The others' events
            are skipped: see `skips.py`.
        towards: the first weights, (H, M, E, D) of every part, where retention pulls towards them
            (`start_offset.py`).

    Returns:
        The events, to be read from and to advance over.
    """
    anchor, rates = state.anchor, rates or Rates()
    if written is not None:
        config, rates = skipping(config, rates, written, k_BHJD)
    new = Facts(keys=k_BHJD, values=values_BHMJE, own=self_values_BHJD)
    if config.gradient != "full":
        state, rates, slow = detached(state), rates.detached(), tuple(x.detach() for x in slow)
        flows = (k_BHJD, values_BHMJE, self_values_BHJD)
        keys, values, own = (None if x is None else x.detach() for x in flows)
        assert keys is not None
        new = Facts(keys=keys, values=values, own=own)
        erase_key_BHTD = None if erase_key_BHTD is None else erase_key_BHTD.detach()
        towards = tuple(weight.detach() for weight in towards)
    return SegmentUpdate(
        config=config,
        state=state,
        anchor=anchor,
        new=new,
        rates=rates,
        slow=slow,
        erase_key_BHTD=erase_key_BHTD,
        period=period,
        towards=tuple(weight.unsqueeze(0) for weight in towards),
    )


def read(
    config: MemoryConfig,
    written: SegmentUpdate,
    q_BHTD: Tensor,
    at: At = "after",
    slow: Slow = (),
    *,
    some: tuple[int, int] | None = None,
) -> Tensor:
    """Ask the running weights, token by token of the segment.

    Where a whole stack goes through a segment in one step by hand, what the events do to the
    members that are asked is worked out for them alone.

    Args:
        config: what the memories are.
        written: the segment's events.
        q_BHTD: queries shared by the members, or (B, H, M, T, D).
        at: whether a token's answer knows the event of its own position, or what there was at
            the last tick; that is asked here where a segment has a `period`.
        slow: gain and shift of the net's norm.
        some: the first member that is asked, and the first behind it that isn't; else all are.

    Returns:
        (B, H, M, T, E).
    """
    if some is not None:
        if can_fuse(config) and not written.is_worked_out:
            return read(config, written.part(*some), q_BHTD, at, slow)
        return read(config, written, q_BHTD, at, slow)[:, :, slice(*some)]
    if at == "boundary" and not written.is_at_tick:
        return answer(config, written.state.anchor, q_BHTD, slow)
    x = y = q_BHTD.unsqueeze(2) if q_BHTD.dim() == 4 else q_BHTD
    ones = x.new_ones(1, 1, 1, x.shape[-2], 1)
    for index in range(config.layers):
        y = config.nonlinearity.value(y) if index else y
        y = written.through(index, y, at)
        if config.bias:
            y = y + written.through(config.layers + index, ones, at)
    y = normed(config, y, slow)
    return x + y if config.adds_input else y


def whole(written: SegmentUpdate, at: At = "after") -> Tensor:
    """Return the one matrix of a linear memory at every token, row by row: (B, H, M, T, E·D)."""
    return written.seen(0, before=at == "before").flatten(-2)


def advance(written: SegmentUpdate, *, commit: bool) -> State:
    """Return the state after the segment.

    Args:
        written: the segment's events, and the state before them.
        commit: whether the segment ends at a tick: the anchor then moves to the weights.

    Returns:
        The new state; momentum and window survive ticks.
    """
    config, anchor = written.config, written.anchor
    speeds: tuple[Tensor, ...] = ()
    alone = written.period == 0 and not written.is_worked_out
    if can_fuse(config) and alone:
        running = written.with_start(written.fused())
    elif can_fuse_momentum(config) and written.rates.momentum is not None and alone:
        running, speeds = written.fused_momentum()
        running = written.with_start(running)
    else:
        moved = [layer.advance() for layer in written.layers]
        running = tuple(weights for weights, _ in moved)
        speeds = tuple(speed for _, speed in moved if speed is not None)
    kept = None if written.kept is None else written.kept[:, :, -1]
    share = written.share(before=False)
    share = None if share is None else share[..., -1]
    state = State(running, anchor, speeds, kept, share, window_of(written))
    return committed(config, state) if commit else state


def committed(config: MemoryConfig, state: State) -> State:
    """Return the state behind a tick: Θ and A become the weights as reads see them."""
    weights = seen(config, state)
    if config.gradient == "none":
        weights = tuple(weight.detach() for weight in weights)
    kept = None if state.kept is None else torch.ones_like(state.kept)
    share = None if state.share is None else torch.ones_like(state.share)
    return State(weights, weights, state.momentum, kept, share, state.window)
