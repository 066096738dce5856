"""The JSON schema of specs, for editors.

Pydantic describes concrete values; in a file every number, word or truth value may also be
arithmetic, so that each of them gets a text with `$` as an alternative.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from nestgraph.runtime.drafts import write_whole
from nestgraph.schema.file import Block, SpecFile
from nestgraph.schema.memory import Memory
from nestgraph.schema.nodes import BlockNode, ReadNode, op_node
from nestgraph.schema.ops import BARE, CHAINABLE, OPS

Json = dict[str, Any]

ARITHMETIC: Json = {"type": "string", "pattern": "\\$"}
LITERAL = ("nestgraph", "name", "doc", "extends")  # never arithmetic
PARTS = ("blocks", "model", "optimizer")
INLINE = "InlineOptimizer"
OUTSIDE = ("model", "training")  # what an optimizer within a spec has none of
PARTIAL = "Partial"  # before the name of a kind whose fields may all be left out
LEAVES = ("integer", "number", "boolean")


def json_schema() -> Json:
    """Return the JSON schema of a spec file (draft 2020-12)."""
    kinds: list[type[BaseModel]] = [SpecFile, Block, Memory, ReadNode, BlockNode]
    kinds += [op_node(name) for name in OPS] + list(CHAINABLE.values())
    _, described = models_json_schema(
        [(kind, "validation") for kind in kinds], ref_template="#/$defs/{model}"
    )
    definitions: Json = {
        name: _polished(definition) for name, definition in described["$defs"].items()
    }
    definitions["Node"] = _node()
    definitions["Step"] = _step()
    file = definitions.pop("SpecFile")
    definitions[INLINE] = _inline(file)
    asked = definitions["Training"]["properties"]
    asked["optimizer"] = _or_inline(asked["optimizer"])
    root = _root(file, [])
    definitions |= {f"{PARTIAL}{name}": _partial(kind) for name, kind in definitions.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **root,
        "title": "nestgraph spec",
        "$defs": dict(sorted(definitions.items())),
    }


def schema_text() -> str:
    """Return the JSON schema as it is kept beside the shipped specs."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def write_schema(path: Path) -> None:
    """Write the JSON schema to a file."""
    write_whole(path, schema_text().encode())


def _root(file: Json, needed: list[str]) -> Json:
    """Return the file as a whole: one that extends another may leave out anything inside its
    parts.
    """
    whole = {name: file["properties"][name] for name in PARTS if name in file["properties"]}
    parts = {name: {"description": schema.get("description", "")} for name, schema in whole.items()}
    required = [name for name in file["required"] if name not in PARTS]
    return {
        **file,
        "properties": {**file["properties"], **parts},
        "required": required,
        "if": {"required": ["extends"]},
        "then": {"properties": {name: _partial(schema) for name, schema in whole.items()}},
        "else": {
            "properties": whole,
            "required": needed,
            "dependentRequired": {"model": ["blocks"]},
        },
    }


def _inline(file: Json) -> Json:
    """Return an optimizer written where its name could stand; it needs no name of its own."""
    within = {key: field for key, field in file["properties"].items() if key not in OUTSIDE}
    told = {"title": "inline optimizer"}
    told["description"] = "An optimizer written where its name could stand."
    return _root({**file, **told, "properties": within, "required": []}, ["optimizer"])


def _or_inline(name: Json) -> Json:
    around: Json = {key: name[key] for key in ("default", "description") if key in name}
    text = {key: value for key, value in name.items() if key not in around}
    return {**around, "anyOf": [text, {"$ref": f"#/$defs/{INLINE}"}]}


def _partial(schema: Any) -> Any:
    """Return the schema of what is merged into something else, so that any field may be left
    out.
    """
    if isinstance(schema, list):
        return [_partial(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: value for key, value in schema.items() if key not in _STRICT}
    if isinstance(changed.get("$ref"), str):
        name = changed["$ref"].removeprefix("#/$defs/")
        changed["$ref"] = f"#/$defs/{PARTIAL}{name.removeprefix(PARTIAL)}"  # may be one already
    if "oneOf" in changed:  # without the field that tells them apart several may fit
        changed["anyOf"] = changed.pop("oneOf")
    return {key: _partial(value) for key, value in changed.items()}


_STRICT = ("required", "discriminator")


def _node() -> Json:
    ops = _told_by_op({name: op_node(name).__name__ for name in OPS})
    forms: list[Json] = [{"$ref": "#/$defs/ReadNode"}, {"$ref": "#/$defs/BlockNode"}, ops]
    return {"description": "An op, a read of a memory, or an instance of a block.", "oneOf": forms}


def _step() -> Json:
    ops = _told_by_op({name: kind.__name__ for name, kind in CHAINABLE.items()})
    return {"description": "An op of a chain.", "anyOf": [{"enum": list(BARE)}, ARITHMETIC, ops]}


def _told_by_op(names: dict[str, str]) -> Json:
    places = {op: f"#/$defs/{name}" for op, name in names.items()}
    return {
        "type": "object",
        "required": ["op"],
        "oneOf": [{"$ref": place} for place in places.values()],
        "discriminator": {"propertyName": "op", "mapping": places},
    }


def _polished(definition: Json) -> Json:
    """Return a model's schema with a title that reads well, and with arithmetic allowed."""
    properties = {
        name: schema if name in LITERAL else _with_arithmetic(schema)
        for name, schema in definition.get("properties", {}).items()
    }
    for schema in properties.values():
        schema.pop("title", None)
    told = next((key for key in ("op", "kind") if "const" in properties.get(key, {})), None)
    title = properties[told]["const"] if told else definition.get("title", "")
    return {**definition, "title": title, "properties": properties}


def _with_arithmetic(schema: Json) -> Json:
    """Return the schema of a value that may also be written as arithmetic."""
    about = {key: schema[key] for key in ("description", "default") if schema.get(key) is not None}
    schema = {key: schema[key] for key in schema if key not in ("description", "default", "title")}
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return {**_union(schema[union]), **about}
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            return {**schema, inner: _with_arithmetic(schema[inner]), **about}
    narrow = schema.get("type") in LEAVES or "enum" in schema or "pattern" in schema
    if "const" in schema or not narrow:
        return {**schema, **about}
    return {"anyOf": [schema, ARITHMETIC], **about}


def _union(members: list[Json]) -> Json:
    """Return the schema of any of some values; leaving a key out is clearer than `null`."""
    flat: list[Json] = []
    for member in members:
        whole = _with_arithmetic(member)
        flat += whole.get("anyOf", [whole])
    flat = [member for member in flat if member != {"type": "null"}]
    only = [member for index, member in enumerate(flat) if member not in flat[:index]]
    return only[0] if len(only) == 1 else {"anyOf": only}
