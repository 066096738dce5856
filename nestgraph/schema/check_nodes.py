"""Checks a node: which form it has, its fields, and its `then` chain step by step."""

from __future__ import annotations

from dataclasses import dataclass

from nestgraph.findings import Findings, closest, listed, respelt, word_of_language
from nestgraph.recovery.fixes import Cures, Drop, Put, either
from nestgraph.schema import stand_ins
from nestgraph.schema.follow import known_keys
from nestgraph.schema.nodes import AnyNode, BlockNode, ReadNode, op_node
from nestgraph.schema.ops import BARE, CHAINABLE, OPS, Op
from nestgraph.schema.samples import samples
from nestgraph.schema.validate import mended, validate
from nestgraph.text.tree import BROKEN, Items, Scalar, Table, Tree

FORMS = ("op", "read", "block")


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedNode:
    """A node's model, and the ops of its chain with their trees; None for unusable ones."""

    model: AnyNode
    table: Table  # with mistyped keys put right
    chain: tuple[tuple[Op | None, Tree], ...]


def check_node(tree: Tree, where: str, findings: Findings) -> CheckedNode | None:
    """Check one node.

    Args:
        tree: what the author wrote, vars already replaced.
        where: what the tree is, for messages ("node `q`").
        findings: receives every problem.

    Returns:
        The node, as far as it can be used; None if it can't.
    """
    if not isinstance(tree, Table):
        findings.wrong(where, tree, "a mapping", cures=_other_nodes(tree))
        return None
    form = _form(tree, where, findings)
    if form is None:
        return None
    tree = mended(tree, (form,), where, findings)
    kind = _kind(form, tree, where, findings)
    if kind is None:
        return None
    tree = mended(tree, known_keys(kind), where, findings)
    model = validate(kind, tree, where, findings)
    then = tree.get("then")
    steps = then.items if isinstance(then, Items) else ()
    chain = tuple(
        (check_step(step, f"`then.{index}` of {where}", findings), step)
        for index, step in enumerate(steps)
    )
    return CheckedNode(model=model, table=tree, chain=chain) if model is not None else None


def check_step(tree: Tree, where: str, findings: Findings) -> Op | None:
    """Check one op of a chain."""
    if isinstance(tree, Table):
        tree = mended(tree, ("op",), where, findings)
        name = _op_name(tree, where, findings)
        if name is None or not _chainable(name, tree, findings):
            return None
        for key in ("in", "then", "tie"):
            if key in tree:
                message = f"`{key}` has no place in {where}"
                hint = "a chain takes the flow before it, and is one list"
                place = tree.entries[key].key
                findings.add("NG103", message, place, hint, cures=either([Drop(place)]))
        found = validate(OPS[name], tree.without("in", "then", "tie"), where, findings)
        return found if isinstance(found, Op) else None
    if isinstance(tree, Scalar) and tree.value is BROKEN:
        return None
    if not isinstance(tree, Scalar) or not isinstance(tree.value, str):
        hint = "write its name, or `{op: ...}`"
        findings.wrong(where, tree, "an op", hint, cures=_other_steps(tree))
        return None
    name = tree.value
    if name in BARE:
        return OPS[name].model_validate({"op": name})
    if not _known(name, tree, tree, findings) or not _chainable(name, tree, findings):
        return None
    needs = [key for key, field in OPS[name].model_fields.items() if field.is_required()]
    fields = ", ".join(f"{key}: ..." for key in needs if key != "op")
    hint = f"write `{{op: {name}, {fields}}}`"
    message = f"`{name}` needs {listed(needs[1:])}"
    cures = either(Put(tree.span, one) for one in samples(OPS[name], name))
    findings.add("NG106", message, tree.span, hint, cures=cures)
    return None


def _form(tree: Table, where: str, findings: Findings) -> str | None:
    given = [form for form in FORMS if form in tree]
    if len(given) > 1:
        message = f"{where} has both `{given[0]}` and `{given[1]}`"
        keys = [tree.entries[form].key for form in given]
        hint, cures = "a node is one of `op`, `read`, `block`", either(Drop(key) for key in keys)
        findings.add("NG103", message, keys[1], hint, cures=cures)
        return None
    if given:
        return given[0]
    meant = next((form for key in tree if (form := closest(key, FORMS))), None)
    if meant is None:
        hint = "a node is told by `op`, `read` or `block`"
        message, cures = f"{where} does not say what it is", _other_nodes(tree)
        findings.add("NG106", message, tree.span, hint, cures=cures)
    return meant


def _kind(form: str, tree: Table, where: str, findings: Findings) -> type[AnyNode] | None:
    if form != "op":
        return ReadNode if form == "read" else BlockNode
    name = _op_name(tree, where, findings)
    return op_node(name) if name is not None else None


def _op_name(tree: Table, where: str, findings: Findings) -> str | None:
    op = tree.get("op")
    if op is None:
        message, cures = f"{where} needs `op`", _other_nodes(tree)
        findings.add("NG106", message, tree.span, "add `op: ...`", cures=cures)
        return None
    if isinstance(op, Scalar) and op.value is BROKEN:
        return None
    if not isinstance(op, Scalar) or not isinstance(op.value, str):
        findings.wrong(f"`op` of {where}", op, "a word", cures=_other_ops(op, tree))
        return None
    return op.value if _known(op.value, op, tree, findings) else None


def _known(name: str, op: Tree, holder: Tree, findings: Findings) -> bool:
    if name not in OPS:
        fitting = findings.ops or tuple(OPS)
        hint = word_of_language(name, fitting)
        cures = respelt(op.span, name, fitting, _other_ops(op, holder))
        findings.add("NG104", f"no op is called `{name}`", op.span, hint, cures=cures)
    return name in OPS


def _chainable(name: str, tree: Tree, findings: Findings) -> bool:
    if name not in CHAINABLE:
        takes = "no flow" if OPS[name].arity == "none" else "several flows"
        message = f"`{name}` takes {takes} and can't stand in a chain"
        hint = "make it a node of its own"
        findings.add("NG104", message, tree.span, hint, cures=_other_steps(tree))
    return name in CHAINABLE


def _other_nodes(tree: Tree) -> Cures:
    """Return nodes in place of an unusable one."""
    return either(Put(tree.span, one) for one in stand_ins.nodes(stand_ins.FLOWS))


def _other_steps(tree: Tree) -> Cures:
    """Return ops in place of an unusable one of a chain, or none."""
    wide = [{"op": "linear", "out": out} for out in stand_ins.WIDTHS]
    return either([Drop(tree.span), *(Put(tree.span, one) for one in ("tanh", *wide))])


def _other_ops(op: Tree, holder: Tree) -> Cures:
    """Return ops that resemble each other little, in place of one whose name is none."""
    if not isinstance(holder, Table) or "in" not in holder:
        return _other_steps(holder)
    names = either(Put(op.span, name) for name in ("linear", "tanh", "sum", "product"))
    return Cures((*names.choices, *_other_nodes(holder).choices))
