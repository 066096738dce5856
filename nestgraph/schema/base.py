"""What all models of the schema share: closed, frozen, strict, and told apart by simple rules."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from nestgraph.findings import closest, listed

LARGEST_SIZE = 2**31 - 1

Size: TypeAlias = Annotated[int, Field(ge=1, le=LARGEST_SIZE)]
Text: TypeAlias = Annotated[str, Field(min_length=1)]
Texts: TypeAlias = Annotated[list[Text], Field(min_length=1)]
FlowName: TypeAlias = Text
FlowNames: TypeAlias = Texts


class Closed(BaseModel):
    """A mapping of the language: unknown keys are errors and values are taken literally."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True
    )


def by_shape(value: Any) -> str | None:
    """Tell a number, a flow, a list and a mapping apart."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return "number"
    names: tuple[tuple[type, str], ...] = ((str, "flow"), (list, "list"), (dict, "mapping"))
    return next((name for kind, name in names if isinstance(value, kind)), None)


def by_kind(value: Any) -> str | None:
    """Tell a word from a mapping, and mappings by their `kind`."""
    if isinstance(value, str):
        return "word"
    if isinstance(value, dict) and isinstance(value.get("kind"), str):
        return str(value["kind"])
    return None


def by_word(value: Any) -> str | None:
    """Tell a word from a mapping."""
    if isinstance(value, str):
        return "word"
    return "mapping" if isinstance(value, dict) else None


def key_among(value: dict[Any, Any], *keys: str) -> str | None:
    """Return the first of some keys that a mapping holds; else one that a key of it looks like."""
    for key in keys:
        if key in value:
            return key
    near = (closest(str(key), keys) for key in value)
    return next((key for key in near if key is not None), None)


def by_key(*keys: str) -> Any:
    """Tell mappings apart by which of some keys they hold; a mistyped one counts."""

    def by_one_key(value: Any) -> str | None:
        return key_among(value, *keys) if isinstance(value, dict) else None

    told = listed(keys, "or")
    return Discriminator(
        by_one_key, custom_error_type="form", custom_error_message=f"it is told by {told}"
    )


def shapes(message: str) -> Discriminator:
    """Return a discriminator by shape, whose error says what was expected."""
    return Discriminator(by_shape, custom_error_type="shape", custom_error_message=message)


class FlowCoefficient(Closed):
    """A flow, and what each of its numbers stands for."""

    flow: FlowName = Field(description="The flow that carries the numbers.")
    per: Literal["head", "value", "key", "cell"] = Field(
        "head", description="One number a head, a value channel, a key channel or a cell."
    )


Towards: TypeAlias = Literal["zero", "init"]


class FlowRetention(FlowCoefficient):
    """A retention that a flow makes, and what is left where nothing is kept."""

    towards: Towards = Field("zero", description="Where a state that isn't kept goes.")


class NumberRetention(Closed):
    """A retention that is a number, and what is left where nothing is kept."""

    number: Annotated[
        Annotated[float, Tag("number")] | Annotated[list[float], Field(min_length=1), Tag("list")],
        shapes("a number or a list of numbers (one a head)"),
    ] = Field(description="The number, or a list with one a head.")
    towards: Towards = Field("zero", description="Where a state that isn't kept goes.")


Coefficient: TypeAlias = Annotated[
    Annotated[float, Tag("number")]
    | Annotated[list[float], Field(min_length=1), Tag("list")]
    | Annotated[FlowName, Tag("flow")]
    | Annotated[FlowCoefficient, Tag("mapping")],
    shapes("a number, a list of numbers (one a head), a flow, or `{flow: …, per: …}`"),
]


def by_retention(value: Any) -> str | None:
    """Tell what makes a retention: as `by_shape`, and mappings by which of two keys they hold."""
    if isinstance(value, dict):
        return "number mapping" if key_among(value, "flow", "number") == "number" else "mapping"
    return by_shape(value)


Retention: TypeAlias = Annotated[
    Annotated[float, Tag("number")]
    | Annotated[list[float], Field(min_length=1), Tag("list")]
    | Annotated[FlowName, Tag("flow")]
    | Annotated[FlowRetention, Tag("mapping")]
    | Annotated[NumberRetention, Tag("number mapping")],
    Discriminator(
        by_retention,
        custom_error_type="shape",
        custom_error_message="a number, a list of numbers (one a head), a flow, "
        "`{flow: …, per: …, towards: …}` or `{number: …, towards: …}`",
    ),
]
