"""Plain tensor functions that compiled models call. They know nothing of specs.

Every op that remembers takes what it remembers and gives it back, so that a sequence may be
split anywhere. Names of tensors end in their axes: B batch, T time, W width of a flow, H heads,
M stacked memories, D key width and E value width of a head, C tokens of a segment or chunk.
"""

from __future__ import annotations

from nestgraph.ops.anchored import Written, advance, read, write
from nestgraph.ops.attention import attend, recall
from nestgraph.ops.conv import causal_conv
from nestgraph.ops.decay import ratios
from nestgraph.ops.fast_net import Fast, Rates, fast_net, fast_step, first_fast, last_rate
from nestgraph.ops.form import Form, State
from nestgraph.ops.heads import (
    decay,
    mean,
    merge_heads,
    repeat_channels,
    slice_heads,
    split_heads,
    tile,
    total,
)
from nestgraph.ops.linear_memory import linear_memory
from nestgraph.ops.members import (
    coefficient,
    constant,
    first_state,
    implicit_rate,
    members,
    merge_members,
)
from nestgraph.ops.nets import answer
from nestgraph.ops.norms import l2_norm, layer_norm, rms_norm, softmax
from nestgraph.ops.positions import position
from nestgraph.ops.rotary import rope
from nestgraph.ops.segments import segments
from nestgraph.ops.static_net import static_net
from nestgraph.ops.triangular import unit_lower_inverse

__all__ = [
    "Fast",
    "Form",
    "Rates",
    "State",
    "Written",
    "advance",
    "answer",
    "attend",
    "causal_conv",
    "coefficient",
    "constant",
    "decay",
    "fast_net",
    "fast_step",
    "first_fast",
    "first_state",
    "implicit_rate",
    "l2_norm",
    "last_rate",
    "layer_norm",
    "linear_memory",
    "mean",
    "members",
    "merge_heads",
    "merge_members",
    "position",
    "ratios",
    "read",
    "recall",
    "repeat_channels",
    "rms_norm",
    "rope",
    "segments",
    "slice_heads",
    "softmax",
    "split_heads",
    "static_net",
    "tile",
    "total",
    "unit_lower_inverse",
    "write",
]
