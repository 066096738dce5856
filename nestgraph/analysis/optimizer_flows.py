"""Shapes in an optimizer's block, by symbols: it runs on parameters of any size.

A flow is a number, or (rows, channels) of the parameter, or another pair of symbols that an op
makes of them (`identity` is rows by rows). `input` is what a layer was fed and only a key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nestgraph.language.system import FlatBlock, Memory, Node, Read

Shape = tuple[str, ...]
NUMBER: Shape = ()
CELLS: Shape = ("rows", "channels")
INPUT: Shape = ("inputs", "channels")
MATRIX_OPS = frozenset({"newton_schulz", "identity", "transpose", "matmul", "matrix_power"})


def has_rows(block: FlatBlock) -> bool:
    """Return whether a block tells rows from channels, and not only cells."""
    nodes = [n.op for n in block.nodes.values() if isinstance(n, Node)]
    starts = [memory.init.kind for memory in block.memories.values()]
    return (
        bool(matrix_parts(block))
        or any(op in ("l2_norm", "clip", "softmax") for op in nodes)
        or any(start in ("identity", "fixed") for start in starts)
    )


def matrix_parts(block: FlatBlock) -> tuple[Node | Memory, ...]:
    """Return the ops and memories of a block that work on whole matrices."""
    nodes = (n for n in block.nodes.values() if isinstance(n, Node) and n.op in MATRIX_OPS)
    memories = (
        m
        for m in block.memories.values()
        if m.net.kind != "vector" or m.rule.direction == "newton_schulz"
    )
    return (*nodes, *memories)


def heard_by(block: FlatBlock, memory: Memory) -> tuple[str, ...]:
    """Return what a memory learns from, whatever ops lie between: `grad`, `input`, memories it
    reads.

    A parameter without a step of its own (`through`) learns from the gradient itself.
    """
    through = memory.objective.through
    if memory.objective.kind != "task":
        flows = [*memory.keys, *memory.values]
    else:
        flows = [*memory.keys, "grad" if through is None else through]
    found = dict.fromkeys(source for flow in flows for source in _sources(block, flow))
    return tuple(name for name in found if name != "lr")


def _sources(block: FlatBlock, flow: str) -> Iterator[str]:
    """Yield where a flow comes from: inputs of the block and memories, without the ops between."""
    node = block.nodes.get(flow)
    if node is None:
        yield flow
    elif isinstance(node, Node):
        for above in node.inputs:
            yield from _sources(block, above)
    else:
        yield node.memory
        if node.query is not None:
            yield from _sources(block, node.query)


def shapes(block: FlatBlock) -> Mapping[str, Shape]:
    """Return the shape of every flow that can be known; a misfit makes none."""
    known: dict[str, Shape] = {"grad": CELLS, "lr": NUMBER, "input": INPUT}
    for _ in range(len(block.nodes) + 1):
        before = len(known)
        for name, node in block.nodes.items():
            if name in known:
                continue
            found = _read(block, node, known) if isinstance(node, Read) else _op(node, known)
            if found is not None:
                known[name] = found
        if len(known) == before:
            break
    return known


def _op(node: Node, known: Mapping[str, Shape]) -> Shape | None:
    inputs = [known.get(flow) for flow in node.inputs]
    first = inputs[0] if inputs else None
    if node.op == "matmul":
        return _product(inputs)
    if node.op in ("sum", "product", "divide", "max"):
        matrices = [shape for shape in inputs if shape]
        return matrices[0] if matrices else (None if None in inputs else NUMBER)
    if first is None or len(first) != 2:
        return first
    if node.op == "identity":
        return (first[0], first[0])
    return (first[1], first[0]) if node.op == "transpose" else first


def _product(inputs: list[Shape | None]) -> Shape | None:
    left, right = inputs
    if not left or not right:
        return None
    return (left[0], right[1])


def _read(block: FlatBlock, read: Read, known: Mapping[str, Shape]) -> Shape | None:
    memory = block.memories[read.memory]
    keys, values = sides(memory, known)
    if memory.net.kind == "vector":
        return values
    if memory.init.kind == "given":
        return CELLS if read.query is None else _asked(known.get(read.query), "rows")
    if keys is None or values is None or len(keys) != 2 or len(values) != 2:
        return None
    if read.query is None:
        return (values[1], keys[1])
    return _asked(known.get(read.query), values[1])


def _asked(query: Shape | None, width: str) -> Shape | None:
    return None if not query else (query[0], width)


def sides(memory: Memory, known: Mapping[str, Shape]) -> tuple[Shape | None, Shape | None]:
    """Return shapes of a memory's keys and values; the parameter has the shape of the gradient."""
    if memory.init.kind == "given":
        return known.get(memory.keys[0]) if memory.keys else None, CELLS
    keys = known.get(memory.keys[0]) if memory.keys else None
    return keys, known.get(memory.values[0]) if memory.values else None


def misfits(block: FlatBlock) -> Iterator[tuple[Node | Read | Memory, str, str]]:
    """Yield what doesn't fit: a node or memory, the field, and why."""
    known = shapes(block)
    found = list(_misfits(block, known))
    yield from found or _circles(block, known)


def _misfits(
    block: FlatBlock, known: Mapping[str, Shape]
) -> Iterator[tuple[Node | Read | Memory, str, str]]:
    for node in block.nodes.values():
        if isinstance(node, Node):
            yield from _op_misfits(node, known)
        else:
            yield from _read_misfits(block.memories[node.memory], node, known)
    for memory in block.memories.values():
        yield from _memory_misfits(memory, known)


def _circles(block: FlatBlock, known: Mapping[str, Shape]) -> Iterator[tuple[Memory, str, str]]:
    """Yield memories whose size follows from their own answers: with all that fits, nothing
    else.
    """
    for memory in block.memories.values():
        for field, flows in (("keys", memory.keys), ("values", memory.values)):
            for flow in flows:
                if flow in block.nodes and flow not in known:
                    why = f"`{flow}` takes its shape from what `{memory.name}` itself answers"
                    yield memory, field, f"{why}, so neither has any"


def said(shape: Shape) -> str:
    """Return a shape in words."""
    return " x ".join(shape) if shape else "a number"


def _op_misfits(node: Node, known: Mapping[str, Shape]) -> Iterator[tuple[Node, str, str]]:
    inputs = [known.get(flow) for flow in node.inputs]
    if "input" in node.inputs:
        yield node, "in", "`input` is only known by its Gram matrix: it can be a key, nothing else"
        return
    if node.op == "matmul":
        left, right = inputs
        if (
            left is not None
            and right is not None
            and (not left or not right or left[1] != right[0])
        ):
            yield node, "in", f"`matmul` can't multiply {said(left)} by {said(right)}"
        return
    matrices = {shape for shape in inputs if shape}
    if len(matrices) > 1:
        listed = ", ".join(
            f"`{flow}` {said(shape)}"
            for flow, shape in zip(node.inputs, inputs, strict=True)
            if shape
        )
        yield node, "in", f"`{node.op}` needs flows of one shape, but got {listed}"
    if NUMBER in inputs and node.op in (*MATRIX_OPS, "l2_norm", "clip", "softmax", "pool"):
        yield node, "in", f"`{node.op}` needs a matrix, but `{node.inputs[0]}` is a number"
    square = node.op == "matrix_power" and inputs[0]
    if square and square[0] != square[1]:
        yield node, "in", f"`matrix_power` needs a square matrix, but got {said(square)}"


def _read_misfits(
    memory: Memory, read: Read, known: Mapping[str, Shape]
) -> Iterator[tuple[Read, str, str]]:
    keys, query = sides(memory, known)[0], known.get(read.query or "")
    if not keys or query is None:
        return
    if read.query == "input":
        yield (
            read,
            "query",
            "`input` is only known by its Gram matrix: it can be a key, nothing else",
        )
    elif query == NUMBER or query[1] != keys[1]:
        yield (
            read,
            "query",
            f"`{read.query}` is {said(query)}, but `{memory.name}` has keys of {said(keys)}: "
            "each row is one question, so they need equal widths",
        )


def _memory_misfits(
    memory: Memory, known: Mapping[str, Shape]
) -> Iterator[tuple[Memory, str, str]]:
    through = memory.objective.through
    if through is not None and known.get(through, CELLS) != CELLS:
        shape = known[through]
        yield memory, "objective", f"`{through}` is {said(shape)}, but the parameter {said(CELLS)}"
    for field, flows in (("keys", memory.keys), ("values", memory.values)):
        for flow in flows:
            if known.get(flow) == NUMBER:
                yield memory, field, f"`{flow}` is a number; a memory stores matrices"
            elif known.get(flow) == INPUT and not (field == "keys" and memory.init.kind == "given"):
                yield memory, field, "`input` can only be the key of the parameter itself"
    if memory.keys and memory.values:
        keys, values = sides(memory, known)
        if keys and values and keys[0] != values[0]:
            yield (
                memory,
                "values",
                f"`{memory.keys[0]}` is {said(keys)} and `{memory.values[0]}` {said(values)}: "
                "each row is one event, so they need equally many",
            )
