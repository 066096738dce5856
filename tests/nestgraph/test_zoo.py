"""The specs that ship with nestgraph."""

from __future__ import annotations

from nestgraph import zoo


def test_every_spec_has_a_tiny_one():
    names = set(zoo.names())

    whole = {name for name in names if not name.endswith("-tiny")}
    assert {f"{name}-tiny" for name in whole} == names - whole
    assert {"hope", "transformer", "linear-attention", "deltanet", "gated-deltanet"} <= whole


def test_entries_say_what_each_spec_is():
    entries = zoo.entries()

    assert tuple(entry.name for entry in entries) == zoo.names()
    assert all(entry.doc and entry.path.is_file() for entry in entries)


def test_a_name_that_does_not_ship_has_no_path():
    assert zoo.path("hope") == zoo.folder() / "hope.yaml"
    assert zoo.path("hoe") is None
    assert zoo.path("schema") is None
    assert zoo.path("../pyproject") is None
