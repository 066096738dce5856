"""Ops: nodes without memory of the context (language reference, section 6).

Each class is an op as it stands in a `then` chain. The form with `in`, `then` and `tie`, as it
stands among the nodes, is derived in `nestgraph.schema.nodes`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, Tag

from nestgraph.schema.base import Closed, Size, Text, shapes

Arity: TypeAlias = Literal["none", "one", "two", "many"]
Start: TypeAlias = Annotated[
    Annotated[float, Tag("number")]
    | Annotated[list[float], Field(min_length=2, max_length=2), Tag("list")],
    shapes("a number, or `[first, last]`"),
]
Above: TypeAlias = Annotated[float, Field(gt=0)]
Rates: TypeAlias = Annotated[
    Annotated[Above, Tag("number")]
    | Annotated[list[Above], Field(min_length=2, max_length=2), Tag("list")],
    shapes("a number above 0, or `[first, last]`"),
]
SPACED = "`[first, last]` spaces them evenly"


class Op(Closed):
    """Base of all ops."""

    arity: ClassVar[Arity] = "one"
    learns: ClassVar[bool] = False  # has parameters that `tie` can share


class Headed(Op):
    """An op that treats the run of each head by itself."""

    heads: Size = Field(1, description="Number of runs in the width.")


class Linear(Op):
    """A learned matrix."""

    learns: ClassVar[bool] = True
    op: Literal["linear"] = Field(description="A learned matrix.")
    out: Size | None = Field(None, description="Width of the answer; else that of `in`.")
    bias: bool = Field(False, description="Adds a learned vector.")
    std: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="Standard deviation at the start, 0 for a map that starts at 0; else"
        " 1/√(3 · width of `in`).",
    )


class Conv(Op):
    """Causal depthwise convolution over positions."""

    learns: ClassVar[bool] = True
    op: Literal["conv"] = Field(description="Causal depthwise convolution over positions.")
    width: Annotated[int, Field(ge=1, le=4096)] = Field(
        description="Positions seen, this one included; 2 is a token shift."
    )


class RmsNorm(Headed):
    """Divides by the root mean square; learned gain."""

    learns: ClassVar[bool] = True
    op: Literal["rms_norm"] = Field(description="Divides by the root mean square; learned gain.")


class LayerNorm(Headed):
    """Mean 0, variance 1; learned gain and shift."""

    learns: ClassVar[bool] = True
    op: Literal["layer_norm"] = Field(description="Mean 0, variance 1; learned gain and shift.")


class L2Norm(Headed):
    """Divides by the Euclidean norm."""

    op: Literal["l2_norm"] = Field(description="Divides by the Euclidean norm.")
    over: Literal["all"] | None = Field(
        None, description="`all`: one norm over a whole matrix, for optimizers."
    )
    mean: bool = Field(
        False, description="With `over: all`: the root mean square in place of the norm."
    )


class Softmax(Headed):
    """Softmax over the channels."""

    op: Literal["softmax"] = Field(description="Softmax over the channels.")


class Silu(Op):
    """x·sigmoid(x)."""

    op: Literal["silu"] = Field(description="x·sigmoid(x)")


class Gelu(Op):
    """x·Φ(x), exact."""

    op: Literal["gelu"] = Field(description="x·Φ(x), exact")


class GeluTanh(Op):
    """x·Φ(x), by tanh."""

    op: Literal["gelu_tanh"] = Field(description="x·Φ(x), by tanh")


class Relu(Op):
    """max(x, 0)."""

    op: Literal["relu"] = Field(description="max(x, 0)")


class Sigmoid(Op):
    """1/(1+e^−x)."""

    op: Literal["sigmoid"] = Field(description="1/(1+e^−x)")


class Tanh(Op):
    """tanh x."""

    op: Literal["tanh"] = Field(description="tanh x")


class Softplus(Op):
    """log(1+e^x)."""

    op: Literal["softplus"] = Field(description="log(1+e^x)")


class Exp(Op):
    """e^x."""

    op: Literal["exp"] = Field(description="e^x")


class Affine(Op):
    """scale·x + shift, constants."""

    op: Literal["affine"] = Field(description="scale·x + shift, constants")
    scale: float = Field(1, description="Constant factor.")
    shift: float = Field(0, description="Constant shift.")


class Bias(Op):
    """A learned shift."""

    learns: ClassVar[bool] = True
    op: Literal["bias"] = Field(description="A learned shift.")
    init: Start = Field(0.0, description=f"Values before training; {SPACED}.")


class Gain(Op):
    """A learned factor, one a channel or one a head."""

    learns: ClassVar[bool] = True
    op: Literal["gain"] = Field(description="A learned factor, one a channel or one a head.")
    init: Start = Field(1.0, description=f"Values before training; {SPACED}.")
    heads: Size | None = Field(None, description="If given, one factor a head.")


class Power(Op):
    """x^exponent."""

    op: Literal["power"] = Field(description="x^exponent")
    exponent: float = Field(description="The exponent.")


class Polynomial(Op):
    """Σ c_i x^i with learned c_i, 1/i! at first."""

    learns: ClassVar[bool] = True
    op: Literal["polynomial"] = Field(description="Σ c_i x^i, learned c_i, 1/i! at first")
    degree: Annotated[int, Field(ge=1, le=16)] = Field(description="The highest power.")


class Sum(Op):
    """The sum of flows of one width."""

    arity: ClassVar[Arity] = "many"
    op: Literal["sum"] = Field(description="The sum of flows of one width.")
    weights: (
        Annotated[
            Annotated[list[float], Field(min_length=1), Tag("list")]
            | Annotated[Literal["learned"], Tag("flow")],
            shapes("a list of numbers, one a flow, or `learned`"),
        ]
        | None
    ) = Field(None, description="A number for each flow, or `learned`.")


class Product(Op):
    """The product of flows of one width."""

    arity: ClassVar[Arity] = "many"
    op: Literal["product"] = Field(description="The product of flows of one width.")


class Divide(Op):
    """The first flow over the second."""

    arity: ClassVar[Arity] = "two"
    op: Literal["divide"] = Field(description="The first flow over the second.")


class Max(Op):
    """The larger of flows of one width, channel by channel."""

    arity: ClassVar[Arity] = "many"
    op: Literal["max"] = Field(description="The larger of flows of one width, by channel.")


class Mean(Headed):
    """The mean of each head's run."""

    op: Literal["mean"] = Field(description="The mean of each head's run.")


class Total(Headed):
    """The sum of each head's run."""

    op: Literal["total"] = Field(description="The sum of each head's run.")


class Tile(Op):
    """Copies the whole vector."""

    op: Literal["tile"] = Field(description="Copies the whole vector.")
    times: Size = Field(description="Number of copies.")


class Repeat(Headed):
    """Copies each channel."""

    op: Literal["repeat"] = Field(description="Copies each channel.")
    times: Annotated[
        Annotated[Size, Tag("number")] | Annotated[list[Size], Field(min_length=1), Tag("list")],
        shapes("a whole number, or a list of them (one a channel of a head)"),
    ] = Field(description="Copies of each channel; a list gives one number a channel of a head.")


class Slice(Headed):
    """A run of channels of each head."""

    op: Literal["slice"] = Field(description="A run of channels of each head.")
    start: Annotated[int, Field(ge=0)] = Field(0, description="First channel, from 0.")
    size: Size = Field(description="Number of channels.")


class Decay(Op):
    """exp(−exp(a)·x), a learned."""

    learns: ClassVar[bool] = True
    op: Literal["decay"] = Field(description="exp(−exp(a)·x), a learned")
    states: Size | None = Field(None, description="If given, so many decays for each channel.")
    init: Rates = Field(
        1.0, description=f"exp(a) before training; {SPACED} over the states, or the channels."
    )


class Rope(Headed):
    """Rotary position."""

    op: Literal["rope"] = Field(description="Rotary position.")
    since: Text | None = Field(None, description="A level: count from its last tick.")
    base: Annotated[float, Field(gt=1)] = Field(10000, description="Longest wavelength over 2π.")


class Position(Op):
    """1, 2, … from the level's tick."""

    arity: ClassVar[Arity] = "none"
    op: Literal["position"] = Field(description="1, 2, … from the level's tick.")
    since: Text | None = Field(None, description="A level; else from the first position.")


class Constant(Op):
    """The same vector at every position."""

    arity: ClassVar[Arity] = "none"
    learns: ClassVar[bool] = True
    op: Literal["constant"] = Field(description="The same vector at every position.")
    out: Size = Field(description="Its width.")
    init: Start = Field(0.0, description=f"Values before training; {SPACED}.")
    trained: bool = Field(True, description="Whether training moves it.")


class Lookup(Op):
    """A learned table, asked by position."""

    learns: ClassVar[bool] = True
    op: Literal["lookup"] = Field(description="A learned table, asked by position.")
    size: Size = Field(description="Number of entries.")
    init: float = Field(0, description="Value before training.")


class Pool(Op):
    """One value a period."""

    op: Literal["pool"] = Field(description="One value a period.")
    level: Text = Field(description="The level whose period is pooled.")
    how: Literal["sum", "mean"] = Field("sum", description="`sum` or `mean`.")


class NewtonSchulz(Op):
    """Orthogonalises a matrix."""

    op: Literal["newton_schulz"] = Field(description="Orthogonalises a matrix.")
    steps: Annotated[int, Field(ge=1, le=100)] = Field(5, description="Iterations.")
    shape_factor: bool = Field(False, description="Multiply by √max(1, rows/columns).")
    precision: Literal["bfloat16", "float32", "float64"] = Field(
        "float32", description="Of the iteration."
    )


class Sign(Op):
    """−1, 0 or 1."""

    op: Literal["sign"] = Field(description="−1, 0 or 1; for optimizers.")


class Clip(Op):
    """Scales a matrix down to a norm."""

    op: Literal["clip"] = Field(description="Scales a matrix down to a norm; for optimizers.")
    norm: Annotated[float, Field(gt=0)] = Field(1, description="The largest norm.")


class Transpose(Op):
    """Rows become columns."""

    op: Literal["transpose"] = Field(description="Rows become columns; for optimizers.")


class MatMul(Op):
    """The product of two matrices."""

    arity: ClassVar[Arity] = "two"
    op: Literal["matmul"] = Field(description="The product of two matrices; for optimizers.")


class MatrixPower(Op):
    """A power of a symmetric matrix, by its eigenvalues."""

    op: Literal["matrix_power"] = Field(
        description="A power of a symmetric matrix without negative eigenvalues."
    )
    exponent: float = Field(description="Of the eigenvalues.")
    floor: Annotated[float, Field(gt=0)] = Field(
        1e-12, description="Added to the eigenvalues, as a share of the largest."
    )


class Debias(Op):
    """Divides by 1 − decay^ticks."""

    op: Literal["debias"] = Field(description="Divides by 1 − decay^ticks.")
    decay: Annotated[float, Field(ge=0, lt=1)] = Field(description="Decay of the average.")


class Identity(Op):
    """The unit matrix of the input's rows."""

    op: Literal["identity"] = Field(description="The unit matrix of the input's rows.")


def _all_ops() -> dict[str, type[Op]]:
    found: dict[str, type[Op]] = {}
    todo: list[type[Op]] = [Op]
    while todo:
        for kind in todo.pop().__subclasses__():
            todo.append(kind)
            if "op" in kind.model_fields:
                found[op_name(kind)] = kind
    return dict(sorted(found.items()))


def op_name(kind: type[Op]) -> str:
    """Return the name of an op in the language."""
    annotation = kind.model_fields["op"].annotation
    return str(annotation.__args__[0])  # type: ignore[union-attr]


OPS: dict[str, type[Op]] = _all_ops()
CHAINABLE = {name: kind for name, kind in OPS.items() if kind.arity == "one"}
BARE = tuple(
    name
    for name, kind in CHAINABLE.items()
    if not any(field.is_required() for key, field in kind.model_fields.items() if key != "op")
)
OF_OPTIMIZERS = frozenset(
    (
        *("clip", "debias", "identity", "matmul", "matrix_power", "newton_schulz"),
        *("pool", "sign", "transpose"),
    )
)
"""Ops that take matrices, or skip steps: a model's flows are vectors at every token."""
