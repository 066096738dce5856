"""What is written and never asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nestgraph.checks.registry import Finding, Scope, block_rule, memory_rule
from nestgraph.language.system import Memory, Region


@block_rule("NG403", severity="warning")
def every_node_is_used(scope: Scope) -> Iterator[Finding]:
    """Warn of a flow that nothing takes: it costs time and changes nothing."""
    regions = {region.prefix: region for region in scope.block.regions}
    nodes = scope.block.nodes.values()
    spans_in_use = {node.span for node in nodes if node.name in scope.used}
    for node in nodes:
        if node.name in scope.used:
            continue
        region = regions.get(node.name.rpartition(".")[0])
        if region and region.prefix and (node.name.endswith(".out") or node.span in spans_in_use):
            yield _instance(scope, region, regions)
        else:
            yield Finding(
                message=f"`{scope.label(node.name)}` is never used",
                hint="delete it, or use it in another node or memory",
                span=node.span,
            )


def _instance(scope: Scope, region: Region, regions: Mapping[str, Region]) -> Finding:
    """Return what an inner block gives is asked for in other instances, so the instance is at
    fault.
    """
    above = regions.get(region.prefix.rpartition(".")[0])
    return Finding(
        message=f"`{scope.label(region.prefix)}`, an instance of `{region.block}`, is never used",
        hint="delete it, or use it in another node or memory",
        span=above.span if above else scope.block.span,
    )


@block_rule("NG403", severity="warning")
def every_input_is_used(scope: Scope) -> Iterator[Finding]:
    """Report a block of a model that ignores its input, and so sees no token."""
    for flow in scope.block.inputs if scope.in_model else ():
        if flow not in scope.used:
            yield Finding(
                message=f"`{scope.block.name}` never uses its input `{flow}`",
                hint=f"let a node take `{flow}`: without it the block sees no token",
                span=scope.block.span,
            )


@memory_rule("NG404", severity="warning")
def every_memory_is_read(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Warn of what is stored and never read; starts of other memories count as read."""
    if memory.init.kind == "given" or memory.name in scope.starts or memory.name in scope.reads:
        return
    name = scope.label(memory.name)
    yield Finding(
        message=f"`{name}` is written but never read",
        hint=f"read it with `{{read: {name}, query: …}}`, or delete it",
        span=memory.span,
    )
