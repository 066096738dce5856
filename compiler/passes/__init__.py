"""The passes by name, in the order in which the pipeline runs them."""

from __future__ import annotations

from nestgraph.compiler.passes.batch_memories import Stack
from nestgraph.compiler.passes.clocks import Clocks
from nestgraph.compiler.passes.fold_decay import FoldDecay
from nestgraph.compiler.passes.fuse_convs import FuseConvs
from nestgraph.compiler.passes.fuse_gates import FuseGates
from nestgraph.compiler.passes.fuse_linears import MergeLinears
from nestgraph.compiler.passes.schedule import Schedule
from nestgraph.compiler.passes.select import Select
from nestgraph.compiler.pipeline import Pass

PASSES: tuple[Pass, ...] = (
    Clocks(),
    Select(),
    FoldDecay(),
    Stack(),
    Schedule(),
    MergeLinears(),
    FuseConvs(),
    FuseGates(),
)
PASS_NAMES: tuple[str, ...] = tuple(step.name for step in PASSES)
