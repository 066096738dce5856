"""Stand-ins are what the schema allows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from nestgraph import schema
from nestgraph.errors import SpecError
from nestgraph.language import zoo
from nestgraph.language.spec import Spec
from nestgraph.recovery.fixes import Known
from nestgraph.schema import memory, stand_ins
from nestgraph.schema.file import Embed, Model
from nestgraph.schema.follow import bounded
from nestgraph.schema.nodes import op_node
from nestgraph.schema.samples import samples


def fields() -> Iterator[tuple[str, str, Any]]:
    ops = [op_node(name) for name in schema.OPS]
    kinds = (schema.SpecFile, schema.Memory, schema.Training, memory.Rule, Model, Embed, *ops)
    for kind in kinds:
        for name, field in kind.model_fields.items():
            yield kind.__name__, field.alias or name, bounded(field)


def named(value: Any) -> Any:
    """Return the value with a word for each name that is open."""
    if isinstance(value, dict):
        return {key: named(below) for key, below in value.items()}
    if isinstance(value, list):
        return [named(below) for below in value]
    return "x" if isinstance(value, Known) else value


@pytest.mark.parametrize(("kind", "field", "annotation"), list(fields()))
def test_every_field_has_samples_that_it_allows(kind: str, field: str, annotation: Any):
    found = samples(annotation, field)

    assert found or field in ("then",), (kind, field)
    for one in found:
        TypeAdapter(annotation).validate_python(named(one))


def test_a_size_may_be_one_that_small_numbers_divide():
    (width,) = (field for kind, name, field in fields() if (kind, name) == ("Embed", "width"))

    assert {1, 2, 840} <= set(samples(width, "width"))


def test_a_spec_with_many_mistakes_builds_each_validator_once(monkeypatch: pytest.MonkeyPatch):
    """It is read some 200 times; validators built anew each time would make a minute of that."""
    shipped = zoo.path("muon")
    assert shipped is not None
    text = shipped.read_text().replace("    nodes:\n", "")

    def mistakes() -> int:
        with pytest.raises(SpecError, match="unknown key `op`") as caught:
            Spec.from_sources({"t.yaml": text}, "t.yaml", {})
        return len(caught.value.diagnostics)

    first = mistakes()
    monkeypatch.delattr(TypeAdapter, "__init__")  # from here on nothing builds one
    assert mistakes() == first > 20


def test_stand_ins_are_what_the_schema_allows():
    for one in stand_ins.memories(stand_ins.FLOWS):
        schema.Memory.model_validate(named(one))
    for one in stand_ins.nodes(stand_ins.FLOWS):
        op_node(one["op"]).model_validate(named(one))
    for one in stand_ins.blocks():
        schema.Block.model_validate(one)
