"""What has no meaning on a vector, which is a matrix of one column asked without a key."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.checks.registry import Finding, Scope, memory_rule
from nestgraph.language.system import Memory
from nestgraph.shapes.flows import spot


@memory_rule("NG322")
def a_vector_has_one_column(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Check that a vector takes no key: its softmax over inputs is always 1, and no unit matrix is
    like it.
    """
    if memory.net.kind != "vector":
        return
    if memory.keys:
        yield Finding(
            message="a `vector` memory has no key: its state is its answer",
            hint="delete `keys`, or use a `linear` net",
            span=spot(memory, "keys"),
        )
    if not scope.in_model:
        return  # in an optimizer it has the parameter's shape
    if memory.rule.mirror == "softmax":
        yield Finding(
            message="`mirror: softmax` has no meaning on `vector`: "
            "it is over the inputs of each output, and a vector has one, so it would answer 1",
            hint="delete `mirror`, or put a `softmax` behind the read",
            span=spot(memory, "rule.mirror"),
        )
    if memory.init.kind == "identity":
        yield Finding(
            message="`init: identity` is a unit matrix, and a `vector` is none",
            hint="write `init: zero` or `init: learned`",
            span=memory.init.span or spot(memory, "init"),
        )
