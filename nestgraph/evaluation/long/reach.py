"""How far a model sees by windows alone: what lies farther back, its memories have to keep."""

from __future__ import annotations

from nestgraph.errors import InputError
from nestgraph.evaluation.task import Task
from nestgraph.language.models import model_of
from nestgraph.language.spec import Spec
from nestgraph.language.system import FlatBlock, Node


def reach(spec: Spec) -> int:
    """Return positions before its own that the answer at one can depend on through windows.

    Windows of attention and of convolutions add up over the depth, and within a layer as if all
    stood behind each other. Attention without a window sees everything, and doesn't count.
    """
    return sum(_reach(layer.block) for layer in model_of(spec.system).layers)


def require_outside(task: Task, spec: Spec) -> None:
    """Make sure that no window of a spec, nor all of them together, reaches a needle.

    Raises:
        InputError: they do (NG947).
    """
    seen, gap = reach(spec), int(task.settings["gap"])
    if seen > gap:
        said = f"the windows of `{spec.path}` reach {seen} bytes back, and the needles of"
        where = f"`{task.label}` may stand {gap} before the question"
        raise InputError("NG947", f"{said} {where}", f"set `gap` to {seen} or more")


def _reach(block: FlatBlock) -> int:
    windows = (memory.net.window or 1 for memory in block.memories.values())
    convolutions = (
        node.fields["width"]
        for node in block.nodes.values()
        if isinstance(node, Node) and node.op == "conv"
    )
    widths = (*windows, *(width for width in convolutions if isinstance(width, int)))
    return sum(width - 1 for width in widths)
