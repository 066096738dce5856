"""Random optimizers: valid by construction, for parameters of any shape, and stable.

`optimizers()` draws a whole spec as plain data, ready for `strategies.as_yaml`. A new feature of
optimizers that an executor runs must be drawn here.

How validity is kept. Flows are drawn one after the other, each from those that are there, and each
knows its shape in rows and channels. A memory may ask for its own state, and for the parameter,
`before` or at the `boundary`. Whatever nobody took by the end becomes a part of the step.
How stability is kept. What nets store has rows of norm 1, rates are small, roots are taken of
squares, and what divides is at least `FLOOR`. The step of a block that looks at its own parameter
is bounded. No weights cancel: signs and norms of rounding errors would differ by right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from sheets import Draw, Fields

FLOOR = 1e-2
ACTIVATIONS = ("silu", "gelu", "gelu_tanh", "relu", "sigmoid", "tanh", "softplus")
CLOCKS = {"two": "2 steps", "three": "3 steps", "four": "4 steps"}
LEVELS = ("step", *CLOCKS)

Shape = tuple[str, str]
CELLS: Shape = ("rows", "channels")
TURNED: Shape = ("channels", "rows")
SPECS: dict[str, Fields] = {
    "adamw": {"beta1": 0.5, "vector_decay": 0},
    "sgd": {"decay": 0.1},
    "lion": {},
    "nesterov": {"beta": 0.7},
}


@st.composite
def optimizers(draw: Draw) -> Fields:
    """Return a whole optimizer of one to three blocks, each for other parameters."""
    blocks: Fields = {}
    groups: list[Fields] = []
    for kind, takes in (
        ("fed", ("linear_maps",)),
        ("matrices", ("hidden_matrices", "matrices", {"names": "w*"})),
    ):
        if draw(st.booleans()):
            blocks[kind] = Sheet(draw, matrices=True, fed=kind == "fed").block()
            groups.append({"for": draw(st.sampled_from(takes)), "block": kind})
    if draw(st.booleans()):
        name = draw(st.sampled_from(sorted(SPECS)))
        kind = draw(st.sampled_from(["embeddings", "head", "vectors"]))
        groups.append({"for": kind, "spec": name, "with": SPECS[name]})
    blocks["cells"] = Sheet(draw).block()
    groups.append({"for": draw(st.sampled_from(["rest", "all"])), "block": "cells"})
    for group in groups:
        group["lr"] = draw(st.sampled_from([1, 0.5, 3]))
        if "vars" in blocks.get(group.get("block"), {}) and draw(st.booleans()):
            group["with"] = {"pace": 0.2}
    return {
        "nestgraph": 1,
        "name": "random",
        "levels": CLOCKS,
        "blocks": {"inner": INNER, **blocks} if _asks_inner(blocks) else blocks,
        "optimizer": groups,
    }


INNER: Fields = {
    "inputs": ["flow"],
    "vars": {"keep": 0.5},
    "memories": {
        "m": {
            "net": "vector",
            "level": "step",
            "values": "flow",
            "objective": "l2",
            "rule": {"rate": "1 - $keep"},
            "init": "zero",
        }
    },
    "nodes": {"out": {"read": "m"}},
}


def _asks_inner(blocks: Fields) -> bool:
    return any("block" in node for one in blocks.values() for node in one["nodes"].values())


@dataclass
class Sheet:
    """One block while it is drawn.

    Attributes:
        draw: of Hypothesis.
        matrices: whether it is for matrices alone.
        fed: whether its parameter is keyed by what its layer is fed.
        nodes: of the block.
        memories: of the block.
        flows: matrices by name, with their shapes.
        numbers: flows that are numbers above 0.
        squares: flows without negative numbers.
        looks: whether the parameter's own value enters its step.
    """

    draw: Draw
    matrices: bool = False
    fed: bool = False
    nodes: Fields = field(default_factory=dict)
    memories: Fields = field(default_factory=dict)
    flows: dict[str, Shape] = field(default_factory=lambda: {"grad": CELLS})
    numbers: list[str] = field(default_factory=lambda: ["lr"])
    squares: set[str] = field(default_factory=set)
    looks: bool = False

    def pick(self, *choices: Any) -> Any:
        """Return one of the choices; the first is the simplest."""
        return self.draw(st.sampled_from(choices))

    def chance(self) -> bool:
        """Return a coin."""
        return bool(self.draw(st.booleans()))

    def block(self) -> Fields:
        """Return the whole block."""
        trails = self.chance() and self.chance()
        if self.chance():
            self._flow(CELLS, read="param", at=self.pick("before", "boundary"))
            self.looks = True
        if trails:
            self._flow(CELLS, read="late", at=self.pick("before", "boundary"))
            self.looks = True
        for _ in range(self.draw(st.integers(1, 5))):
            self.pick(*self._steps())()
        self._param()
        if trails:
            self.nodes["moved"] = {"read": "param"}
            self._remember("late", "vector", None, "moved")
        inputs = ["grad", "lr", *(["input"] if self.fed else [])]
        block: Fields = {"inputs": [name for name in inputs if self._is_used(name)]}
        text = repr((self.nodes, self.memories))
        if "$pace" in text:
            block["vars"] = {"pace": 0.1}
        return {**block, "memories": self.memories, "nodes": self.nodes}

    def _steps(self) -> list[Any]:
        general = [self._vector, self._cellwise, self._pooled, self._number, self._mixed]
        general += [self._several, self._root, self._normed, self._inner]
        return general + (
            [self._net, self._net, self._turned, self._whole] if self.matrices else []
        )

    # Nodes.

    def _node(self, **fields: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes[name] = {("in" if k == "in_" else k): v for k, v in fields.items()}
        return name

    def _flow(self, shape: Shape, **fields: Any) -> str:
        name = self._node(**fields)
        self.flows[name] = shape
        return name

    def _matrix(self) -> tuple[str, Shape]:
        name = self.pick(*self.flows)
        return name, self.flows[name]

    def _cellwise(self) -> None:
        """Add ops that leave shapes alone, sometimes in a chain."""
        name, shape = self._matrix()
        ops: list[Any] = [
            {"op": "affine", "scale": self.pick(0.7, -0.3), "shift": self.pick(0, 0.11)},
            {"op": "power", "exponent": self.pick(2, 3, 1)},
            {"op": "debias", "decay": self.pick(0.9, 0.5)},
            *ACTIVATIONS,
        ]
        first = self.pick(*ops)
        fields = {"op": first} if isinstance(first, str) else dict(first)
        if self.chance():
            fields["then"] = [self.pick("tanh", {"op": "debias", "decay": 0.8}, "sigmoid")]
            if self.chance():
                fields["then"] += ["tanh", "exp"]
        made = self._flow(shape, in_=name, **fields)
        squares = name in self.squares or fields.get("exponent") == 2
        if squares and fields["op"] in ("power", "debias") and "then" not in fields:
            self.squares.add(made)

    def _normed(self) -> None:
        name, shape = self._matrix()
        op = self.pick("l2_norm", "clip", "softmax", "sign", "all")
        fields: Fields = {"op": op}
        if op == "clip":
            fields["norm"] = self.pick(1, 0.3)
        if op == "all":
            fields = {"op": "l2_norm", "over": "all", "mean": self.chance()}
        self._flow(shape, in_=name, **fields)

    def _root(self) -> None:
        """Add a flow over the root of squares, as adaptive optimizers have it."""
        name, shape = self._matrix()
        squares = [one for one in self.squares if self.flows[one] == shape]
        below = (
            self.pick(*squares) if squares else self._flow(shape, op="power", in_=name, exponent=2)
        )
        self.squares.add(below)
        root = [{"op": "power", "exponent": 0.5}, {"op": "affine", "shift": FLOOR}]
        under = self._node(op="affine", in_=below, then=root)
        if self.chance():
            inverse = self._node(op="power", in_=under, exponent=-1)
            self._flow(shape, op="product", in_=[name, inverse])
        else:
            above = self.pick(name, self.pick(*self.numbers))
            self._flow(shape, op="divide", in_=[above, under])

    def _several(self) -> None:
        name, shape = self._matrix()
        alike = [one for one, own in self.flows.items() if own == shape]
        more = [self.pick(*alike) for _ in range(self.draw(st.integers(1, 2)))]
        op = self.pick("sum", "product", "max")
        fields: Fields = {"op": op, "in": [name, *more]}
        if op == "sum" and self.chance():
            fields["weights"] = [1.0, 0.5, 0.25][: 1 + len(more)]
        if op == "product":
            fields["in"] = fields["in"][:2]
        self._flow(shape, **fields)

    def _mixed(self) -> None:
        """Add a matrix and a number."""
        name, shape = self._matrix()
        number = self.pick(*self.numbers)
        op = self.pick("product", "sum", "divide", "max")
        self._flow(shape, op=op, in_=[name, number])

    def _pooled(self) -> None:
        name, shape = self._matrix()
        how = {"how": self.pick("sum", "mean")} if self.chance() else {"how": "sum"}
        made = self._flow(shape, op="pool", in_=name, level=self.pick(*CLOCKS), **how)
        if name in self.squares:
            self.squares.add(made)

    def _inner(self) -> None:
        name, shape = self._matrix()
        self._flow(shape, block="inner", in_=name, **{"with": {"keep": 0.3}})

    def _number(self) -> None:
        """Add a number above 0 made of the learning rate."""
        one = self.pick(*self.numbers)
        other = self.pick(*self.numbers)
        fields = self.pick(
            {"op": "affine", "in": one, "scale": 0.5, "shift": 0.3},
            {"op": "sum", "in": [one, other], "weights": [1, 0.5]},
            {"op": "product", "in": [one, other]},
            {"op": "divide", "in": [one, other]},
            {"op": "max", "in": [one, other]},
            {"op": "power", "in": one, "exponent": 0.5},
            {"op": "debias", "in": one, "decay": 0.5},
            {"op": "sign", "in": one},
        )
        if self.chance():
            fields["then"] = [self.pick("sigmoid", "softplus", "tanh", "exp", "silu")]
        fields["then"] = [*fields.get("then", []), "sigmoid"]
        self.numbers.append(self._node(**fields))

    def _turned(self) -> None:
        name, (rows, channels) = self._matrix()
        self._flow((channels, rows), op="transpose", in_=name)

    def _whole(self) -> None:
        """Add ops on whole matrices."""
        name, shape = self._matrix()
        kind = self.pick("newton_schulz", "matmul", "matrix_power", "identity")
        if kind == "newton_schulz":
            steps = {"steps": self.pick(1, 3, 5), "precision": "float64"}
            self._flow(shape, op=kind, in_=name, shape_factor=self.chance(), **steps)
            return
        if kind == "identity":
            self._flow((shape[0], shape[0]), op=kind, in_=name)
            return
        unit = self._node(op="l2_norm", in_=name, over="all")
        turned = self._node(op="transpose", in_=unit)
        square = (shape[0], shape[0])
        if kind == "matmul":
            self._flow(square, op=kind, in_=[unit, turned])
            return
        gram = self._node(op="matmul", in_=[unit, turned])
        eye = self._node(op="identity", in_=name)
        regular = self._node(op="sum", in_=[gram, eye], weights=[1, 0.3])
        exponent = self.pick(-0.5, -0.25, 0.5)
        self._flow(square, op=kind, in_=regular, exponent=exponent, floor=1e-3)

    # Memories.

    def _vector(self) -> None:
        """Add a memory of one flow, perhaps with what it held before."""
        value, shape = self._matrix()
        name = f"m{len(self.memories)}"
        itself = self.chance() and self.chance()
        if itself:
            own = self._node(read=name, at=self.pick("before", "boundary"))
            value = self._node(op="sum", in_=[value, own], weights=[1, 0.3])
        self._remember(name, "vector", None, value)
        read = self._flow(shape, read=name, at=self.pick("after", "before", "boundary"))
        plain = {"rate", "retain"} >= set(self.memories[name]["rule"])
        if value in self.squares and plain and self.memories[name]["init"] == "zero":
            self.squares |= {read} if self.memories[name]["objective"] == "dot" else set()

    def _net(self) -> None:
        """Add a `linear` or `mlp` memory of rows."""
        key, keys = self._matrix()
        alike = [one for one, own in self.flows.items() if own[0] == keys[0]]
        value = self.pick(*alike)
        values = self.flows[value]
        key, value = (self._node(op="l2_norm", in_=one) for one in (key, value))
        name = f"m{len(self.memories)}"
        net: Any = "linear"
        if self.chance():
            net = {
                "kind": "mlp",
                "layers": self.pick(2, 3),
                "expansion": self.pick(1, 0.5, 2),
                "activation": self.pick(*ACTIVATIONS[:-1]),
                "residual": keys[1] == values[1] and self.chance(),
            }
        self._remember(name, net, key, value)
        if net == "linear" and self.chance():
            self._flow((values[1], keys[1]), read=name, at=self.pick("after", "before", "boundary"))
            return
        asks = [one for one, own in self.flows.items() if own[1] == keys[1]]
        query = self.pick(*asks)
        shape = (self.flows[query][0], values[1])
        self._flow(shape, read=name, query=query, at=self.pick("after", "before", "boundary"))

    def _remember(self, name: str, net: Any, keys: str | None, values: str) -> None:
        kinds: list[Any] = ["dot", "l2", {"kind": "huber", "delta": 0.3}, {"kind": "lp", "p": 1.5}]
        kinds += [{"kind": "l2", "scale": 0.5}, {"kind": "dot", "scale": 2}]
        memory: Fields = {
            "net": net,
            "level": self.pick(*LEVELS, "never"),
            "values": values,
            "objective": self.pick(*kinds),
            "rule": self._rule(net),
            "init": self.pick("zero", {"kind": "fixed", "std": 0.3}, "identity"),
        }
        if keys is not None:
            memory["keys"] = keys
        if isinstance(net, dict) and memory["init"] == "zero":
            memory["init"] = "fixed"
        if keys is not None and memory["init"] == "identity" and not _is_dot(memory):
            # Keys that are their values are answered right but for rounding, whose root or whose
            # direction is as large as any other.
            memory["init"] = "fixed"
        self.memories[name] = memory

    def _rule(self, net: Any) -> Fields:
        rule: Fields = {"rate": self._coefficient(0.05, "$pace")}
        if self.chance():
            rule["retain"] = self._coefficient(0.9, 0.5)
        if self.chance():
            rule["momentum"] = self.pick(0.5, 0.9) if net == "vector" else 0.3
        if self.chance():
            rule["step"] = self._coefficient(0.5, 0.7)
        if self.matrices and self.chance():
            rule["direction"] = {"kind": "newton_schulz", "steps": self.pick(1, 5)}
        if net == "linear" and self.chance():
            rule["erase"] = self.pick("key", "layers", {"where": "key", "rate": 0.05})
        return rule

    def _coefficient(self, *numbers: Any) -> Any:
        made = [one for one in self.numbers if one != "lr"]
        if not made or self.chance():
            return self.pick(*numbers)
        return self._node(op="affine", in_=self.pick(*made), scale=0.1)

    # The parameter.

    def _param(self) -> None:
        parts = [self._as_cells(name) for name in list(self.flows) if not self._is_used(name)]
        step = self._node(op="sum", in_=parts) if len(parts) > 1 else parts[0]
        spare = [one for one in self.numbers if one != "lr" and not self._is_used(one)]
        if spare:
            step = self._node(op="product", in_=[step, *spare])
        if self.looks or self.chance():
            step = self._node(**self.pick(*self._bounds()), in_=step)
        rule: Fields = {"rate": 0.01 if self.chance() else self._coefficient("lr")}
        if self.chance():
            kept = {"op": "affine", "in_": "lr", "scale": -0.5, "shift": 1}
            rule["retain"] = 0.9 if self.chance() else self._node(**kept)
        if self.chance():
            rule["momentum"] = self.pick(0.5, 0.9)
        if self.chance():
            rule["step"] = self.pick(0.5, 2)
        if self.matrices and self.chance():
            rule["direction"] = {"kind": "newton_schulz", "steps": self.pick(1, 5)}
        memory: Fields = {
            "net": "linear" if self.fed else "vector",
            "level": self.pick(*LEVELS),
            "objective": {"kind": "task", "through": step},
            "rule": rule,
            "init": "given",
        }
        if step == "grad" and self.chance():
            memory["objective"] = "task"
        if self.fed:
            memory["keys"] = "input"
            rule["erase"] = self.pick("key", {"where": "layers", "rate": 0.05})
            if rule["erase"] == "key":
                rule["implicit"] = self.chance()
        self.memories["param"] = memory

    def _bounds(self) -> list[Fields]:
        bounds: list[Fields] = [
            {"op": "l2_norm", "over": "all", "mean": True},
            {"op": "clip", "norm": 1},
            {"op": "tanh"},
            {"op": "affine", "scale": 1.0, "then": ["l2_norm", {"op": "affine", "scale": 0.3}]},
        ]
        if self.matrices:
            bounds.append({"op": "newton_schulz", "precision": "float64", "shape_factor": True})
        return bounds

    def _as_cells(self, name: str) -> str:
        """Return a flow brought to the shape of the parameter."""
        shape = self.flows[name]
        if shape == CELLS:
            return name
        if shape == TURNED:
            return self._node(op="transpose", in_=name)
        rows = shape == ("rows", "rows")
        return self._node(op="matmul", in_=[name, "grad"] if rows else ["grad", name])

    def _is_used(self, name: str) -> bool:
        fields = (*self.nodes.values(), *self.memories.values())
        return any(name in _words(value) for one in fields for value in one.values())


def _words(value: Any) -> set[str]:
    """Return every text in a field."""
    if isinstance(value, dict):
        return {word for one in value.values() for word in _words(one)}
    if isinstance(value, list):
        return {word for one in value for word in _words(one)}
    return {value} if isinstance(value, str) else set()


def _is_dot(memory: Fields) -> bool:
    """Return whether a memory learns whatever it answers."""
    objective = memory["objective"]
    return "dot" in (objective, objective["kind"] if isinstance(objective, dict) else None)
