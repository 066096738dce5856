"""The width that each op makes of the widths it is given, or why it can't.

One small rule an op, in the table `RULES`. An op that isn't in the table keeps the width of its
input (activations, constants, norms without heads).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nestgraph.language.system import Node
from nestgraph.shapes.mismatch import Mismatch, indivisible

Widths = tuple[int, ...]
Answer = int | Mismatch
Rule = Callable[[Node, Widths], Answer]

N_ARY = ("sum", "product", "divide", "max")  # all inputs and the answer have one width


def op_width(node: Node, inputs: Widths) -> Answer:
    """Return width of the flow that `node` makes from flows of these widths."""
    return RULES.get(node.op, _same)(node, inputs)


def fixed_width(node: Node) -> int | None:
    """Return width of a flow whose op alone decides it; None where it depends on the inputs."""
    match node.op:
        case "linear" | "constant":
            out = node.fields.get("out")
            return out if isinstance(out, int) else None
        case "mean" | "total":
            return number(node, "heads", 1)
        case "slice":
            return number(node, "heads", 1) * number(node, "size", 1)
        case "position":
            return 1
    return None


def number(node: Node, field: str, default: int) -> int:
    """Return a whole-number field; absent or null reads as `default`."""
    value = node.fields.get(field)
    return value if isinstance(value, int) else default


def items(value: object) -> Sequence[object] | None:
    """Return the value as a list, or None where it is a scalar."""
    return value if isinstance(value, Sequence) and not isinstance(value, str) else None


def _same(node: Node, inputs: Widths) -> Answer:
    return inputs[0]


def _out(node: Node, inputs: Widths) -> Answer:
    return number(node, "out", inputs[0])


def _split(node: Node, width: int) -> int | Mismatch:
    """Return width of one head's run."""
    heads = number(node, "heads", 1)
    if width % heads:
        return indivisible("heads", f"the input of `{node.op}`", width, heads)
    return width // heads


def _per_head(node: Node, inputs: Widths) -> Answer:
    run = _split(node, inputs[0])
    return run if isinstance(run, Mismatch) else inputs[0]


def _rope(node: Node, inputs: Widths) -> Answer:
    run = _split(node, inputs[0])
    if isinstance(run, int) and run % 2:
        return Mismatch(
            code="NG227",
            field="heads",
            message=f"`rope` turns channels in pairs, but a head has {run} of them",
            hint="choose `heads` so that a head has an even width",
        )
    return run if isinstance(run, Mismatch) else inputs[0]


def _one_per_head(node: Node, inputs: Widths) -> Answer:
    run = _split(node, inputs[0])
    return run if isinstance(run, Mismatch) else number(node, "heads", 1)


def _equal(node: Node, inputs: Widths) -> Answer:
    if len(set(inputs)) > 1:
        listed = ", ".join(
            f"`{flow}` {width}" for flow, width in zip(node.inputs, inputs, strict=True)
        )
        return Mismatch(
            code="NG224",
            field="in",
            message=f"`{node.op}` needs flows of one width, but got {listed}",
            hint="bring them to one width first, for example with `linear` or `repeat`",
        )
    return inputs[0]


def _tile(node: Node, inputs: Widths) -> Answer:
    return inputs[0] * number(node, "times", 1)


def _repeat(node: Node, inputs: Widths) -> Answer:
    run = _split(node, inputs[0])
    times = items(node.fields.get("times"))
    if isinstance(run, Mismatch) or times is None:
        return run if isinstance(run, Mismatch) else inputs[0] * number(node, "times", 1)
    if len(times) != run:
        return Mismatch(
            code="NG220",
            field="times",
            message=f"`times` has {len(times)} numbers, but a head has {run} channels",
            hint="give one number for each channel of a head, or a single number for all",
        )
    return number(node, "heads", 1) * sum(t for t in times if isinstance(t, int))


def _slice(node: Node, inputs: Widths) -> Answer:
    run = _split(node, inputs[0])
    if isinstance(run, Mismatch):
        return run
    start, size = number(node, "start", 0), number(node, "size", run)
    if start + size > run:
        return Mismatch(
            code="NG226",
            field="size" if "size" in node.spans else "start",
            message=f"`slice` asks for channels {start} to {start + size} of {run} in a head",
            hint=f"keep `start + size` within {run}",
        )
    return number(node, "heads", 1) * size


def _decay(node: Node, inputs: Widths) -> Answer:
    return inputs[0] * max(1, number(node, "states", 1))


def _one(node: Node, inputs: Widths) -> Answer:
    return 1


def _given(node: Node, inputs: Widths) -> Answer:
    return number(node, "out", 1)


RULES: Mapping[str, Rule] = {
    "linear": _out,
    "rms_norm": _per_head,
    "layer_norm": _per_head,
    "l2_norm": _per_head,
    "softmax": _per_head,
    "gain": _per_head,
    "rope": _rope,
    "mean": _one_per_head,
    "total": _one_per_head,
    "sum": _equal,
    "product": _equal,
    "divide": _equal,
    "max": _equal,
    "tile": _tile,
    "repeat": _repeat,
    "slice": _slice,
    "decay": _decay,
    "position": _one,
    "constant": _given,
}
