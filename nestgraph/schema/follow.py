"""Where in the schema, and where in the file, a pydantic error lies.

Pydantic puts the tags of unions into an error's `loc`; the file has no such parts. Following the
annotations beside the location tells both apart, and finds the model whose keys are known there.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag
from pydantic.fields import FieldInfo


@dataclass(frozen=True, kw_only=True, slots=True)
class Trail:
    """An error's place.

    Attributes:
        path: the parts of the location that exist in the file.
        model: the model at the end of the path, or the one that holds its last part.
        tags: the tags of the last union on the way.
        annotation: of the value at the end of the path, with all members of a union.
    """

    path: tuple[str | int, ...]
    model: type[BaseModel] | None
    tags: tuple[str, ...]
    annotation: Any


def follow(annotation: Any, loc: tuple[str | int, ...]) -> Trail:
    """Walk the annotation of a value along an error's location."""
    path: list[str | int] = []
    model = _model(annotation)
    tags: tuple[str, ...] = ()
    whole = annotation
    for part in loc:
        member = _member(annotation, part)
        if member is not None:
            tags = tuple(tag for other in _members(_bare(annotation)) for tag in _tags(other))
            annotation = member
            model = _model(annotation) or model
            continue
        model = _model(annotation) or model
        whole = annotation = _below(annotation, part)
        path.append(part)
    return Trail(path=tuple(path), model=model, tags=tags, annotation=whole)


def known_keys(model: type[BaseModel] | None) -> tuple[str, ...]:
    """Return the keys of a mapping, as authors write them."""
    if model is None:
        return ()
    return tuple(field.alias or name for name, field in model.model_fields.items())


def bounded(field: FieldInfo) -> Any:
    """Return a field's annotation together with its bounds, which pydantic keeps apart."""
    annotation: Any = field.annotation
    for one in field.metadata:
        annotation = Annotated[annotation, one]
    return annotation


def _bare(annotation: Any) -> Any:
    """Return the annotation less its metadata and less `None`."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
            continue
        members = [kind for kind in _members(annotation) if kind is not type(None)]
        if len(members) != 1:
            return annotation
        annotation = members[0]


def _members(annotation: Any) -> tuple[Any, ...]:
    union = get_origin(annotation) in (Union, types.UnionType)
    return get_args(annotation) if union else ()


def _member(annotation: Any, part: str | int) -> Any:
    """Return the member of a union that carries a tag, if `part` is a tag here."""
    for member in _members(_bare(annotation)):
        if part in _tags(member):
            return member
    return None


def _tags(member: Any) -> tuple[Any, ...]:
    if get_origin(member) is not Annotated:
        return ()
    return tuple(data.tag for data in get_args(member)[1:] if isinstance(data, Tag))


def _model(annotation: Any) -> type[BaseModel] | None:
    bare = _bare(annotation)
    if not isinstance(bare, type) or not issubclass(bare, BaseModel):
        return None
    if not bare.__pydantic_fields_complete__:
        bare.model_rebuild()  # the one model that contains itself, the group of a stack
    return bare


def _below(annotation: Any, part: str | int) -> Any:
    bare = _bare(annotation)
    model = _model(bare)
    if model is not None:
        for name, field in model.model_fields.items():
            if part == (field.alias or name):
                return bounded(field)
        return None
    if get_origin(bare) is list:
        return get_args(bare)[0]
    if get_origin(bare) is dict:
        return get_args(bare)[1]
    return None
