"""Static: each memory that learns in context becomes a map that only training moves.

The map has the memory's net, heads and widths, attention's is a matrix a head; it starts as the
memory did. Nothing is written, and what only fed writes goes.
"""

from __future__ import annotations

from collections.abc import Collection

from nestgraph.errors import InputError
from nestgraph.language.spec import Spec
from nestgraph.language.system import FlatBlock, Memory, Net
from nestgraph.rewriting.blocks import Place, rewritten
from nestgraph.rewriting.document import Values, model_of

OF_THE_MAP = ("net", "heads", "init")
LAYER = "<n>"  # the number of the layer, in the key of a checkpoint


def static(spec: Spec, *, hidden: float | None = None) -> Spec:
    """Return the spec whose inner memories are learned maps of their nets, heads and widths.

    A memory that is asked becomes one with `objective: task` on level `step`, which is a learned
    net; one that is only read as it stands, a vector or a matrix, becomes a `constant`.

    Args:
        spec: a model.
        hidden: how many times as wide the hidden layers of maps are as those of their memories;
            a matrix gets one of so many times the width of a head's key. None leaves all nets.

    Raises:
        InputError: NG955, for an optimizer, or when no memory learns in context.
    """
    if not inner_memories(spec):
        message = f"no memory of `{spec.system.name}` learns in context, so it is static already"
        raise InputError("NG955", message, "compare it as it stands")
    doc = "each memory that learns in context is a learned map"

    def change(block: Values, place: Place) -> Values:
        names = block.get("memories", {})
        inner = [name for name in names if not place.memory(name).is_step_group]
        return as_maps(block, place, inner, hidden=hidden)

    return rewritten(spec, change, suffix="static", doc=doc, prune=True)


def inner_memories(spec: Spec) -> list[Memory]:
    """Return the memories of a model that learn in context, each layer's.

    Raises:
        InputError: NG955, for an optimizer.
    """
    layers = model_of(spec).layers
    memories = (one for layer in layers for one in layer.block.memories.values())
    return [memory for memory in memories if not memory.is_step_group]


def as_maps(
    block: Values, place: Place, chosen: Collection[str], *, hidden: float | None = None
) -> Values:
    """Return a block with maps for the chosen memories, or constants where nothing asks them."""
    memories, nodes = block.get("memories", {}), block.get("nodes", {})
    reads = {name: node for name, node in nodes.items() if node.get("read") in chosen}
    asked = {node["read"] for node in reads.values() if "query" in node}
    kept = [name for name in memories if name in asked or name not in chosen]
    maps: dict[str, Values] = {}
    for name in kept:
        memory = memories[name]
        if name in asked:
            memory = _map(memory, place.memory(name), hidden)
        known = place.memory(name)
        maps[name] = {**memory, **_start(memory, known, place, kept, learned=name in asked)}
    answers = {
        name: _asked(node) if node["read"] in asked else _constant(node, place.width(name, node))
        for name, node in reads.items()
    }
    return {**block, "memories": maps, "nodes": {**nodes, **answers}}


def _map(memory: Values, known: Memory, hidden: float | None) -> Values:
    """Return the memory as a net that moves with the optimizer's steps."""
    kept = {field: memory[field] for field in OF_THE_MAP if field in memory}
    net = memory.get("net", "linear")
    fields = {"kind": net} if isinstance(net, str) else dict(net)
    if fields["kind"] == "attention":
        fields = {"kind": "linear"}
        kept.pop("init", None)
    if hidden is not None:
        fields = _with_hidden(fields, known.net, hidden)
    if known.value_width != known.key_width:
        fields["out"] = known.value_width
    kept["net"] = fields["kind"] if len(fields) == 1 else fields
    return {**kept, "level": "step", "objective": "task"}


def _with_hidden(fields: Values, known: Net, factor: float) -> Values:
    """Return a net whose hidden layers are wider, or narrower, by a factor."""
    deep = known.kind == "mlp" and known.layers > 1
    width = factor * (known.expansion if deep else 1)
    return {**fields, "kind": "mlp", "layers": known.layers if deep else 2, "expansion": width}


def _start(
    memory: Values, known: Memory, place: Place, kept: Collection[str], *, learned: bool
) -> Values:
    """Return how a memory starts, if not as it says: not as one that is gone, and a map as it can
    learn.

    A net of zeros would hardly learn, and one that is never trained is no learned map; nor does a
    last layer of zeros behind which a map of zeros stands, which only a write would have moved.
    """
    init = memory.get("init", "learned")
    fields = {"kind": init} if isinstance(init, str) else init
    if fields["kind"] == "from" and fields["memory"] not in kept:
        origin = place.start_of(fields["memory"])
        return {"init": alive(_spelled_out(origin, place.block), origin if learned else known)}
    if learned and fields["kind"] in ("zero", "fixed"):
        return {"init": alive({**fields, "kind": "learned"}, known)}
    return {"init": alive(fields, known)} if learned and known.init.last == 0 else {}


def alive(init: Values, known: Memory) -> Values:
    """Return a start without a last layer of zeros, for a memory that nothing writes.

    Args:
        init: the start as it is written.
        known: the memory that it is of.
    """
    if known.init.last != 0:
        return init
    return {key: value for key, value in init.items() if key != "last"}


def _spelled_out(origin: Memory, block: FlatBlock) -> Values:
    """Return the start of a memory, for another one."""
    init = origin.init
    if init.kind == "checkpoint":
        keys = init.keys or (f"{LAYER}.{block.name}.{origin.name}",)
        return {"kind": init.kind, "path": init.path, "key": keys[0] if len(keys) == 1 else [*keys]}
    if init.kind == "identity":
        return {"kind": init.kind}
    spread = {"std": init.std, "last": init.last}
    return {"kind": "learned", **{key: std for key, std in spread.items() if std is not None}}


def _asked(read: Values) -> Values:
    """Return a read of a map, which answers the same at every moment."""
    return {key: value for key, value in read.items() if key != "at"}


def _constant(read: Values, width: int) -> Values:
    """Return a learned vector in place of a state that was read as it stood.

    It starts at 1, so that products and quotients with it start as if it weren't there.
    """
    chain = {"then": read["then"]} if "then" in read else {}
    return {"op": "constant", "out": width, "init": 1, **chain}
