"""The model's stack and the optimizer's list: which instances there are, one by one."""

from __future__ import annotations

from nestgraph.elaborate.library import MAX_PARTS, Instance, Library
from nestgraph.elaborate.names import spans
from nestgraph.errors import Span
from nestgraph.findings import Findings, did_you_mean, listed, near_names, other_names
from nestgraph.language.system import Clock, Layer
from nestgraph.language.system import Group as SystemGroup
from nestgraph.language.system import Model as SystemModel
from nestgraph.recovery.fixes import Cures, Put, either
from nestgraph.schema.file import BlockGroup, Group, Model, StackBlock, StackItem
from nestgraph.text.tree import Items, Scalar, Table, Tree

OFFERED = ("grad", "lr", "input")


class StackBuilder:
    """Builds the layers of a model and the groups of an optimizer."""

    def __init__(self, library: Library, findings: Findings) -> None:
        self.library = library
        self.findings = findings
        self.chosen: dict[int, Instance] = {}  # by the identity of the item's table

    def model(self, model: Model, tree: Table, span: Span) -> SystemModel:
        """Return the model of a spec."""
        stack = tree.entries.get("stack")
        instances = self._items(model.stack, stack.value if stack else tree)
        self._bounded(sum(instance.size for instance in instances), stack.key if stack else span)
        layers = tuple(
            Layer(path=f"{index}.{instance.body.name}", block=instance.flat)
            for index, instance in enumerate(instances)
            if instance.flat is not None
        )
        return SystemModel(
            vocab=model.embed.vocab,
            width=model.embed.width,
            layers=layers,
            norm=None if model.norm == "none" else model.norm,
            tie_head=model.head.tie,
            head_out=model.head.out,
            horizon=self._level(model.horizon, tree),
            span=span,
            spans=spans(tree),
        )

    def _level(self, name: str | None, tree: Table) -> Clock | None:
        if name is None or name in self.library.clocks:
            return self.library.clocks[name] if name else None
        hint = did_you_mean(name, self.library.clocks) or "declare it in `levels`"
        place = _place(tree, "horizon")
        cures = near_names(place, name, self.library.clocks)
        message = f"`horizon: {name}` names no level"
        self.findings.add("NG204", message, place, hint, cures=cures)
        return None

    def optimizer(self, groups: list[Group], tree: Items) -> tuple[SystemGroup, ...]:
        """Return the groups of an optimizer, in the order in which they match."""
        return tuple(
            self._group(group, below) for group, below in zip(groups, tree.items, strict=False)
        )

    def _group(self, group: Group, tree: Tree) -> SystemGroup:
        names = None if isinstance(group.for_, str) else group.for_.names
        kind = group.for_ if isinstance(group.for_, str) else "names"
        block, spec, given, place = None, None, {}, None
        if isinstance(group, BlockGroup):
            instance = self._instance(group.block, tree)
            block = instance.flat if instance else None
            if instance is not None:
                self._offered(instance)
        else:
            spec, given = group.spec, dict(group.with_)
            named = tree.get("spec") if isinstance(tree, Table) else None
            place = named.written if isinstance(named, Scalar) else None
        return SystemGroup(
            kind=kind,
            names=names,
            block=block,
            spec=spec,
            span=tree.span,
            place=place,
            vars=given,
            lr=group.lr,
        )

    def _offered(self, instance: Instance) -> None:
        body = instance.body
        unknown = [name for name in body.inputs if name not in OFFERED]
        if unknown:
            inputs = body.table.get("inputs")
            message = f"`{unknown[0]}` is nothing that an optimizer is given"
            hint = f"`inputs` of `{body.name}` may be {listed(OFFERED)}"
            place = inputs.span if inputs else body.span
            self.findings.add("NG207", message, place, hint, cures=_offers(inputs, unknown[0]))

    def _items(self, items: list[StackItem], tree: Tree) -> list[Instance]:
        trees = tree.items if isinstance(tree, Items) else ()
        found: list[Instance] = []
        for item, below in zip(items, trees, strict=False):
            one = self._item(item, below)
            size = sum(instance.size for instance in one)
            if self._bounded(size * item.repeat, _place(below, "repeat")):
                found += one * item.repeat
        return found

    def _item(self, item: StackItem, tree: Tree) -> list[Instance]:
        if not isinstance(item, StackBlock):
            inner = tree.get("stack") if isinstance(tree, Table) else None
            return self._items(item.stack, inner or tree)
        instance = self._instance(item.block, tree)
        if instance is None:
            return []
        if len(instance.body.inputs) != 1:
            message = f"block `{item.block}` takes {len(instance.body.inputs)} flows"
            hint = "a block of the stack takes one: what the block before it gave"
            place = _place(tree, "block")
            cures = other_names(place, self.library.blocks or ())
            self.findings.add("NG207", message, place, hint, cures=cures)
        self.library.has_output(instance)
        return [instance]

    def _instance(self, name: str, tree: Tree) -> Instance | None:
        given = tree.get("with") if isinstance(tree, Table) else None
        found = self.library.instance(name, _place(tree, "block"), given)
        if found is not None:
            self.chosen[id(tree)] = found
        return found

    def _bounded(self, size: int, span: Span) -> bool:
        if size > MAX_PARTS:
            message = f"the model would hold {size:,} nodes and memories"
            cures = either(Put(span, count) for count in (1, 2))
            hint = f"at most {MAX_PARTS:,} fit; repeat less"
            self.findings.add("NG114", message, span, hint, cures=cures)
        return size <= MAX_PARTS


def _place(tree: Tree, key: str) -> Span:
    value = tree.get(key) if isinstance(tree, Table) else None
    return value.span if value is not None else tree.span


def _offers(inputs: Tree | None, name: str) -> Cures:
    """Return what is offered, in place of an input that is not."""
    items = inputs.items if isinstance(inputs, Items) else ()
    places = [item.span for item in items if isinstance(item, Scalar) and item.value == name]
    return either(Put(place, word) for place in places[:1] for word in OFFERED)
