"""A memory: net, objective, rule, level and initial state (language reference, section 4)."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag

from nestgraph.schema.base import (
    Closed,
    Coefficient,
    FlowName,
    FlowNames,
    Retention,
    Size,
    Text,
    Texts,
    by_kind,
    by_word,
    shapes,
)

Activation: TypeAlias = Literal["silu", "gelu", "gelu_tanh", "relu", "sigmoid", "tanh"]


class LinearNet(Closed):
    """One matrix a head."""

    kind: Literal["linear"] = Field(description="One matrix a head.")
    out: Size | None = Field(None, description="Width of the answer; else the values' or keys'.")


class MlpNet(Closed):
    """A small network a head: x + norm(W_L … σ(W_1 x))."""

    kind: Literal["mlp"] = Field(description="A small network a head.")
    layers: Annotated[int, Field(ge=1, le=64)] = Field(2, description="Number of matrices.")
    expansion: Annotated[float, Field(gt=0, le=1024)] = Field(
        4, description="Hidden width over key width."
    )
    activation: Activation = Field("silu", description="Between the layers.")
    gated: bool = Field(
        False,
        description="Every hidden layer is σ(W a) ⊙ V a; `objective: task` only.",
    )
    bias: bool = Field(False, description="A bias in every layer.")
    norm: Literal["none", "layer_norm", "rms_norm"] = Field(
        "none", description="After the last layer; its gain and shift are slow parameters."
    )
    residual: bool = Field(False, description="Adds the key; needs keys and values of one width.")
    out: Size | None = Field(None, description="Width of the answer; else the values' or keys'.")


class AttentionNet(Closed):
    """The list of events itself, asked by softmax attention."""

    kind: Literal["attention"] = Field(description="Keeps every event; softmax attention.")
    window: Size | None = Field(None, description="Number of latest positions seen; else all.")


class VectorNet(Closed):
    """A vector of the values' shape, without keys."""

    kind: Literal["vector"] = Field(description="No key: averages, momenta, weights.")


Net: TypeAlias = Annotated[
    Annotated[Literal["linear", "mlp", "attention", "vector"], Tag("word")]
    | Annotated[LinearNet, Tag("linear")]
    | Annotated[MlpNet, Tag("mlp")]
    | Annotated[AttentionNet, Tag("attention")]
    | Annotated[VectorNet, Tag("vector")],
    Discriminator(by_kind),
]


class Loss(Closed):
    """Fields of every objective on keys and values."""

    scale: Annotated[float, Field(gt=0)] = Field(1, description="Factor; 2 gives ‖·‖².")
    window: Size = Field(1, description="Number of latest events counted (Omega rule).")


class DotObjective(Loss):
    """−⟨answer, value⟩."""

    kind: Literal["dot"] = Field(description="−⟨answer, value⟩")


class L2Objective(Loss):
    """½‖answer − value‖²."""

    kind: Literal["l2"] = Field(description="½‖answer − value‖²")


class HuberObjective(Loss):
    """Quadratic near zero, linear beyond `delta`."""

    kind: Literal["huber"] = Field(description="Quadratic within `delta`, linear beyond.")
    delta: Coefficient = Field(description="Where it turns linear: a number or a flow.")
    switch: Literal["channel", "norm"] = Field(
        "channel",
        description="Each channel turns by itself, or a head as a whole, by the norm of its error.",
    )


class LpObjective(Loss):
    """Σ|answer − value|^p."""

    kind: Literal["lp"] = Field(description="Σ|answer − value|^p")
    p: Annotated[float, Field(ge=1)] = Field(description="The exponent, at least 1.")


class TaskObjective(Closed):
    """The model's own loss."""

    kind: Literal["task"] = Field(description="The loss of the whole model.")
    through: FlowName | None = Field(
        None, description="In optimizers: the flow that the gradient has become."
    )


Objective: TypeAlias = Annotated[
    Annotated[Literal["dot", "l2", "task"], Tag("word")]
    | Annotated[DotObjective, Tag("dot")]
    | Annotated[L2Objective, Tag("l2")]
    | Annotated[HuberObjective, Tag("huber")]
    | Annotated[LpObjective, Tag("lp")]
    | Annotated[TaskObjective, Tag("task")],
    Discriminator(by_kind),
]


class EraseTable(Closed):
    """What is erased before the write, in full."""

    where: Literal["none", "key", "layers"] = Field(
        "key", description="The layer that sees the key, or every layer under its own input."
    )
    key: FlowName | None = Field(None, description="Erase under this flow, not the write key.")
    rate: Coefficient | None = Field(None, description="Own rate; else the rule's.")


Erase: TypeAlias = Annotated[
    Annotated[Literal["none", "key", "layers"], Tag("word")]
    | Annotated[EraseTable, Tag("mapping")],
    Discriminator(by_word),
]


class GradientDirection(Closed):
    """The momentum itself."""

    kind: Literal["gradient"] = Field(description="The momentum itself.")


class NewtonSchulzDirection(Closed):
    """The momentum, orthogonalised."""

    kind: Literal["newton_schulz"] = Field(description="The momentum, orthogonalised.")
    steps: Annotated[int, Field(ge=1, le=100)] = Field(5, description="Iterations.")


Direction: TypeAlias = Annotated[
    Annotated[Literal["gradient", "newton_schulz"], Tag("word")]
    | Annotated[GradientDirection, Tag("gradient")]
    | Annotated[NewtonSchulzDirection, Tag("newton_schulz")],
    Discriminator(by_kind),
]


class NoMirror(Closed):
    """The state is the weights."""

    kind: Literal["none"] = Field(description="The state is the weights.")


class SoftmaxMirror(Closed):
    """Weights are the softmax of the state."""

    kind: Literal["softmax"] = Field(description="Weights are the softmax of the state.")


class LqMirror(Closed):
    """Weights through the map of the l_q norm."""

    kind: Literal["lq"] = Field(description="Weights through the map of the l_q norm.")
    q: Annotated[float, Field(gt=1)] = Field(description="The exponent of the norm.")


Mirror: TypeAlias = Annotated[
    Annotated[Literal["none", "softmax"], Tag("word")]
    | Annotated[NoMirror, Tag("none")]
    | Annotated[SoftmaxMirror, Tag("softmax")]
    | Annotated[LqMirror, Tag("lq")],
    Discriminator(by_kind),
]


class Rule(Closed):
    """How an event changes the state."""

    rate: Coefficient = Field(1.0, description="Factor of the gradient, inside the momentum.")
    momentum: Coefficient = Field(0.0, description="How much of the last step goes on.")
    retain: Retention = Field(1.0, description="How much of the state is kept.")
    retain_first: bool = Field(False, description="Forget before the gradient is taken.")
    erase: Erase = Field("none", description="What is erased before the write.")
    implicit: bool = Field(False, description="Rate η/(1+η‖a‖²): the exact proximal step.")
    direction: Direction = Field("gradient", description="What the momentum becomes.")
    step: Coefficient = Field(1.0, description="Factor of the direction, outside the momentum.")
    mirror: Mirror = Field("none", description="Map from state to weights.")
    reduce: Text = Field(
        "sum", description="How a period's events add up: `sum`, `mean`, or a flow of factors."
    )


class LearnedInit(Closed):
    """A trained first state."""

    kind: Literal["learned"] = Field(description="A trained first state.")
    std: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Spread before training; else 1/√fan-in, 0 for biases."
    )
    last: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Spread of the last layer's matrix; else that of the others."
    )
    entries: Size | None = Field(None, description="Attention: number of learned events.")


class ZeroInit(Closed):
    """All zeros."""

    kind: Literal["zero"] = Field(description="All zeros.")


class IdentityInit(Closed):
    """The unit matrix."""

    kind: Literal["identity"] = Field(description="The unit matrix.")


class FixedInit(Closed):
    """Drawn once, never trained."""

    kind: Literal["fixed"] = Field(description="Drawn once, never trained.")
    std: Annotated[float, Field(ge=0)] | None = Field(None, description="Spread; else 1/√fan-in.")


class FromInit(Closed):
    """Starts, and restarts, as another memory is at that time."""

    kind: Literal["from"] = Field(description="As another memory is at that time.")
    memory: Text = Field(description="A memory of this block.")


class GivenInit(Closed):
    """In optimizers: the parameter itself."""

    kind: Literal["given"] = Field(description="In optimizers: the parameter itself.")


TensorNames: TypeAlias = Annotated[
    Annotated[Text, Tag("flow")] | Annotated[Texts, Tag("list")],
    shapes("a name or a list of names"),
]


class CheckpointInit(Closed):
    """As tensors of a file are, and trained from there."""

    kind: Literal["checkpoint"] = Field(
        description="As tensors of a file are, and trained from there."
    )
    path: Text = Field(
        description="A run folder, a .ckpt, .safetensors or .pt file, seen from the spec."
    )
    key: TensorNames | None = Field(
        None,
        description="A memory in the file, or a list of its tensors, matrices before biases; "
        "`<n>` is the number of the layer. Else the name that the memory has here.",
    )


Init: TypeAlias = Annotated[
    Annotated[Literal["learned", "zero", "identity", "fixed", "given"], Tag("word")]
    | Annotated[LearnedInit, Tag("learned")]
    | Annotated[ZeroInit, Tag("zero")]
    | Annotated[IdentityInit, Tag("identity")]
    | Annotated[FixedInit, Tag("fixed")]
    | Annotated[FromInit, Tag("from")]
    | Annotated[GivenInit, Tag("given")]
    | Annotated[CheckpointInit, Tag("checkpoint")],
    Discriminator(by_kind),
]


class SelfValues(Closed):
    """The memory's own answer, at its anchor, is its target."""

    self: FlowName = Field(description="The flow that the memory answers to make its target.")


Keys: TypeAlias = Annotated[
    Annotated[FlowName, Tag("flow")] | Annotated[FlowNames, Tag("list")],
    shapes("a flow or a list of flows"),
]
Values: TypeAlias = Annotated[
    Annotated[FlowName, Tag("flow")]
    | Annotated[FlowNames, Tag("list")]
    | Annotated[SelfValues, Tag("mapping")],
    shapes("a flow, a list of flows, or `{self: flow}`"),
]


class Memory(Closed):
    """An associative memory."""

    like: Text | None = Field(
        None, description="A memory of this block whose fields are taken; those given replace."
    )
    net: Net = Field("linear", description="The function that the state parametrises.")
    heads: Size = Field(1, description="Number of separate memories side by side.")
    level: Text = Field("token", description="The clock of the anchor: a level.")
    keys: Keys | None = Field(None, description="What is asked later: a flow, or several events.")
    values: Values | None = Field(None, description="What is to be answered.")
    objective: Objective = Field("l2", description="What a write makes smaller.")
    rule: Rule = Field(
        default_factory=lambda: Rule.model_validate({}),
        description="Rates, momentum, retention, erasing.",
    )
    init: Init = Field("learned", description="The first state.")
    reset: Text = Field("never", description="The level at whose ticks the state starts again.")
    gradient: Literal["full", "first_order", "none"] = Field(
        "full", description="What slower levels see through the writes."
    )
