"""Specs with any field of the schema, right or wrong: drawn ones in which fields are drawn anew.

The fields and what they may hold come from the schema itself (`nestgraph.schema.samples`), so
that a new field is drawn as soon as it is there. Numbers are small, so that what passes the
checks runs in no time.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import optimizer_strategies
import strategies
from hypothesis import strategies as st
from pydantic import BaseModel
from sheets import Draw, Fields

from nestgraph.recovery.fixes import Known
from nestgraph.schema import file, memory, nodes
from nestgraph.schema.follow import bounded
from nestgraph.schema.ops import BARE, OPS
from nestgraph.schema.samples import samples

LARGEST = 16
# What makes a mapping what it is, or holds mappings that are drawn one by one.
FIXED = frozenset({"nestgraph", "extends", "blocks", "memories", "nodes", "op", "kind"})
Place = tuple[Fields, type[BaseModel], Fields]  # a mapping, what it is, the block around it
CHOICES: Mapping[str, Mapping[str, type[BaseModel]]] = {
    "net": {
        "linear": memory.LinearNet,
        "mlp": memory.MlpNet,
        "attention": memory.AttentionNet,
        "vector": memory.VectorNet,
    },
    "objective": {
        "dot": memory.DotObjective,
        "l2": memory.L2Objective,
        "huber": memory.HuberObjective,
        "lp": memory.LpObjective,
        "task": memory.TaskObjective,
    },
    "init": {
        "learned": memory.LearnedInit,
        "zero": memory.ZeroInit,
        "identity": memory.IdentityInit,
        "fixed": memory.FixedInit,
        "from": memory.FromInit,
        "given": memory.GivenInit,
        "checkpoint": memory.CheckpointInit,
    },
    "direction": {
        "gradient": memory.GradientDirection,
        "newton_schulz": memory.NewtonSchulzDirection,
    },
    "mirror": {"none": memory.NoMirror, "softmax": memory.SoftmaxMirror, "lq": memory.LqMirror},
}


@st.composite
def models(draw: Draw) -> Fields:
    """Return a model with up to three fields drawn anew."""
    return _redrawn(draw, draw(strategies.specs()))


@st.composite
def optimizers(draw: Draw) -> Fields:
    """Return an optimizer with up to three fields drawn anew."""
    return _redrawn(draw, draw(optimizer_strategies.optimizers()))


def _redrawn(draw: Draw, drawn: Fields) -> Fields:
    spec = copy.deepcopy(drawn)
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            _put_field(draw, spec)
        else:
            _put_op(draw, spec)
    return spec


def _put_field(draw: Draw, spec: Fields) -> None:
    """Change one field of one mapping, with something that the schema allows there."""
    if draw(st.booleans()):
        spec.setdefault("training", {})
    sorts: dict[type[BaseModel], list[Place]] = {}
    for place in places(spec):
        sorts.setdefault(place[1], []).append(place)
    kinds = sorted(sorts, key=lambda one: one.__name__)
    triples = [
        (kind, field, word)
        for kind in kinds
        for field in kind.model_fields
        for word in _words(kind, field)
    ]
    kind, field, word = draw(st.sampled_from(triples))
    holder, _, block = draw(st.sampled_from(sorts[kind]))
    key = kind.model_fields[field].alias or field
    if key in FIXED:
        return
    found = _values(draw, kind, field) if word is None else _described(draw, key, word)
    if found:
        holder[key] = _resolved(draw, draw(st.sampled_from(found)), spec, block)


def _words(kind: type[BaseModel], field: str) -> list[str | None]:
    """Return the kinds of mapping that may stand in a field, and `None` for anything else."""
    chosen = kind in (memory.Memory, memory.Rule) and field in CHOICES
    return [None, *CHOICES[field]] if chosen else [None]


def _described(draw: Draw, key: str, word: str) -> list[Any]:
    """Return the mappings of a kind, small."""
    kind = CHOICES[key][word]
    return [one for one in _with_one_more(draw, kind, samples(kind, key)) if _is_small(one)]


def _values(draw: Draw, kind: type[BaseModel], field: str) -> list[Any]:
    """Return what may stand in a field, small."""
    key = kind.model_fields[field].alias or field
    if key == "then":
        return [[draw(st.sampled_from(BARE))]]
    found = samples(bounded(kind.model_fields[field]), key)
    return [one for one in found if _is_small(one)]


def _with_one_more(draw: Draw, kind: type[BaseModel], found: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the mappings with one field more, which needn't be there."""
    field = draw(st.sampled_from(sorted(kind.model_fields)))
    values = samples(bounded(kind.model_fields[field]), field)
    if field == "kind" or not values:
        return found
    value = draw(st.sampled_from(values))
    return tuple({**one, field: value} for one in found)


def _put_op(draw: Draw, spec: Fields) -> None:
    """Put an op between a node and the flow that it takes."""
    block = draw(st.sampled_from(list(spec["blocks"].values())))
    takes = [node for node in block.get("nodes", {}).values() if isinstance(node.get("in"), str)]
    if not takes:
        return
    node, op = draw(st.sampled_from(takes)), draw(st.sampled_from(sorted(OPS)))
    kind = nodes.op_node(op)
    between: Fields = {"op": op}
    for field, said in kind.model_fields.items():
        key = said.alias or field
        wanted = said.is_required() or draw(st.booleans())
        if key in ("op", "in") or not wanted:
            continue
        found = _values(draw, kind, field)
        if found:
            between[key] = _resolved(draw, draw(st.sampled_from(found)), spec, block)
    arity = kind.arity
    flows = {"none": None, "one": node["in"]}
    between["in"] = flows.get(arity, [node["in"], node["in"]])
    if between["in"] is None:
        del between["in"]
    name = f"z{len(block['nodes'])}"
    block["nodes"][name] = between
    node["in"] = name


def _is_small(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_small(one) for one in value.values())
    if isinstance(value, list):
        return all(_is_small(one) for one in value)
    return isinstance(value, bool) or not isinstance(value, int | float) or value <= LARGEST


def _resolved(draw: Draw, value: Any, spec: Fields, block: Fields) -> Any:
    """Return the value with a name of the block's own for each that is left open."""
    if isinstance(value, dict):
        return {key: _resolved(draw, one, spec, block) for key, one in value.items()}
    if isinstance(value, list):
        return [_resolved(draw, one, spec, block) for one in value]
    if not isinstance(value, Known):
        return value
    known = {
        "flow": [*block.get("nodes", {}), *block.get("inputs", ["x"])],
        "memory": list(block.get("memories", {})),
        "level": ["token", "step", "never", *spec.get("levels", {})],
        "block": list(spec["blocks"]),
    }[value.kind]
    return draw(st.sampled_from(known or ["nothing"]))


def places(spec: Fields) -> Iterator[Place]:
    """Yield every mapping of a spec with the part of the schema that describes it."""
    yield spec, file.SpecFile, {}
    if "training" in spec:
        yield spec["training"], file.Training, {}
    for group in spec.get("optimizer", ()):
        yield group, file.BlockGroup if "block" in group else file.SpecGroup, {}
        if isinstance(group.get("for"), dict):
            yield group["for"], file.Names, {}
    if "model" in spec:
        yield from _model(spec["model"])
    for block in spec["blocks"].values():
        yield block, file.Block, block
        for one in block.get("memories", {}).values():
            yield from _memory(one, block)
        for one in block.get("nodes", {}).values():
            yield from _node(one, block)


def _model(model: Fields) -> Iterator[Place]:
    yield model, file.Model, {}
    yield model["embed"], file.Embed, {}
    if "head" in model:
        yield model["head"], file.Head, {}
    todo = list(model["stack"])
    while todo:
        item = todo.pop()
        yield item, file.StackGroup if "stack" in item else file.StackBlock, {}
        todo += item.get("stack", ())


def _memory(given: Fields, block: Fields) -> Iterator[Place]:
    yield given, memory.Memory, block
    rule = given.get("rule", {})
    if "rule" in given:
        yield rule, memory.Rule, block
        if isinstance(rule.get("erase"), dict):
            yield rule["erase"], memory.EraseTable, block
    if isinstance(given.get("values"), dict):
        yield given["values"], memory.SelfValues, block
    for holder, key in (*((given, k) for k in ("net", "objective", "init")), *_rules(rule)):
        kind = holder.get(key)
        if isinstance(kind, dict):
            yield kind, CHOICES[key][kind["kind"]], block


def _rules(rule: Fields) -> Iterator[tuple[Fields, str]]:
    yield rule, "direction"
    yield rule, "mirror"


def _node(node: Fields, block: Fields) -> Iterator[Place]:
    if "read" in node:
        yield node, nodes.ReadNode, block
    elif "block" in node:
        yield node, nodes.BlockNode, block
    else:
        yield node, nodes.op_node(node["op"]), block


def every_field() -> set[str]:
    """Return every field of the schema, as `Rule.rate`."""
    kinds: list[type[BaseModel]] = [
        *(file.SpecFile, file.Training, file.BlockGroup, file.SpecGroup, file.Names, file.Block),
        *(file.Model, file.Embed, file.Head, file.StackBlock, file.StackGroup),
        *(memory.Memory, memory.Rule, memory.EraseTable, memory.SelfValues),
        *(nodes.ReadNode, nodes.BlockNode),
        *(kind for choice in CHOICES.values() for kind in choice.values()),
        *(nodes.op_node(op) for op in OPS),
    ]
    found = {f"{kind.__name__}.{key}" for kind in kinds for key in kind.model_fields}
    return found - {"SpecFile.extends"}  # of a file that lies beside it


def fields_of(spec: Fields) -> set[str]:
    """Return the fields that a spec says."""
    return {
        f"{kind.__name__}.{name}"
        for holder, kind, _ in places(spec)
        for name, field in kind.model_fields.items()
        if (field.alias or name) in holder
    }
