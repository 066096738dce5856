"""A spec as one text: `extends` merged, vars filled in, `like` spelled out.

A block that is used with different vars becomes several blocks. Defaults stay unsaid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nestgraph.elaborate import Elaboration
from nestgraph.elaborate.library import Instance
from nestgraph.elaborate.nodes import Call
from nestgraph.language.system import Clock
from nestgraph.text.tree import Items, Table, Tree, plain
from nestgraph.text.yaml_text import write

ORDER = ("nestgraph", "name", "doc", "levels", "vars", "blocks", "model", "optimizer", "training")


def resolved_yaml(elaboration: Elaboration) -> str:
    """Return the text of a spec that has been elaborated without errors."""
    header, chosen = elaboration.header, elaboration.chosen
    instances = (*chosen.values(), *elaboration.library.built.values())
    declared = [clock for clock in elaboration.clocks.values() if clock and clock.span]
    sections: dict[str, object] = {
        "levels": {clock.name: clock_text(clock) for clock in declared},
        "blocks": {one.name: _block(one) for one in _distinct(instances)},
    }
    for key, entry in header.entries.items():
        if key != "vars":
            sections.setdefault(key, _renamed(entry.value, chosen))
    if elaboration.inline is not None:
        training = sections.setdefault("training", {})
        assert isinstance(training, dict)
        training["optimizer"] = plain(elaboration.inline)
    return written(sections)


def written(sections: Mapping[str, object]) -> str:
    """Return the text of a file's sections, in their usual order; empty ones stay unsaid."""
    return write({key: sections[key] for key in ORDER if sections.get(key)})


def clock_text(clock: Clock) -> str:
    """Return a clock as authors write it."""
    return "never" if clock.unit == "never" else f"{clock.period} {clock.unit}"


def _distinct(instances: Iterable[Instance]) -> list[Instance]:
    """Return instances and all those inside them, each once, the outer ones first."""
    found: dict[int, Instance] = {}
    for instance in instances:
        for one in (instance, *_distinct(instance.inner.values())):
            found.setdefault(id(one), one)
    return list(found.values())


def _renamed(tree: Tree, chosen: dict[int, Instance]) -> Any:
    """Return the plain value of a tree whose items name the blocks that were made for them."""
    if isinstance(tree, Items):
        return [_renamed(item, chosen) for item in tree.items]
    if not isinstance(tree, Table):
        return plain(tree)
    values = {key: _renamed(entry.value, chosen) for key, entry in tree.entries.items()}
    if id(tree) in chosen:
        values["block"] = chosen[id(tree)].name
        values.pop("with", None)
    return values


def _block(instance: Instance) -> dict[str, Any]:
    values: Any = plain(instance.body.table)
    for part in instance.body.nodes.values():
        if isinstance(part, Call):
            node = values["nodes"][part.prefix]
            node["block"] = instance.inner[part.name].name
            node.pop("with", None)
    return {key: value for key, value in values.items() if value != {}}
