"""First states: where `init` may point, and what it may say."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.analysis.parameters import state_shapes
from nestgraph.checks.registry import Finding, Scope, block_rule, memory_rule
from nestgraph.language.system import Memory
from nestgraph.shapes.flows import spot


@memory_rule("NG332")
def a_start_has_the_same_shape(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Check that memories on both sides of `init: from`, which copies a state, have the same
    one.
    """
    source = scope.block.memories.get(memory.init.memory or "")
    if source is None or source is memory or _unknown(scope, memory) or _unknown(scope, source):
        return
    if state_shapes(memory) == state_shapes(source) and memory.net.kind == source.net.kind:
        return
    yield Finding(
        message=f"`{scope.label(memory.name)}` ({_shape(memory)}) can't start as "
        f"`{scope.label(source.name)}` ({_shape(source)})",
        hint="give both the same net, heads and widths",
        span=memory.init.span or spot(memory, "init"),
    )


def _unknown(scope: Scope, memory: Memory) -> bool:
    """Return whether widths are known: a model's memory has none where something else is wrong."""
    needed = (memory.value_width,) if memory.net.kind == "vector" else (memory.key_width,)
    return scope.in_model and None in (*needed, memory.value_width)


def _shape(memory: Memory) -> str:
    shapes = ", ".join("×".join(map(str, state.shape)) for state in state_shapes(memory))
    return f"{memory.net.kind} {shapes}".rstrip()


@block_rule("NG332")
def starts_do_not_go_round(scope: Scope) -> Iterator[Finding]:
    """Check that a chain of `init: from` ends in a memory with a start of its own."""
    seen: set[str] = set()
    for memory in scope.block.memories.values():
        trail: dict[str, None] = {}
        at: Memory | None = memory
        while at is not None and at.name not in seen:
            seen.add(at.name)
            trail[at.name] = None
            at = scope.block.memories.get(at.init.memory or "")
        if at is None or at.name not in trail:
            continue
        names = list(trail)
        loop = names[names.index(at.name) :]
        chain = " → ".join(f"`{scope.label(name)}`" for name in (*loop, at.name))
        alone = f"`{scope.label(at.name)}` is to start as itself, which is no start"
        several = f"{chain} start as each other, so none of them starts"
        it = "it" if len(loop) == 1 else "one of them"
        yield Finding(
            message=alone if len(loop) == 1 else several,
            hint=f"give {it} a start of its own, like `init: learned`",
            span=at.init.span or spot(at, "init"),
        )


@memory_rule("NG335")
def only_optimizers_are_given_a_parameter(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Check that `given`, the parameter that an optimizer moves, stands in an optimizer."""
    if scope.in_model and memory.init.kind == "given":
        yield Finding(
            message="`init: given` is for optimizers: a model isn't handed a parameter",
            hint="write `init: learned`",
            span=memory.init.span or spot(memory, "init"),
        )


@memory_rule("NG329")
def only_attention_starts_with_entries(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Check that only attention, which keeps events, has `entries`."""
    if memory.init.entries is not None and memory.net.kind != "attention":
        yield Finding(
            message=f"`entries` is for attention, and `{scope.label(memory.name)}` is "
            f"`{memory.net.kind}`",
            hint="delete `entries`",
            span=memory.init.span or spot(memory, "init"),
        )


@memory_rule("NG329")
def only_networks_have_a_last_layer(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Check `last`, the spread of the matrix that makes the answer of an `mlp` or a `linear`
    net.
    """
    if memory.init.last is not None and memory.net.kind not in ("mlp", "linear"):
        yield Finding(
            message=f"`last` is for nets with layers, and `{scope.label(memory.name)}` is "
            f"`{memory.net.kind}`",
            hint="delete `last`",
            span=memory.init.span or spot(memory, "init"),
        )


@memory_rule("NG354")
def what_retention_pulls_towards_stands_still(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Report a start that a `reset` takes anew from another memory would be another one each
    time.
    """
    moves = memory.init.kind == "from" and memory.reset.unit != "never"
    if memory.rule.towards != "init" or not moves:
        return
    source = scope.label(memory.init.memory or "")
    yield Finding(
        message=f"`towards: init` pulls `{scope.label(memory.name)}` to where it started, and "
        f"`reset: {memory.reset.name}` starts it again as `{source}` is then: "
        "no start that stands still",
        hint="delete `reset`, give it a start of its own, or write `towards: zero`",
        span=spot(memory, "rule.retain"),
    )


@memory_rule("NG355")
def retention_of_the_task_pulls_towards_zero(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Report `towards: init` of task memories on tokens: what moves them doesn't know the start."""
    if scope.in_model and memory.is_online and memory.rule.towards == "init":
        yield Finding(
            message="nothing runs `towards: init` on a task memory on tokens: "
            f"`{scope.label(memory.name)}` is pulled towards zero",
            hint="write `towards: zero`, or let `reset` bring its start back",
            span=spot(memory, "rule.retain"),
        )
