"""The file as a whole: blocks, model, optimizer and training."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from nestgraph.schema.base import Closed, FlowName, Size, Text, by_key, by_word
from nestgraph.schema.nodes import Vars

VERSION = 1
# Checked one by one by the elaboration, so that each keeps its own findings.
Memories: TypeAlias = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "additionalProperties": {"$ref": "#/$defs/Memory"}}),
]
Nodes: TypeAlias = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "additionalProperties": {"$ref": "#/$defs/Node"}}),
]
Blocks: TypeAlias = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "additionalProperties": {"$ref": "#/$defs/Block"}}),
]


class Block(Closed):
    """A reusable graph of nodes and memories."""

    inputs: list[FlowName] = Field(["x"], description="Flows from outside.")
    vars: Vars = Field({}, description="Parameters of the block, with their defaults.")
    memories: Memories = Field({}, description="Memories by name.")
    nodes: Nodes = Field({}, description="Nodes by name; their order means nothing.")
    output: FlowName | None = Field(None, description="The flow it gives; `out` if not said.")


class Embed(Closed):
    """The table that turns tokens into flows."""

    vocab: Size = Field(description="Number of tokens.")
    width: Size = Field(description="Width of the flow.")


class StackBlock(Closed):
    """A block of the stack."""

    block: Text = Field(description="A block of this file.")
    repeat: Annotated[int, Field(ge=1)] = Field(1, description="How many, one after another.")
    with_: Vars = Field({}, alias="with", description="The block's vars.")


class StackGroup(Closed):
    """A part of the stack that repeats as a whole."""

    stack: Annotated[list[StackItem], Field(min_length=1)] = Field(description="Its items.")
    repeat: Annotated[int, Field(ge=1)] = Field(1, description="How often.")


StackItem: TypeAlias = Annotated[
    Annotated[StackBlock, Tag("block")] | Annotated[StackGroup, Tag("stack")],
    by_key("block", "stack"),
]


class Head(Closed):
    """The map from flow to scores of tokens, or of other classes."""

    tie: bool = Field(False, description="Use the embedding table.")
    out: Size | None = Field(None, description="Number of scores; else one for each token.")


class Model(Closed):
    """Embedding, stack of blocks, norm and head."""

    embed: Embed = Field(description="Tokens to flow.")
    stack: Annotated[list[StackItem], Field(min_length=1)] = Field(
        description="Blocks, one after another."
    )
    norm: Literal["none", "rms_norm", "layer_norm"] = Field("none", description="Before the head.")
    horizon: Text | None = Field(
        None, description="The level at whose ticks gradients through carried states are cut."
    )
    head: Head = Field(
        default_factory=lambda: Head.model_validate({}), description="Flow to scores."
    )


class Names(Closed):
    """Parameters by name."""

    names: Text = Field(description="A pattern such as `*.gate.weight`.")


Which: TypeAlias = Annotated[
    Annotated[
        Literal[
            "linear_maps",
            "hidden_matrices",
            "matrices",
            "vectors",
            "embeddings",
            "head",
            "all",
            "rest",
        ],
        Tag("word"),
    ]
    | Annotated[Names, Tag("mapping")],
    Discriminator(by_word),
]


Factor: TypeAlias = Annotated[float, Field(gt=0, le=1e6)]


class BlockGroup(Closed):
    """Parameters updated by a block of this file."""

    for_: Which = Field(alias="for", description="Which parameters; the first match wins.")
    block: Text = Field(description="The block that updates each of them.")
    with_: Vars = Field({}, alias="with", description="The block's vars.")
    lr: Factor = Field(1, description="Factor of the learning rate.")


class SpecGroup(Closed):
    """Parameters updated by another optimizer."""

    for_: Which = Field(alias="for", description="Which parameters; the first match wins.")
    spec: Text = Field(description="Name or path of an optimizer.")
    with_: Vars = Field({}, alias="with", description="That optimizer's vars.")
    lr: Factor = Field(1, description="Factor of the learning rate.")


Group: TypeAlias = Annotated[
    Annotated[BlockGroup, Tag("block")] | Annotated[SpecGroup, Tag("spec")],
    by_key("block", "spec"),
]
Beta: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"


class Training(Closed):
    """How the outermost level learns. The command line beats these."""

    optimizer: Text = Field(
        "adamw", description="Name or path of an optimizer, or one written out."
    )
    lr: Annotated[float, Field(gt=0, le=100)] = Field(1e-3, description="Highest learning rate.")
    min_lr: Annotated[float, Field(ge=0, le=100)] | None = Field(
        None, description="Learning rate at the end of the cosine; else a tenth of `lr`."
    )
    betas: Annotated[list[Beta], Field(min_length=2, max_length=2)] = Field(
        [0.9, 0.99], description="Decays of the first and second moment."
    )
    weight_decay: Annotated[float, Field(ge=0, le=10)] = Field(0.1, description="Weight decay.")
    warmup: Annotated[int, Field(ge=0, le=10**9)] = Field(100, description="Steps of warm-up.")
    clip: Annotated[float, Field(ge=0)] = Field(
        1.0, description="Largest norm of the gradient; 0 for no limit."
    )
    steps: Annotated[int, Field(ge=1, le=10**9)] = Field(2000, description="Steps of training.")
    batch: Annotated[int, Field(ge=1, le=10**6)] = Field(12, description="Sequences in a step.")
    context: Annotated[int, Field(ge=1, le=10**8)] = Field(64, description="Tokens in a sequence.")
    val_interval: Annotated[int, Field(ge=1, le=10**9)] = Field(
        250, description="Steps between validations."
    )
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = Field(0, description="Of all randomness.")
    data: Text = Field("shakespeare", description="A data set by name, a file or a folder.")
    bad_steps: Annotated[int, Field(ge=1, le=10**9)] = Field(
        10, description="Steps in a row whose gradient may be no number before training stops."
    )


def _no_truth(value: object) -> object:
    """Return `true`, which Python takes for 1, as a word that is not."""
    return str(value).lower() if isinstance(value, bool) else value


class SpecFile(Closed):
    """A nestgraph spec."""

    nestgraph: Annotated[Literal[1], BeforeValidator(_no_truth)] = Field(
        description="Version of the language."
    )
    name: Annotated[str, Field(pattern=NAME)] = Field(description="Name of the spec.")
    doc: str = Field("", description="One line about it.")
    extends: Text | None = Field(None, description="Path or zoo name of the spec to start from.")
    vars: Vars = Field({}, description="Numbers and words for `$name`; `--set` reaches them.")
    levels: dict[str, Text] = Field(
        {}, description="Clocks by name: `16 tokens`, `8 steps`, `never`."
    )
    blocks: Blocks = Field({}, description="Blocks by name; a model needs one.")
    model: Model | None = Field(None, description="The model; a spec has this or `optimizer`.")
    optimizer: Annotated[list[Group], Field(min_length=1)] | None = Field(
        None, description="The optimizer: groups of parameters."
    )
    training: Training = Field(
        default_factory=lambda: Training.model_validate({}),
        description="How the outermost level learns.",
    )
