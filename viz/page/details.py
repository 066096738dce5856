"""What is told about a box when it is opened: values, shapes, costs, its lines of YAML."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nestgraph.analysis.costs import NOTHING, costs
from nestgraph.analysis.levels import instances, nested_levels
from nestgraph.analysis.parameters import TRAINED, ParameterSpec, parameter_table, state_shapes
from nestgraph.display.describe import local
from nestgraph.display.wording import size
from nestgraph.errors import Span
from nestgraph.graph.build import build_graph
from nestgraph.language.system import Memory, System
from nestgraph.language.trainer import opened, trainer_of
from nestgraph.viz.flows.block_view import block_outline, op_text, whole
from nestgraph.viz.flows.outline import Part
from nestgraph.viz.flows.training_outline import trained_name, training_outline
from nestgraph.viz.levels.level_scene import level_id
from nestgraph.viz.page.snippet import snippet

if TYPE_CHECKING:
    import networkx as nx

Facts = list[tuple[str, str]]


class Details:
    """Everything about every box of a spec, by its key."""

    def __init__(
        self, system: System, sources: Mapping[str, str], keys: Callable[[str], str]
    ) -> None:
        self.system = system = opened(system)
        self.sources = sources
        self.keys = keys
        self.costs = costs(system)
        self.graph: nx.MultiDiGraph[str] = build_graph(system, roll=True)
        self.parameters: dict[str, list[ParameterSpec]] = {}
        for parameter in parameter_table(system):
            owner = parameter.name.rpartition(".")[0]
            self.parameters.setdefault(owner, []).append(parameter)
        self.memories: Mapping[str, Memory] = {
            f"{path}/{memory.name}": memory
            for path, block in instances(system)
            for memory in block.memories.values()
        }

    def all(self) -> dict[str, dict[str, Any]]:
        """Return title, kind, facts, YAML and place of each box."""
        return {**self._trained(), **self._boxes(), **self._levels()}

    def _boxes(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for name, node in self.graph.nodes(data=True):
            found[self.keys(name)] = self._node(name, node)
        outline = block_outline(self.graph, self.system)
        for part in outline.all():
            known = found.setdefault(self.keys(part.id), self._part(part))
            if part.members:
                known["members"] = [self.keys(member) for member in part.members]
        return found

    def _levels(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for row in nested_levels(self.system):
            facts = [("moves", row.period), ("frequency", row.frequency)]
            facts += [("memories", f"{len(row.memories)}")] if row.memories else []
            facts += [("of the optimizer", f"{len(row.optimizer)}")] if row.optimizer else []
            known = self._known(f"Level {row.name}", "level", facts, row.clock.span, "")
            found[self.keys(level_id(row))] = known
        return found

    def _trained(self) -> dict[str, dict[str, Any]]:
        """Return what only the view of the optimizer shows."""
        trainer = trainer_of(self.system)
        if trainer is None:
            return {}
        found = {
            self.keys(part.id): self._known(part.title, part.kind, list(part.facts), None, "")
            for part in training_outline(self.system).parts
        }
        inner = Details(trainer, self.sources, lambda name: self.keys(trained_name(name)))
        return found | inner._boxes()

    def _known(
        self, title: str, kind: str, facts: Facts, span: Span | None, path: str
    ) -> dict[str, Any]:
        known: dict[str, Any] = {"title": title, "kind": kind, "facts": facts}
        if path:
            known["path"] = path
        if span is not None:
            known["place"] = str(span)
            known["yaml"] = snippet(self.sources.get(span.file, ""), span.line)
        return known

    def _part(self, part: Part) -> dict[str, Any]:
        layer, _, prefix = part.id.partition("/")
        regions = next(
            (block.regions for path, block in instances(self.system) if path == layer), ()
        )
        span = next((region.span for region in regions if region.prefix == prefix), None)
        held = [("holds", f"{sum(not one.parts for one in part.all())} boxes")]
        return self._known(f"{part.title} {part.badge}".strip(), part.kind, held, span, part.id)

    def _node(self, name: str, node: Mapping[str, Any]) -> dict[str, Any]:
        memory = self.memories.get(name.removesuffix(".write"))
        if node["kind"] == "write" and memory is not None:
            facts = list(self._memory(name.removesuffix(".write"), node, memory))
            title, kind = local(memory.name), "memory"
        else:
            facts = list(self._flow(name, node))
            title, kind = local(whole(str(node.get("name", name)))), node["kind"]
        if node.get("repeat", 1) > 1:
            facts.append(("stands", f"{node['repeat']} times in the stack"))
        return self._known(title, kind, facts, node["span"], name.removesuffix(".write"))

    def _memory(
        self, name: str, node: Mapping[str, Any], memory: Memory
    ) -> Iterator[tuple[str, str]]:
        for key in ("net", "objective", "rule", "level", "init", "reset", "gradient"):
            yield key, str(node[key])
        yield "frequency", str(node["frequency"])
        if memory.key_width is not None or memory.value_width is not None:
            yield (
                "keys, values",
                f"{memory.key_width or 'none'}, {memory.value_width or 'none'} wide",
            )
        shapes = state_shapes(memory) if memory.value_width is not None else ()
        if memory.init.kind not in TRAINED:  # else its state is told as a parameter
            yield from ((f"state {shape.name}", _sizes(shape.shape)) for shape in shapes)
        yield from self._parameters(name)
        yield from self._costs(name)

    def _flow(self, name: str, node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        if node["kind"] in ("op", "norm"):
            yield "op", op_text(node)
        if node["kind"] == "read":
            yield "reads", local(node["memory"])
            yield "query", local(node["query"] or "none")
            yield "at", node["at"]
        for key in ("name", "lr", "vocab", "group"):
            if key in node and node["kind"] in ("embed", "optimizer", "head"):
                yield key, str(node[key])
        fed = dict.fromkeys(local(source) for source, _ in self.graph.in_edges(name))
        if fed:
            yield "from", ", ".join(one.rpartition("/")[2] for one in fed)
        if node.get("width"):
            yield "output", f"(batch, time, {node['width']})"
        if node["kind"] == "op":
            yield from self._parameters(self._owner(name, node))
            yield from self._costs(name)
        elif node["kind"] in ("embed", "norm", "head"):
            yield from self._parameters(name)
            yield from self._costs(name)

    def _owner(self, name: str, node: Mapping[str, Any]) -> str:
        return name.removesuffix(node["name"]) + str(node["owner"])

    def _costs(self, name: str) -> Iterator[tuple[str, str]]:
        """Return the costs of one token, forward; a memory's are those of its writes and reads."""
        cost = self.costs.get(name, NOTHING)
        if cost.flops:
            yield "FLOPs a token", f"{cost.flops:,.0f}"
        if cost.state:
            yield "state", f"{size(cost.state_bytes)} a sequence"

    def _parameters(self, owner: str) -> Iterator[tuple[str, str]]:
        prefix = _dotted(owner)
        inside = self.parameters.get(prefix, []) + self.parameters.get(f"{prefix}.norm", [])
        for one in inside:
            yield one.name.removeprefix(f"{prefix}."), f"{_sizes(one.shape)}, starts {one.init}"
        if inside:
            yield "parameters", f"{sum(one.size for one in inside):,}"


def _dotted(name: str) -> str:
    return name.replace("/", ".")


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{size:,}" for size in shape) or "one number"
