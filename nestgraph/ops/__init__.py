"""Plain tensor functions that compiled models call. They know nothing of specs.

Every op that remembers takes what it remembers and gives it back, so that a sequence may be
split anywhere. Names of tensors end in their axes: B batch, T time, W width of a flow, H heads,
M stacked memories, D key width and E value width of a head, C tokens of a segment or chunk.
"""

from __future__ import annotations

from nestgraph.ops.attention.kept_events import attend_kept, forget_kept, recall_kept, remember_kept
from nestgraph.ops.attention.softmax_attention import attend, forget, recall, remember
from nestgraph.ops.common.conv import causal_conv
from nestgraph.ops.common.gates import gated_norm
from nestgraph.ops.common.heads import (
    decay,
    mean,
    merge_heads,
    polynomial,
    repeat_channels,
    slice_heads,
    split_heads,
    tile,
    total,
)
from nestgraph.ops.common.norms import l2_norm, layer_norm, rms_norm, softmax
from nestgraph.ops.common.positions import lookup, position
from nestgraph.ops.common.rotary import rope
from nestgraph.ops.common.static_net import static_net
from nestgraph.ops.delta_rule.decay import ratios
from nestgraph.ops.delta_rule.linear_memory import linear_memory
from nestgraph.ops.delta_rule.start_offset import targets_from, with_start
from nestgraph.ops.diagonal_delta_rule.diagonal_delta import diagonal_delta
from nestgraph.ops.fused.gathered import Gathered, Products, Slope
from nestgraph.ops.online.detached_writes import displaced
from nestgraph.ops.online.online_net import (
    OnlineRates,
    OnlineState,
    asked_online_net,
    first_online,
    last_rate,
    online_net,
    online_step,
    with_grams,
)
from nestgraph.ops.scan.checkpointed_loop import checkpointed_loop
from nestgraph.ops.scan.segments import pieces, segments
from nestgraph.ops.scan.selective_scan import Fading, selective_scan
from nestgraph.ops.ttt.members import (
    coefficient,
    constant,
    implicit_rate,
    members,
    merge_members,
    standing,
)
from nestgraph.ops.ttt.memory_config import MemoryConfig, State
from nestgraph.ops.ttt.nets import answer, ask
from nestgraph.ops.ttt.rates import Rates, mean_share
from nestgraph.ops.ttt.states import first_state, fresh, weights_at_boundary, weights_before
from nestgraph.ops.ttt.ttt_chunk import SegmentUpdate, advance, read, whole, write

__all__ = [
    "Fading",
    "Gathered",
    "MemoryConfig",
    "OnlineRates",
    "OnlineState",
    "Products",
    "Rates",
    "SegmentUpdate",
    "Slope",
    "State",
    "advance",
    "answer",
    "ask",
    "asked_online_net",
    "attend",
    "attend_kept",
    "causal_conv",
    "checkpointed_loop",
    "coefficient",
    "constant",
    "decay",
    "diagonal_delta",
    "displaced",
    "first_online",
    "first_state",
    "forget",
    "forget_kept",
    "fresh",
    "gated_norm",
    "implicit_rate",
    "l2_norm",
    "last_rate",
    "layer_norm",
    "linear_memory",
    "lookup",
    "mean",
    "mean_share",
    "members",
    "merge_heads",
    "merge_members",
    "online_net",
    "online_step",
    "pieces",
    "polynomial",
    "position",
    "ratios",
    "read",
    "recall",
    "recall_kept",
    "remember",
    "remember_kept",
    "repeat_channels",
    "rms_norm",
    "rope",
    "segments",
    "selective_scan",
    "slice_heads",
    "softmax",
    "split_heads",
    "standing",
    "static_net",
    "targets_from",
    "tile",
    "total",
    "weights_at_boundary",
    "weights_before",
    "whole",
    "with_grams",
    "with_start",
    "write",
]
