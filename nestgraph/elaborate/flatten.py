"""Inlining: a block and the blocks inside it become one flat block with dotted names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from nestgraph.elaborate.body import Body
from nestgraph.elaborate.nodes import Call
from nestgraph.language.system import Coefficient, FlatBlock, Memory, Node, Read, Region

Rename = Callable[[str], str]


class AliasCycleError(Exception):
    """Raised when blocks that only pass their input on feed each other in a circle.

    Attributes:
        calls: the calls on the circle.
    """

    def __init__(self, calls: tuple[Call, ...]) -> None:
        super().__init__()
        self.calls = calls


def flatten(body: Body, inner: Mapping[str, FlatBlock]) -> FlatBlock:
    """Return a block with its inner blocks inlined.

    Args:
        body: the block.
        inner: the flat block of each call, by the call's name.

    Raises:
        AliasCycleError: when the answer of a call is, through others, its own input.
    """
    flattener = _Flattener(body, inner)
    return flattener.run()


class _Flattener:
    def __init__(self, body: Body, inner: Mapping[str, FlatBlock]) -> None:
        self.body = body
        self.inner = inner
        self.memories: dict[str, Memory] = {}
        self.nodes: dict[str, Node | Read] = {}
        self.regions = [Region(prefix="", block=body.name, span=body.span)]

    def run(self) -> FlatBlock:
        for name, memory in self.body.memories.items():
            self.memories[name] = renamed_memory(memory, self._flow, _same)
        for name, part in self.body.nodes.items():
            if isinstance(part, Call):
                self._inline(part)
            else:
                self.nodes[name] = renamed_node(part, self._flow, _same, name)
        output = self.body.output
        return FlatBlock(
            name=self.body.name,
            inputs=self.body.inputs,
            memories=self.memories,
            nodes=self.nodes,
            output=self._flow(output) if output is not None else None,
            regions=tuple(self.regions),
            span=self.body.span,
        )

    def _inline(self, call: Call) -> None:
        block = self.inner[call.name]

        def own(name: str) -> str:
            return f"{call.prefix}.{name}"

        def flow(name: str) -> str:
            if name in block.inputs:
                return self._flow(call.inputs[block.inputs.index(name)])
            return own(name)

        for name, memory in block.memories.items():
            self.memories[own(name)] = renamed_memory(memory, flow, own)
        for name, node in block.nodes.items():
            self.nodes[own(name)] = renamed_node(node, flow, own, own(name))
        for region in block.regions:
            prefix = own(region.prefix) if region.prefix else call.prefix
            self.regions.append(replace(region, prefix=prefix, span=region.span))

    def _flow(self, name: str) -> str:
        """Return the flat name of a local flow: the answer of a call is a flow inside it."""
        asked: dict[str, Call] = {}
        while isinstance(call := self.body.nodes.get(name), Call):
            if name in asked:
                raise AliasCycleError((*asked.values(), call))
            asked[name] = call
            block = self.inner[name]
            output = block.output or ""
            if output not in block.inputs:
                return f"{call.prefix}.{output}"
            name = call.inputs[block.inputs.index(output)]
        return name


def _same(name: str) -> str:
    return name


def renamed_node(part: Node | Read, flow: Rename, own: Rename, name: str) -> Node | Read:
    """Return a node under another name, with its flows renamed."""
    if isinstance(part, Read):
        query = flow(part.query) if part.query is not None else None
        return replace(part, name=name, owner=own(part.owner), memory=own(part.memory), query=query)
    return replace(
        part,
        name=name,
        owner=own(part.owner),
        inputs=tuple(flow(name) for name in part.inputs),
        tie=own(part.tie) if part.tie is not None else None,
    )


def renamed_memory(memory: Memory, flow: Rename, own: Rename) -> Memory:
    """Return a memory under another name, with its flows renamed."""

    def coefficient(given: Coefficient) -> Coefficient:
        return replace(given, flow=flow(given.flow)) if given.flow is not None else given

    rule, objective, init, erase = memory.rule, memory.objective, memory.init, memory.rule.erase
    return replace(
        memory,
        name=own(memory.name),
        keys=tuple(flow(name) for name in memory.keys),
        values=tuple(flow(name) for name in memory.values),
        objective=replace(
            objective,
            delta=coefficient(objective.delta) if objective.delta else None,
            through=flow(objective.through) if objective.through is not None else None,
        ),
        rule=replace(
            rule,
            rate=coefficient(rule.rate),
            momentum=coefficient(rule.momentum),
            retain=coefficient(rule.retain),
            step=coefficient(rule.step),
            erase=replace(
                erase,
                key=flow(erase.key) if erase.key is not None else None,
                rate=coefficient(erase.rate) if erase.rate else None,
            ),
            reduce=flow(rule.reduce) if rule.reduce_is_flow else rule.reduce,
        ),
        init=replace(init, memory=own(init.memory) if init.memory is not None else None),
    )
