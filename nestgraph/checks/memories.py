"""Which fields of a memory make sense together."""

from __future__ import annotations

from collections.abc import Iterator

from nestgraph.checks.registry import Finding, Scope, memory_rule, read_rule
from nestgraph.checks.turned import turned_elsewhere
from nestgraph.language.system import Memory, Read
from nestgraph.shapes.flows import coefficients, spot

MEANINGLESS_FOR_ATTENTION = {
    "rule": "it stores events and never learns from an error",
    "objective": "it stores events and never learns from an error",
    "gradient": "it takes no inner gradient",
    "level": "it stores every event at once; `reset` says how far it looks back",
}


@memory_rule("NG320")
def attention_only_stores(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Report rules of attention, which has events, no state that a rule could move."""
    if memory.net.kind != "attention" or (scope.in_model and memory.is_step_group):
        return
    for field, why in MEANINGLESS_FOR_ATTENTION.items():
        turned = turned_elsewhere(spot(memory, field), (spot(memory, "net"),))
        if field in memory.written and turned:
            yield Finding(
                message=f"this makes `{scope.label(memory.name)}` attention, on which its "
                f"`{field}` ({spot(memory, field)}) has no meaning: {why}",
                hint="choose another net, or write the memory anew under another name",
                span=turned,
            )
        elif field in memory.written:
            shown = "momentum" if field == "rule" and "momentum" in memory.rule.spans else field
            yield Finding(
                message=f"`{shown}` has no meaning on attention: {why}",
                hint=f"delete `{field}`",
                span=spot(memory, "rule.momentum" if shown == "momentum" else field),
            )
    if memory.self_values:
        yield Finding(
            message="attention can't make its own values: they are what it stores",
            hint="give `values` a flow",
            span=spot(memory, "values"),
        )
    if "init" in memory.written and (memory.init.kind != "learned" or not memory.init.entries):
        yield Finding(
            message="attention starts without events, so `init` only says learned `entries`",
            hint="write `{kind: learned, entries: n}` or delete `init`",
            span=spot(memory, "init"),
        )


@memory_rule("NG321")
def a_memory_is_told_what_to_store(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Yield all but `task` memories need values, and all but vectors keys."""
    if memory.objective.kind == "task":
        return
    name = scope.label(memory.name)
    if not memory.values:
        yield Finding(
            message=f"`{name}` has no `values`, so there is nothing to store",
            hint="give `values` a flow, or `objective: task` to learn from the model's loss",
            span=memory.span,
        )
    if not memory.keys and memory.net.kind != "vector":
        yield Finding(
            message=f"`{name}` has no `keys` to store its values under",
            hint="give `keys` a flow",
            span=memory.span,
        )


@memory_rule("NG322")
def some_fields_need_a_matrix(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Report `per`, an erase key and keys on nets where they have no meaning."""
    kind = memory.net.kind
    if kind in ("linear", "attention"):
        return
    if memory.rule.erase.key is not None:
        yield Finding(
            message=f"`erase.key` has no meaning on `{kind}`: its layers see different inputs",
            hint="use a `linear` net, or `erase: key` to erase under the write key",
            span=memory.rule.erase.span or spot(memory, "rule.erase"),
        )
    for field, coefficient in coefficients(memory):
        if coefficient.per != "head":
            yield Finding(
                message=f"`per: {coefficient.per}` is for `linear` nets, "
                f"and `{scope.label(memory.name)}` is `{kind}`",
                hint="give one rate a head",
                span=coefficient.span or spot(memory, field),
            )


@memory_rule("NG322")
def a_gate_has_a_layer_to_gate(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Check that gates stand on hidden layers."""
    if memory.net.gated and memory.net.layers == 1:
        yield Finding(
            message="`gated` is about hidden layers, and a net with `layers: 1` has none",
            hint="give it two layers or more, or delete `gated`",
            span=spot(memory, "net.gated"),
        )


@memory_rule("NG323")
def implicit_needs_a_scalar_rate_and_an_error(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Check that `implicit`, which solves a proximal step, has what it needs: one rate a head and
    something to balance.
    """
    rule = memory.rule
    if not rule.implicit:
        return
    span = spot(memory, "rule.implicit")
    if rule.rate.per != "head":
        yield Finding(
            message=f"`implicit` needs one rate a head, but `rate` is `per: {rule.rate.per}`",
            hint="delete `implicit`, or give `rate` one number a head",
            span=span,
        )
    if memory.objective.kind == "dot" and rule.erase.where == "none":
        yield Finding(
            message="`implicit` with `objective: dot` and no `erase` solves nothing: "
            "the objective is linear",
            hint="delete `implicit`, or add `erase: key`",
            span=span,
        )


@memory_rule("NG327")
def erasing_needs_keys(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Check that there are keys to erase by, and for the norm in an implicit rate.

    Those of a task memory on tokens are what its layers are given when it is asked.
    """
    asks = scope.in_model and memory.is_online and memory.net.kind in ("linear", "mlp")
    if memory.keys or memory.net.kind == "attention" or (memory.is_step_group and scope.in_model):
        return
    for field, asked in (
        ("erase", memory.rule.erase.where != "none" and not asks),
        ("implicit", memory.rule.implicit),
    ):
        if asked:
            yield Finding(
                message=f"`{field}` needs `keys`, and `{scope.label(memory.name)}` has none",
                hint=f"delete `{field}`, or give `keys` a flow",
                span=spot(memory, f"rule.{field}"),
            )


@read_rule("NG324")
def attention_has_no_boundary(scope: Scope, read: Read, memory: Memory) -> Iterator[Finding]:
    """Yield attention keeps events, not an anchor."""
    if memory.net.kind == "attention" and read.at == "boundary":
        yield Finding(
            message=f"`{scope.label(memory.name)}` is attention and has no boundary to read at",
            hint="read it `after` or `before`",
            span=read.spans.get("at") or read.span,
        )


@read_rule("NG325")
def a_net_is_asked_with_a_query(scope: Scope, read: Read, memory: Memory) -> Iterator[Finding]:
    """Check that a net is asked with a query and a vector, its own answer, without one."""
    kind, name = memory.net.kind, scope.label(memory.name)
    if kind == "vector" and read.query is not None:
        yield Finding(
            message=f"`{name}` is a `vector`: its state is the answer to any query",
            hint="delete `query`",
            span=read.spans.get("query") or read.span,
        )
    if kind in ("mlp", "attention") and read.query is None:
        yield Finding(
            message=f"reading `{name}` needs a `query`: it is `{kind}`",
            hint=f"write `{{read: {name}, query: …}}`",
            span=read.span,
        )


@memory_rule("NG326")
def the_task_supplies_keys_and_values(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Check that a `task` memory, which learns from the model's loss, isn't told what to store."""
    if memory.objective.kind != "task" or (memory.is_step_group and scope.in_model):
        return
    fields = {"values": memory.values, "keys": memory.keys if scope.in_model else ()}
    for field, flows in fields.items():
        if flows:
            yield Finding(
                message=f"`{field}` has no meaning with `objective: task`: "
                "the loss itself says what to learn",
                hint=f"delete `{field}`, or choose another objective",
                span=spot(memory, field),
            )
    if memory.objective.through is not None and scope.in_model:
        yield Finding(
            message="`through` is for optimizers: a model's task gradient is taken as it comes",
            hint="write `objective: task`",
            span=memory.objective.span or spot(memory, "objective"),
        )


@memory_rule("NG328")
def every_key_has_its_value(scope: Scope, memory: Memory) -> Iterator[Finding]:
    """Check that several events at one position are pairs of a key and a value."""
    keys, values = len(memory.keys), len(memory.values)
    if keys and values and keys != values:
        yield Finding(
            message=f"`{scope.label(memory.name)}` has {keys} `keys` for {values} `values`",
            hint="list one value for each key",
            span=spot(memory, "values"),
        )
