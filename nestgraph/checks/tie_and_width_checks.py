"""Where parts meet: a block and the stream of the model, and ops that share parameters."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.analysis.parameters import input_width, op_parameters
from nestgraph.checks.registry import Finding, Scope, block_rule, node_rule
from nestgraph.language.system import Node
from nestgraph.shapes.ops import items

STARTS = ("init", "std", "trained")  # fields that say how parameters start


@block_rule("NG229")
def a_block_keeps_the_width_of_the_model(scope: Scope) -> Iterator[Finding]:
    """Yield the next item of the stack takes what this one gives."""
    model, block = scope.system.model, scope.block
    node = block.nodes.get(block.output or "")
    if model is None or node is None or node.width in (None, model.width):
        return
    yield Finding(
        message=f"the output of `{block.name}` has width {node.width}, "
        f"but the model is {model.width} wide",
        hint=f"end the block with a flow of width {model.width}, for example by a `linear`",
        span=node.span or block.span,
    )


@node_rule("NG220")
def every_input_has_its_weight(scope: Scope, node: Node) -> Iterator[Finding]:
    """Check that a list of weights goes with the list of inputs."""
    weights = items(node.fields.get("weights"))
    if weights is not None and len(weights) != len(node.inputs):
        yield Finding(
            message=f"`weights` has {len(weights)} numbers for {len(node.inputs)} flows",
            hint="give one weight for each flow of `in`",
            span=node.spans.get("weights") or node.span,
        )


@node_rule("NG228")
def tied_ops_have_one_shape(scope: Scope, node: Node) -> Iterator[Finding]:
    """Check that shared parameters fit both ops."""
    if node.tie is None or scope.system.model is None:
        return
    other = scope.owners.get(node.tie)
    if other is None or None in (node.width, other.width):
        return
    entering = [_entering(scope, one) for one in (node, other)]
    if 0 in entering:  # it follows from a mismatch, which has its finding
        return
    mine, theirs = (_shapes(*one) for one in zip((node, other), entering, strict=True))
    if mine != theirs:
        yield Finding(
            message=f"`{scope.label(node.name)}` ({mine}) can't share the parameters of "
            f"`{scope.label(other.name)}` ({theirs})",
            hint="tie only ops of one kind, with inputs and outputs of one width",
            span=node.spans.get("tie") or node.span,
        )


@node_rule("NG228")
def a_tied_op_has_no_start_of_its_own(scope: Scope, node: Node) -> Iterator[Finding]:
    """Check that shared parameters start as the op says that they belong to."""
    given = [field for field in STARTS if field in node.spans]
    for field in given if node.tie is not None else ():
        yield Finding(
            message=f"`{field}` of `{scope.label(node.name)}` has no effect: its parameters are"
            f" those of `{node.tie}`, and start as that one says",
            hint=f"leave `{field}` out here; give it to `{node.tie}`",
            span=node.spans[field],
        )


def _entering(scope: Scope, node: Node) -> int:
    """Return the width that enters an op; 0 where it is unknown."""
    width = scope.system.model.width if scope.system.model else 0
    return input_width(scope.block, node, width)


def _shapes(node: Node, entering: int) -> str:
    found = op_parameters(node, entering)
    listed = ", ".join(f"{p.name} {'×'.join(map(str, p.shape))}" for p in found)
    return f"{node.op}: {listed or 'no parameters'}"
