"""The page on every field of the language, made from the JSON schema."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from nestgraph.runtime.drafts import write_whole
from nestgraph.schema.export import ARITHMETIC, json_schema
from nestgraph.schema.ops import CHAINABLE, OPS

Json = dict[str, Any]

HEAD = """\
# Every field

What a spec may say, field by field.
Each has the values that it takes, what it is when it isn't said, and what it means.
What it all does is in [language.md](language.md), the formulas are in [semantics.md](semantics.md).
In place of a number, a word or a truth value there may be arithmetic with `$name`.
This page is made from the schema by `python -m nestgraph.schema`.
"""
# Sections in the order of a file: title of the group, kinds of the schema in it.
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Model", ("Model", "Embed", "StackBlock", "StackGroup", "Head")),
    ("Optimizer", ("BlockGroup", "SpecGroup", "Names")),
    ("Training", ("Training", "InlineOptimizer")),
    ("Blocks", ("Block",)),
    ("Memories", ("Memory", "SelfValues")),
    ("Nets: `net`", ("LinearNet", "MlpNet", "AttentionNet", "VectorNet")),
    (
        "Objectives: `objective`",
        ("DotObjective", "L2Objective", "HuberObjective", "LpObjective", "TaskObjective"),
    ),
    (
        "Rules: `rule`",
        ("Rule", "FlowCoefficient", "FlowRetention", "NumberRetention", "EraseTable"),
    ),
    ("Directions: `rule.direction`", ("GradientDirection", "NewtonSchulzDirection")),
    ("Mirrors: `rule.mirror`", ("NoMirror", "SoftmaxMirror", "LqMirror")),
    (
        "First states: `init`",
        (
            "LearnedInit",
            "ZeroInit",
            "IdentityInit",
            "FixedInit",
            "FromInit",
            "GivenInit",
            "CheckpointInit",
        ),
    ),
    ("Nodes", ("ReadNode", "BlockNode")),
)
TITLES = {
    "Embed": "model.embed",
    "StackBlock": "an item of the stack: a block",
    "StackGroup": "an item of the stack: several blocks",
    "Head": "model.head",
    "BlockGroup": "a group that a block updates",
    "SpecGroup": "a group that another optimizer updates",
    "Names": "for",
    "InlineOptimizer": "training.optimizer",
    "SelfValues": "values",
    "FlowCoefficient": "a rate that a flow makes",
    "FlowRetention": "rule.retain, made by a flow",
    "NumberRetention": "rule.retain, a number",
    "EraseTable": "rule.erase",
    "ReadNode": "read",
    "BlockNode": "block",
}


def fields_page() -> str:
    """Return the whole page."""
    schema = json_schema()
    kinds = schema["$defs"]
    return "\n".join([HEAD, *_file(schema), *_groups(kinds), *_ops(kinds)]).rstrip() + "\n"


def write_fields_page(path: Path) -> None:
    """Write the page to a file."""
    write_whole(path, fields_page().encode())


@cache
def titles() -> dict[str, str]:
    """Return the heading of each kind of the schema that has a section of its own."""
    kinds = json_schema()["$defs"]
    own = {name: _title(name, kinds[name]) for _, names in GROUPS for name in names}
    return own | {f"{kind.__name__}Node": name for name, kind in OPS.items()}


def _file(schema: Json) -> Iterator[str]:
    yield "## The file\n"
    yield from _table(_whole(schema))


def _whole(schema: Json) -> Json:
    """Return a kind as it is where it extends nothing."""
    if "else" not in schema:
        return schema
    parts = schema["else"]["properties"]
    return {**schema, "properties": {**schema["properties"], **parts}}


def _groups(kinds: Json) -> Iterator[str]:
    for title, names in GROUPS:
        yield f"\n## {title}\n"
        for name in names:
            heading = _title(name, kinds[name])
            if heading != title:
                yield f"### {heading}\n"
            yield f"{kinds[name]['description']}\n"
            yield from _table(_whole(kinds[name]))


def _ops(kinds: Json) -> Iterator[str]:
    yield "\n## Ops: `op`\n"
    chained = ", ".join(f"`{name}`" for name in sorted(CHAINABLE))
    yield "Besides its own fields a node takes `then`, a list of ops that are applied in turn.\n"
    yield f"In a `then` list may stand: {chained}.\n"
    for name, kind in OPS.items():
        definition = kinds[f"{kind.__name__}Node"]
        shown = {key: f for key, f in definition["properties"].items() if key not in ("op", "then")}
        order = ("in", *(key for key in shown if key not in ("in", "tie")), "tie")
        ordered = {key: shown[key] for key in order if key in shown}
        yield f"### {name}\n"
        yield f"{definition['description']}\n"
        yield from _table({**definition, "properties": ordered})


def _title(name: str, definition: Json) -> str:
    return TITLES.get(name, str(definition["title"]))


def _table(definition: Json) -> Iterator[str]:
    fields = {k: f for k, f in definition["properties"].items() if k != "kind"}
    if not fields:
        yield "No fields.\n"
        return
    yield "| field | values | default | |\n|---|---|---|---|"
    required = definition.get("required", ())
    for name, field in fields.items():
        default = "needed" if name in required else _default(field)
        cells = (f"`{name}`", _values(field), default, str(field["description"]))
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
    yield ""


def _default(field: Json) -> str:
    if field.get("default") is None:
        return ""
    value = field["default"]
    if value in ("", [], {}):
        return "empty"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text.replace(chr(39), '')}`"


def _values(field: Json) -> str:
    """Return what a field takes, in words."""
    forms = field.get("anyOf") or field.get("oneOf")
    if forms is not None:
        words = (_values(form) for form in forms if form != ARITHMETIC)
        return ", or ".join(dict.fromkeys(filter(None, words)))
    if "$ref" in field:
        return _linked(field["$ref"].rsplit("/", 1)[1])
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{word}`" for word in field["enum"])
    match field.get("type"):
        case "integer" | "number":
            return _number(field)
        case "array":
            return f"list of: {_values(field['items'])}"
        case "object":
            inner = field.get("additionalProperties")
            return f"by name: {_values(inner)}" if isinstance(inner, dict) else "mapping"
        case "boolean":
            return "`true`, `false`"
        case "string":
            return "a word" if {"minLength", "pattern"} & set(field) else "text"
        case "null":
            return ""
    return "any value"


def _number(field: Json) -> str:
    word = "whole number" if field["type"] == "integer" else "number"
    bounds = (
        ("minimum", "from"),
        ("exclusiveMinimum", "above"),
        ("maximum", "to"),
        ("exclusiveMaximum", "below"),
    )
    # The largest sizes are there so that arithmetic can't run away; nobody means them.
    told = [
        f"{relation} {field[key]:g}" for key, relation in bounds if abs(field.get(key, 1e9)) < 1e9
    ]
    return " ".join([word, *told])


def _linked(name: str) -> str:
    """Return a kind by the heading of its section."""
    if name == "Node":
        return "[a node](#nodes) or [an op](#ops-op)"
    if name == "Step":
        return "[an op](#ops-op)"
    shown = titles()[name]
    anchor = "".join(c for c in shown.lower().replace(" ", "-") if c.isalnum() or c in "-_")
    return f"[{shown}](#{anchor})"
