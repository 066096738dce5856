"""Shape inference: fills in the widths of a model's flows and memories, and says what won't fit.

Optimizer blocks are left alone: their flows take the shape of each parameter in turn.
"""

from __future__ import annotations

from dataclasses import replace

from nestgraph.errors import Diagnostic, in_file_order
from nestgraph.language.system import FlatBlock, Memory, Node, Read, System
from nestgraph.shapes.flows import reads_by_memory
from nestgraph.shapes.memories import memory_mismatches
from nestgraph.shapes.solve import Solution, op_mismatches, solve, undetermined


def infer(system: System) -> tuple[System, tuple[Diagnostic, ...]]:
    """Return the system with every width of its model known, and every width that doesn't fit.

    Layers that shared one block share one again. A width that follows from a mismatch stays
    None, so that a mistake is reported where it was made and not all the way down.
    """
    model = system.model
    if model is None:
        return system, ()
    done: dict[int, tuple[FlatBlock, tuple[Diagnostic, ...]]] = {}
    for layer in model.layers:
        if id(layer.block) not in done:
            done[id(layer.block)] = _infer_block(layer.block, model.width)
    layers = tuple(replace(layer, block=done[id(layer.block)][0]) for layer in model.layers)
    found = [d for _, diagnostics in done.values() for d in diagnostics]
    return replace(system, model=replace(model, layers=layers)), in_file_order(found)


def _infer_block(block: FlatBlock, width: int) -> tuple[FlatBlock, tuple[Diagnostic, ...]]:
    solution = solve(block, width)
    memories = {name: _filled_memory(m, solution) for name, m in block.memories.items()}
    nodes = {name: _filled_node(n, solution) for name, n in block.nodes.items()}
    filled = replace(block, memories=memories, nodes=nodes)
    found = list(op_mismatches(filled, solution))
    reads = reads_by_memory(filled)
    for memory in memories.values():
        found += memory_mismatches(memory, reads, solution.flows)
    return filled, (*found, *undetermined(filled, solution))


def _filled_memory(memory: Memory, solution: Solution) -> Memory:
    name = memory.name
    return replace(memory, key_width=solution.keys.get(name), value_width=solution.values.get(name))


def _filled_node(node: Node | Read, solution: Solution) -> Node | Read:
    return replace(node, width=solution.flows.get(node.name))
