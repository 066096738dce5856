"""A file of clocks: which MLPs of a Hugging Face network move how often, and how far."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, Tag

from nestgraph.schema.base import Closed, Text, shapes
from nestgraph.schema.file import NAME
from nestgraph.schema.nodes import Vars

LAYERS = "a layer, a range such as `0-3`, or a list of them"
Layer: TypeAlias = Annotated[int, Field(ge=0)]
Layers: TypeAlias = Annotated[
    Annotated[Layer, Tag("number")]
    | Annotated[Text, Tag("flow")]
    | Annotated[list[Layer | Text], Field(min_length=1), Tag("list")],
    shapes(LAYERS),
]


class Mlps(Closed):
    """MLPs that move together."""

    layers: Layers = Field(description="Of which layers, counted from 0: `2`, `0-3`, `[0, 2-3]`.")
    level: Text = Field(description="How often: a level that counts tokens.")
    rate: Annotated[float, Field(ge=0, le=1e6)] = Field(
        description="Of the sum of a period's losses; 0 is the network itself."
    )


class ClockFile(Closed):
    """A Hugging Face network with its MLPs on clocks."""

    nestgraph: Literal[1] = Field(description="Version of the language.")
    name: Annotated[str, Field(pattern=NAME)] = Field(description="Name of the file.")
    doc: str = Field("", description="One line about it.")
    network: Text = Field(description="A local folder, seen from the file, or a name.")
    vars: Vars = Field({}, description="Numbers and words for `$name`; `--set` reaches them.")
    levels: dict[str, Text] = Field(description="Clocks by name: `128 tokens`.")
    mlps: Annotated[list[Mlps], Field(min_length=1)] = Field(description="What moves.")
