"""The JSON schema for editors: current, and as strict as the language."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mistakes import GOOD

from nestgraph.findings import Findings
from nestgraph.language import zoo
from nestgraph.schema import json_schema, schema_text
from nestgraph.text.source import parse
from nestgraph.text.tree import plain

DRAFTS = sorted((Path(__file__).parent.parent / "drafts").glob("*.yaml"))
SCHEMA: Any = json_schema()
TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": int | float,
}


def fits(value: Any, schema: Any) -> bool:
    """Return whether a value is valid under the keywords that the exported schema uses."""
    if "$ref" in schema and not fits(value, SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]]):
        return False
    if "type" in schema:
        truth = isinstance(value, bool) and schema["type"] != "boolean"
        if truth or not isinstance(value, TYPES[schema["type"]]):
            return False
    branch = schema.get("else") if not fits_if(value, schema) else schema.get("then")
    return all(
        (
            "const" not in schema or value == schema["const"],
            "enum" not in schema or value in schema["enum"],
            "anyOf" not in schema or any(fits(value, one) for one in schema["anyOf"]),
            "oneOf" not in schema or sum(fits(value, one) for one in schema["oneOf"]) == 1,
            not isinstance(value, str) or re.search(schema.get("pattern", ""), value) is not None,
            not isinstance(value, str) or len(value) >= schema.get("minLength", 0),
            not isinstance(value, list) or fits_list(value, schema),
            not isinstance(value, dict) or fits_object(value, schema),
            isinstance(value, str | list | dict) or fits_number(value, schema),
            branch is None or fits(value, branch),
        )
    )


def fits_if(value: Any, schema: Any) -> bool:
    return "if" not in schema or fits(value, schema["if"])


def fits_list(value: list[Any], schema: Any) -> bool:
    long_enough = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 10**9)
    return long_enough and all(fits(item, schema.get("items", {})) for item in value)


def fits_object(value: dict[str, Any], schema: Any) -> bool:
    known, other = schema.get("properties", {}), schema.get("additionalProperties", True)
    if any(key not in value for key in schema.get("required", ())):
        return False
    if other is False and any(key not in known for key in value):
        return False
    rest = other if isinstance(other, dict) else {}
    return all(fits(inner, known.get(key, rest)) for key, inner in value.items())


def fits_number(value: Any, schema: Any) -> bool:
    if not isinstance(value, int | float):
        return True
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    above = "exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"]
    return low <= value <= high and above


def read(text: str) -> Any:
    tree = parse(text, "t.yaml", Findings())
    assert tree is not None
    return plain(tree)


def described(schema: Any) -> Iterator[tuple[str, Any]]:
    for kind, definition in SCHEMA["$defs"].items():
        for key, field in definition.get("properties", {}).items():
            yield f"{kind}.{key}", field


def test_the_schema_beside_the_specs_is_current():
    kept = (zoo.folder() / "schema.json").read_text(encoding="utf-8")

    assert kept == schema_text(), "renew it: python -m nestgraph.schema"


def test_the_text_is_the_schema():
    assert json.loads(schema_text()) == SCHEMA


@pytest.mark.parametrize(
    "path", [*DRAFTS, *sorted(zoo.folder().glob("*.yaml"))], ids=lambda path: path.stem
)
def test_every_spec_is_valid_in_an_editor(path: Path):
    assert fits(read(path.read_text(encoding="utf-8")), SCHEMA)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("net: linear", "net: liner"),
        ("net: linear", "net: {kind: mlp, layrs: 3}"),
        ("op: sum", "op: summ"),
        ("in: [x, y]", "in: x"),
        ("[sigmoid]", "[conv]"),
        ("[sigmoid]", "[{op: sum}]"),
        ("rate: r", "rat: r"),
        ("rate: r", "rate: true"),
        ("repeat: $d", "repeat: many"),
        ("repeat: $d", "repeat: 0"),
        ("vocab: 16", "vocab: 1.5"),
        ("nestgraph: 1", "nestgraph: 2"),
        ("model:", "modell:\n  a: 1\nmodel:"),
    ],
)
def test_an_editor_sees_what_the_language_refuses(old: str, new: str):
    assert fits(read(GOOD), SCHEMA)
    assert not fits(read(GOOD.replace(old, new, 1)), SCHEMA)


PLAIN = "{blocks: {b: {inputs: [grad, lr], nodes: {out: {op: sign, in: grad}}}}, optimizer: GROUPS}"


@pytest.mark.parametrize(
    ("optimizer", "good"),
    [
        (PLAIN.replace("GROUPS", "[{for: all, block: b}]"), True),
        ("{extends: m3, vars: {period: 4}}", True),
        (PLAIN.replace("GROUPS", "[{for: all, blok: b}]"), False),
        (PLAIN.replace("GROUPS", "[{for: all, block: b}], model: {}"), False),
        ("{vars: {period: 4}}", False),
        ("[m3]", False),
    ],
)
def test_an_editor_knows_optimizers_that_are_written_out(optimizer: str, good: bool):
    spec = f"nestgraph: 1\nname: m\nextends: hope\ntraining: {{optimizer: {optimizer}}}\n"
    assert fits(read(spec), SCHEMA) is good


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("op: linear, in: x, out: 1", "op: linear, in: x, out: $d - 3"),
        ("net: linear", "net: $kind"),
        ("rate: r", "erase: $where, implicit: $flag, momentum: [$a, 0.5]"),
        ("repeat: $d", "repeat: $d * 2"),
        ("adamw", "$name"),
    ],
)
def test_arithmetic_is_valid_wherever_a_number_or_word_is(old: str, new: str):
    assert fits(read(GOOD.replace(old, new, 1)), SCHEMA)


def test_a_spec_that_extends_another_may_say_as_little_as_it_likes():
    child = read("nestgraph: 1\nname: c\nextends: hope\nblocks: {hope: {nodes: {a: {in: x}}}}\n")
    alone = copy.deepcopy(child)
    del alone["extends"]

    assert fits(child, SCHEMA)
    assert not fits(alone, SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "blocks: {hope: {nodes: {a: {in: x}}}}",
        "blocks: {self_modifying_titans: {memories: {M_k: {net: {layers: 3}, rule: {rate: 0.5}}}}}",
        "model: {embed: {width: 64}}",
        "blocks: {new: {nodes: {out: {op: linear, in: x, then: [silu, {op: conv}]}}}}",
    ],
)
def test_a_spec_that_extends_another_may_leave_out_any_field(text: str):
    assert fits(read(f"nestgraph: 1\nname: c\nextends: hope\n{text}\n"), SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "blocks: {hope: {nods: {}}}",
        "blocks: {hope: {nodes: {a: {opp: linear}}}}",
        "blocks: {hope: {nodes: {a: {op: liner}}}}",
        "blocks: {b: {memories: {M: {net: {layers: 3, window: 2}}}}}",
        "blocks: {b: {memories: {M: {heads: many}}}}",
        "model: {embed: {widht: 64}}",
        "model: {norm: batch_norm}",
    ],
)
def test_what_it_does_say_is_judged_all_the_same(text: str):
    assert not fits(read(f"nestgraph: 1\nname: c\nextends: hope\n{text}\n"), SCHEMA)


def test_every_reference_leads_somewhere():
    named = set(re.findall(r'"#/\$defs/([^"]+)"', schema_text()))
    assert named
    assert named <= set(json_schema()["$defs"])


def test_every_field_is_described():
    silent = [name for name, field in described(SCHEMA) if not field.get("description")]

    assert silent == []


def test_every_variant_has_a_title_that_reads_well():
    titles = {name: definition.get("title") for name, definition in SCHEMA["$defs"].items()}

    assert titles["MlpNet"] == "mlp"
    assert titles["LinearNode"] == "linear"
    assert titles["Step"] is None
