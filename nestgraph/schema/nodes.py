"""Nodes: ops, reads of memories and instances of blocks, each with a `then` chain.

There are many ops and a spec uses few, so the node form of an op is made when it is first asked
for, and chains are checked step by step (`nestgraph.schema.check_nodes`).
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag, WithJsonSchema, create_model

from nestgraph.schema.base import Closed, FlowName, FlowNames, Text, by_shape, shapes
from nestgraph.schema.ops import OPS, Op

VarValue: TypeAlias = Annotated[
    Annotated[bool, Tag("truth")] | Annotated[float, Tag("number")] | Annotated[str, Tag("flow")],
    Discriminator(
        lambda value: "truth" if isinstance(value, bool) else by_shape(value),
        custom_error_type="shape",
        custom_error_message="a number or a word",
    ),
]
Vars: TypeAlias = dict[str, VarValue]
Chain: TypeAlias = Annotated[
    list[Any], WithJsonSchema({"type": "array", "items": {"$ref": "#/$defs/Step"}})
]

_THEN = "Unary ops applied in turn: names, or `{op: …}`."
_FLOWS: dict[str, Any] = {
    "one": (FlowName, Field(alias="in", description="The flow it takes.")),
    "two": (
        Annotated[list[FlowName], Field(min_length=2, max_length=2)],
        Field(alias="in", description="The two flows it takes."),
    ),
    "many": (FlowNames, Field(alias="in", description="The flows it takes.")),
}


@cache
def op_node(name: str) -> type[Op]:
    """Return the op as it stands among the nodes: with `in`, `then` and, if it learns, `tie`."""
    kind = OPS[name]
    fields: dict[str, Any] = {"then": (Chain, Field([], description=_THEN))}
    if kind.arity != "none":
        fields["in_"] = _FLOWS[kind.arity]
    if kind.learns:
        about = "A node of this block whose parameters it shares."
        fields["tie"] = (Text | None, Field(None, description=about))
    return create_model(f"{kind.__name__}Node", __base__=kind, __doc__=kind.__doc__, **fields)


class ReadNode(Closed):
    """Asks a memory."""

    read: Text = Field(description="A memory of this block.")
    query: FlowName | None = Field(None, description="The flow it is asked with.")
    at: Literal["after", "before", "boundary"] = Field(
        "after", description="After this position's write, before it, or at the last tick."
    )
    then: Chain = Field([], description=_THEN)


class BlockNode(Closed):
    """An instance of another block."""

    block: Text = Field(description="A block of this file.")
    in_: Annotated[
        Annotated[FlowName, Tag("flow")] | Annotated[FlowNames, Tag("list")],
        shapes("a flow or a list of flows"),
    ] = Field(alias="in", description="A flow for each input of the block.")
    with_: Vars = Field({}, alias="with", description="The block's vars.")
    then: Chain = Field([], description=_THEN)


AnyNode: TypeAlias = Op | ReadNode | BlockNode
