"""Values that an annotation of the schema allows: what may have been meant where one is wrong.

A few of each kind, unlike each other, so that what is true under all of them is hardly true by
chance. Names are left open (`Known`): which there are depends on the block.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from functools import cache
from itertools import pairwise, zip_longest
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticUndefined

from nestgraph.recovery.fixes import Known
from nestgraph.schema.adapters import adapter
from nestgraph.schema.follow import bounded

MOST = 10
DEEPEST = 3
# A size that all small numbers divide is among them: whatever heads there are may divide it.
NUMBERS = (1, 2, 0.5, 3, 840, 0.01, 16, 0, 7, 64)
MEMORY_FIELDS = ("read", "like", "memory")
LEVEL_FIELDS = ("level", "reset", "since", "horizon")


@cache
def samples(annotation: Any, field: str, depth: int = 0) -> tuple[Any, ...]:
    """Return some values that an annotation allows; a spec with mistakes asks again and again.

    Args:
        annotation: of a field of the schema.
        field: its name, which tells what kind of name a word is.
        depth: of mappings around it; the group of a stack may hold groups for ever.
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        inner = get_args(annotation)[0]
        fit = [one for one in samples(inner, field, depth) if allowed(annotation, one)]
        return tuple(fit[:MOST])
    if origin in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return _mixed([samples(kind, field, depth) for kind in kinds])
    if origin is Literal:
        return get_args(annotation)
    if origin is list:
        return _lists(samples(get_args(annotation)[0], field, depth))
    if origin is dict:
        return ({},)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _models(annotation, depth) if depth < DEEPEST else ()
    return tuple(_plain(annotation, field))


def _plain(annotation: Any, field: str) -> list[Any]:
    if annotation is bool:
        return [False, True]
    if annotation in (int, float):
        return [one for one in NUMBERS if annotation is float or isinstance(one, int)]
    if annotation is not str:
        return []
    if field == "optimizer" or field == "spec":
        return ["adamw", "sgd"]
    if field in MEMORY_FIELDS:
        return [Known("memory", index) for index in range(4)]
    if field in LEVEL_FIELDS:
        return [Known("level", index) for index in range(5)]
    if field == "block":
        return [Known("block", index) for index in range(4)]
    if field in ("name", "names", "doc", "path", "data"):
        return ["a"]
    return [Known("flow", index) for index in range(MOST)]


def _lists(items: tuple[Any, ...]) -> tuple[Any, ...]:
    longer = [[one, other] for one, other in pairwise(items)]
    return _mixed([[[one] for one in items], longer])


def _models(kind: type[BaseModel], depth: int) -> tuple[Any, ...]:
    """Return a mapping with the fields that must be there, each sample with others of their
    values.
    """
    if not kind.__pydantic_fields_complete__:
        kind.model_rebuild()
    needed: dict[str, tuple[Any, ...]] = {}
    for name, field in kind.model_fields.items():
        if field.is_required():
            found = samples(bounded(field), field.alias or name, depth + 1)
            if not found:
                return ()
            needed[field.alias or name] = found
    count = max((len(found) for found in needed.values()), default=1)
    return tuple(
        {key: found[index % len(found)] for key, found in needed.items()}
        for index in range(min(count, MOST))
    )


def _mixed(groups: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    """Return the first of each group, then the second of each, and so on."""
    rounds = zip_longest(*groups, fillvalue=PydanticUndefined)
    found = [one for every in rounds for one in every if one is not PydanticUndefined]
    return tuple(found[:MOST])


def allowed(annotation: Any, value: Any) -> bool:
    """Return whether a value is one that an annotation allows."""
    try:
        adapter(annotation).validate_python(_named(value))
    except ValidationError:
        return False
    return True


def _named(value: Any) -> Any:
    """Return the value with some word for each name that is left open."""
    if isinstance(value, dict):
        return {key: _named(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_named(below) for below in value]
    return "x" if isinstance(value, Known) else value
