"""Two specs compared by node, edge and attribute.

Compared are the graphs with equal repeats told once. A node keeps its identity by the name that
the author gave it inside its layer; `align_layers` beside this file says which layers stand for
each other, and `renames` what only goes by another name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from nestgraph.analysis.costs import total
from nestgraph.analysis.levels import instances, period
from nestgraph.comparison.align_layers import Pair, pairs
from nestgraph.comparison.changes import Change, Diff, EdgeChange, Kind, NodeChange
from nestgraph.comparison.renames import in_new_names
from nestgraph.display.fields import Field, fields, training_fields
from nestgraph.display.wording import plain
from nestgraph.graph.build import build_graph
from nestgraph.language.system import Clock, Memory, System
from nestgraph.language.trainer import opened, trainer_of

if TYPE_CHECKING:
    import networkx as nx

Key: TypeAlias = tuple[str, str]  # a pair of layers, and a node's name in it
EdgeKey: TypeAlias = tuple[Key, Key, str]
Values: TypeAlias = Mapping[str, str]
Identity = TypeVar("Identity", Key, EdgeKey)

# Of nodes that are no part of a block. What the optimizer is set to is said by `training`.
_SHOWN = ("op", "width", "vocab", "tie", "group")
_EDGE_VALUES = ("level", "own")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Side:
    """One spec on its way: nodes and edges by what they are on both sides."""

    nodes: dict[Key, tuple[str, str, Values]]  # id, kind, values
    edges: dict[EdgeKey, tuple[str, str, str, str, Values]]  # source, target, kind, role, values


def compare(old: System, new: System) -> Diff:
    """Return all that differs between two systems; names and descriptions of specs don't count."""
    old, new = opened(old), opened(new)
    paired = pairs(old, new)
    renaming = in_new_names(old, paired)
    layers = {p.old.layer.path: str(i) for i, p in enumerate(paired) if p.old}
    before = _called(_side(renaming.system, layers), renaming.before)
    after = _side(new, {p.new.layer.path: str(i) for i, p in enumerate(paired) if p.new})
    return Diff(
        old=old.name,
        new=new.name,
        levels=_values(_clocks(old.clocks), _clocks(new.clocks)),
        stack=tuple(_stack(paired)),
        renamed=renaming.told,
        nodes=tuple(_nodes(before, after)),
        edges=tuple(_edges(before, after)),
        training=_values(_texts(_training(old)), _texts(_training(new))),
        optimizer=_trainers(old, new),
        costs=(total(old), total(new)),
    )


def _trainers(old: System, new: System) -> Diff | None:
    """Return what differs between the optimizers of two models."""
    before, after = trainer_of(old), trainer_of(new)
    found = None if before is None or after is None else compare(before, after)
    return found or None


def _side(system: System, layers: Mapping[str, str]) -> _Side:
    graph = build_graph(system, roll=True)
    parts = {
        f"{path}/{name}": part
        for path, block in instances(system)
        for name, part in block.parts.items()
    }
    keys = {node: _key(node, data, layers) for node, data in graph.nodes(data=True)}
    nodes = {
        keys[node]: (node, str(data["kind"]), _node_values(data, parts))
        for node, data in graph.nodes(data=True)
    }
    return _Side(nodes=nodes, edges=dict(_edge_items(graph, keys)))


def _called(side: _Side, before: Mapping[str, Values]) -> _Side:
    """Return the same with the ids that its nodes had before they were renamed."""

    def own(node: str) -> str:
        layer, _, name = node.partition("/")
        names = before.get(layer, {})
        part = next((one for one in (name, name.rpartition(".")[0]) if one in names), None)
        return node if part is None else f"{layer}/{names[part]}{name.removeprefix(part)}"

    if not before:
        return side
    nodes = {key: (own(node), kind, values) for key, (node, kind, values) in side.nodes.items()}
    edges = {
        key: (own(source), own(target), kind, role, values)
        for key, (source, target, kind, role, values) in side.edges.items()
    }
    return _Side(nodes=nodes, edges=edges)


def _key(node: str, data: Mapping[str, Any], layers: Mapping[str, str]) -> Key:
    layer = data.get("layer")
    if layer is None:
        return ("", node)
    return (layers[layer], node.removeprefix(f"{layer}/"))


def _node_values(data: Mapping[str, Any], parts: Mapping[str, Any]) -> Values:
    part = parts.get(f"{data.get('layer')}/{data.get('name')}")
    own: dict[str, str] = {} if part is None else _texts(fields(part))
    if isinstance(part, Memory):  # what the names of clocks mean is told once, by `levels`
        own |= {"level": part.level.name, "reset": part.reset.name}
    shown = _SHOWN if part is None else ("width", "key_width")
    return own | {key: plain(data[key]) for key in shown if data.get(key) is not None}


def _edge_items(
    graph: nx.MultiDiGraph[str], keys: Mapping[str, Key]
) -> Iterator[tuple[EdgeKey, tuple[str, str, str, str, Values]]]:
    for source, target, data in graph.edges(data=True):
        kind, role = str(data["kind"]), str(data["role"])
        values = {key: plain(data[key]) for key in _EDGE_VALUES if data.get(key) is not None}
        yield (
            (keys[source], keys[target], f"{kind} {role}"),
            (source, target, kind, role, values),
        )


def _nodes(old: _Side, new: _Side) -> Iterator[NodeChange]:
    for key, change in _changed(old.nodes, new.nodes):
        before, after = old.nodes.get(key), new.nodes.get(key)
        either = after or before
        assert either is not None
        yield NodeChange(
            change=change,
            kind=either[1],
            old=before[0] if before else None,
            new=after[0] if after else None,
            attributes=_values(before[2], after[2]) if before and after else (),
        )


def _edges(old: _Side, new: _Side) -> Iterator[EdgeChange]:
    for key, change in _changed(old.edges, new.edges):
        before, after = old.edges.get(key), new.edges.get(key)
        either = after or before
        assert either is not None
        source, target, kind, role, _ = either
        attributes = _values(before[4], after[4]) if before and after else ()
        yield EdgeChange(
            change=change,
            kind=kind,
            role=role,
            source=source,
            target=target,
            attributes=attributes,
        )


def _changed(
    old: Mapping[Identity, tuple[Any, ...]], new: Mapping[Identity, tuple[Any, ...]]
) -> Iterator[tuple[Identity, Kind]]:
    """Yield what is gone, then what is new or different: the last item of each entry is its
    values.
    """
    yield from ((key, "removed") for key in old if key not in new)
    for key, entry in new.items():
        if key not in old:
            yield key, "added"
        elif old[key][-1] != entry[-1]:
            yield key, "changed"


def _values(old: Values, new: Values) -> tuple[Change, ...]:
    names = dict.fromkeys((*old, *new))
    return tuple(
        Change(name=name, old=old.get(name), new=new.get(name))
        for name in names
        if old.get(name) != new.get(name)
    )


def _stack(paired: Iterable[Pair]) -> Iterator[Change]:
    """Yield layers that came, went, were renamed or repeat another number of times."""
    for pair in paired:
        old, new = (
            None if rolled is None else f"{rolled.layer.block.name} x{rolled.repeat}"
            for rolled in (pair.old, pair.new)
        )
        rolled = pair.new or pair.old
        if old != new and rolled is not None:
            yield Change(name=rolled.layer.path, old=old, new=new)


def _clocks(clocks: Mapping[str, Clock]) -> Values:
    return {name: period(clock) for name, clock in clocks.items() if clock.span is not None}


def _training(system: System) -> tuple[Field, ...]:
    return training_fields(system.training) if system.model is not None else ()


def _texts(listed: Iterable[Field]) -> dict[str, str]:
    return {field.name: field.value for field in listed}
