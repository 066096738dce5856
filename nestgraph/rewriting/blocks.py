"""Rewrites every block of a model in its place, where the widths of its flows are known.

A block that is called in several places, and comes out differently, becomes several blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nestgraph.analysis.parameters import starts
from nestgraph.language.spec import Spec
from nestgraph.language.system import FlatBlock, Memory, Model
from nestgraph.rewriting.document import Values, model_of, resolved, spec_of, values_of
from nestgraph.rewriting.pruning import fewer_flows, needed_horizon, pruned, used_levels


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One instance of a block within an item of the stack."""

    block: FlatBlock
    prefix: str = ""

    def inside(self, call: str) -> Place:
        """Return the instance that a node of this one calls."""
        return Place(block=self.block, prefix=f"{self.prefix}{call}.")

    def memory(self, name: str) -> Memory:
        """Return what the elaborated spec knows of a memory of the instance."""
        return self.block.memories[f"{self.prefix}{name}"]

    def start_of(self, name: str) -> Memory:
        """Return the memory with a start of its own that a memory of the instance starts as."""
        return starts(self.block, self.memory(name))[-1]

    def width(self, name: str, node: Values) -> int:
        """Return the width of a node before its chain."""
        width = self.block.nodes[f"{self.prefix}{name}{'.base' * ('then' in node)}"].width
        assert width is not None, "of a spec that was checked"
        return width


Change = Callable[[Values, Place], Values]


def rewritten(spec: Spec, change: Change, *, suffix: str, doc: str, prune: bool) -> Spec:
    """Return a spec whose blocks a function has changed.

    Args:
        spec: a model.
        change: gives the plain values of a block anew; what it calls has been rewritten before.
        suffix: of the new spec's name.
        doc: what was changed, as one clause.
        prune: whether what the outputs no longer need goes.

    Raises:
        InputError: NG955, for an optimizer.
        SpecError: when the outcome is no sound spec.
    """
    model_of(spec)
    spec = resolved(spec)
    values = values_of(spec)
    rewriter = _Rewriter(values["blocks"], model_of(spec), change, prune=prune)
    stack = rewriter.stack(values["model"]["stack"])
    values["blocks"] = rewriter.made
    values["model"] = {**values["model"], "stack": stack}
    values["name"] = f"{values['name']}-{suffix}"
    values["doc"] = f"{(values.get('doc') or spec.system.name).rstrip('.')}; {doc}."
    if prune:
        values["model"] = needed_horizon(values)
        values["levels"] = used_levels(values)
    return spec_of(values, spec)


class _Rewriter:
    """Gives each block anew, the inner ones first.

    Attributes:
        made: the new blocks by name.
    """

    def __init__(
        self, blocks: Mapping[str, Values], model: Model, change: Change, *, prune: bool
    ) -> None:
        self.blocks = blocks
        self.flat = {layer.block.name: layer.block for layer in model.layers}
        self.change = change
        self.prune = prune
        self.made: dict[str, Values] = {}
        self.names: dict[str, str] = {}  # of new blocks, by their origin and contents

    def stack(self, items: list[Values]) -> list[Any]:
        """Return the items of the stack with the names of the new blocks."""
        return [self._item(item) for item in items]

    def _item(self, item: Values) -> Values:
        if "stack" in item:
            return {**item, "stack": self.stack(item["stack"])}
        place = Place(block=self.flat[item["block"]])
        return {**item, "block": self._block(item["block"], place, inner=False)}

    def _block(self, name: str, place: Place, *, inner: bool) -> str:
        """Return the name of a block made anew in one place."""
        block = self.blocks[name]
        nodes = dict(block.get("nodes", {}))
        for call, node in nodes.items():
            if "block" in node:
                other = self._block(node["block"], place.inside(call), inner=True)
                fewer = fewer_flows(node, self.blocks[node["block"]], self.made[other])
                nodes[call] = {**fewer, "block": other}
        new = self.change({**block, "nodes": nodes}, place)
        if self.prune:
            new = pruned(new, inner=inner)
        return self._named(name, {key: value for key, value in new.items() if value != {}})

    def _named(self, name: str, new: Values) -> str:
        key = f"{name}: {new!r}"
        if key not in self.names:
            free = (f"{name}_{number}" for number in range(2, len(self.made) + 3))
            taken = {*self.made, *self.blocks} - ({name} if name not in self.made else set())
            self.names[key] = next(one for one in (name, *free) if one not in taken)
            self.made[self.names[key]] = new
        return self.names[key]
