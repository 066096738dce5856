"""Random specs: valid by construction, tiny, and stable (normalised keys, small rates).

`specs()` draws a whole spec as plain data, ready for `yaml.safe_dump`; `BLOCKS` holds the drawing
of each kind of block, so that a test may aim at one of them: `specs(kinds=["memories"])`.
A new feature of the language that an executor runs must be drawn here.

How validity is kept. In a block with several memories each has an index. What a write takes
from a read of an earlier memory may be read at any moment, and from itself or a later one only
`before` or at the `boundary`: so no flow ever needs its own answer within one position.
How stability is kept. Every key and query has norm 1 in each head, rates are at most 0.1 of a
step that would overshoot, retentions lie within 0.8 and 1. What is normalised never starts at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from hypothesis import strategies as st
from rich_blocks import channels, events, rich, vectors
from sheets import Draw, Fields, Sheet
from task_blocks import paced, tasks

MAX_LENGTH = 13

ACTIVATIONS = ("silu", "gelu", "gelu_tanh", "relu", "sigmoid", "tanh")
LEVELS = ("token", "never", "pair", "chunk", "long")
CLOCKS = {"pair": "2 tokens", "chunk": "3 tokens", "long": "5 tokens", "three": "3 tokens"}
CLOCKS |= {"four": "4 tokens", "six": "6 tokens", "eight": "8 tokens", "twelve": "12 tokens"}


def lengths() -> st.SearchStrategy[int]:
    """Return lengths of sequences; several periods of every level fit into the longest."""
    return st.integers(1, MAX_LENGTH)


def seeds() -> st.SearchStrategy[int]:
    """Return seeds for weights and tokens."""
    return st.integers(0, 2**31 - 1)


def as_yaml(spec: Fields) -> str:
    """Return a drawn spec as the text of a file."""
    return yaml.dump(spec, Dumper=_PlainDumper, sort_keys=False)


class _PlainDumper(yaml.SafeDumper):
    """Spells out what is drawn once and used twice, as an author would."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@st.composite
def specs(draw: Draw, kinds: Sequence[str] = ()) -> Fields:
    """Return a whole model spec of one to three blocks of the given kinds (all, by default)."""
    heads = draw(st.integers(1, 2))
    width = heads * draw(st.integers(2, 4))
    count = draw(st.integers(1, 3))
    drawn = [draw(st.sampled_from(list(kinds) or list(BLOCKS))) for _ in range(count)]
    blocks: Fields = {
        f"block{index}": BLOCKS[kind](Sheet(draw, width, heads)) for index, kind in enumerate(drawn)
    }
    pace = paced(draw, blocks, set(drawn))
    stack = _stack(draw, blocks)
    model: Fields = {
        "embed": {"vocab": draw(st.integers(3, 9)), "width": width},
        "stack": stack,
        "head": {"tie": draw(st.booleans())},
        **pace,
    }
    norm = draw(st.sampled_from(["rms_norm", "layer_norm", None]))
    if norm:
        model["norm"] = norm
    levels = {**CLOCKS, "seldom": "3 steps"}
    if not model["head"]["tie"]:
        model["head"] = draw(st.sampled_from([{}, {"out": 2}, {"out": 11}]))
    return {
        "nestgraph": 1,
        "name": "random",
        "levels": levels,
        "blocks": blocks,
        "model": model,
    }


def _stack(draw: Draw, blocks: Fields) -> list[Fields]:
    """Return every block somewhere in the stack, plainly, repeated, nested, or inside another
    block.
    """
    names = list(blocks)
    form = draw(st.sampled_from(["plain", "repeat", "group", "inner"]))
    if form == "inner":
        nodes = {}
        into = "x"
        for index, name in enumerate(names):
            flow = "out" if index == len(names) - 1 else f"part{index}"
            nodes[flow] = {"block": name, "in": into}
            into = flow
        blocks["whole"] = {"nodes": nodes}
        return [{"block": "whole"}]
    items: list[Fields] = [{"block": name} for name in names]
    if form == "group":
        return [{"repeat": draw(st.integers(1, 2)), "stack": items}]
    if form == "repeat":
        items[0]["repeat"] = 2
    return items


# Memories


@dataclass
class Shell:
    """What a memory is, before it is wired: enough to read it."""

    name: str
    net: Fields
    value_width: int
    generates: bool = False  # its answers are normalised into keys, so they must not be 0

    @property
    def is_attention(self) -> bool:
        """Attention has no boundary and no rule."""
        return bool(self.net["kind"] == "attention")


def _shell(sheet: Sheet, index: int, kinds: Sequence[str]) -> Shell:
    kind = sheet.pick(*kinds)
    net: Fields = {"kind": kind}
    value = sheet.heads * sheet.draw(st.integers(1, 4)) if sheet.chance() else sheet.width
    if kind == "mlp":
        net["layers"] = sheet.pick(2, 1, 3)
        net["expansion"] = sheet.pick(1, 2, 1.5)
        net["activation"] = sheet.pick(*ACTIVATIONS)
        if sheet.chance():
            net["residual"] = True
            value = sheet.width
    return Shell(f"M{index}", net, value)


def memories(sheet: Sheet) -> Fields:
    """Return one to three memories that may make each other's keys, values and rates."""
    kinds = ("linear", "mlp", "linear", "mlp", "attention")
    shells = [_shell(sheet, i, kinds) for i in range(sheet.draw(st.integers(1, 3)))]
    return _wire(sheet, shells)


def _wire(sheet: Sheet, shells: list[Shell]) -> Fields:
    source = sheet.normed("x")
    writers = [Writer(sheet, shells, index, source) for index in range(len(shells))]
    for writer in writers:
        writer.write()
    answers = [_answer(sheet, shell, source) for shell in shells]
    for shell in shells:
        _start(sheet, shell)
    return sheet.finish(answers)


def _answer(sheet: Sheet, shell: Shell, source: str) -> str:
    """Return what the block shows of a memory: a read at any moment, perhaps normed and gated."""
    moments = ("after", "before") if shell.is_attention else ("after", "before", "boundary")
    query = sheet.add("q", op="linear", in_=source, out=sheet.width, then=[sheet.unit()])
    answer = sheet.add("y", read=shell.name, query=query, at=sheet.pick(*moments))
    if sheet.chance():
        return answer
    gate = sheet.add("gate", op="linear", in_=source, out=shell.value_width, then=["silu"])
    normal = sheet.add("z", op="rms_norm", in_=answer, heads=sheet.heads)
    return sheet.add("g", op="product", in_=[normal, gate])


def _start(sheet: Sheet, shell: Shell) -> None:
    """Draw the first state; a memory that makes keys starts away from 0 and stays there."""
    memory, net = sheet.memories[shell.name], shell.net
    if shell.is_attention:
        return
    if shell.generates and net.get("activation") == "relu" and not net.get("residual"):
        net["activation"] = "silu"  # all units of a relu can be off at once
    if not shell.generates and sheet.chance():
        memory["init"] = "zero"
    elif sheet.chance():
        memory["init"] = {"kind": "learned", "std": 0.5}


@dataclass
class Writer:
    """Draws what one memory is written with."""

    sheet: Sheet
    shells: list[Shell]
    index: int
    source: str

    @property
    def shell(self) -> Shell:
        """The memory at hand."""
        return self.shells[self.index]

    def write(self) -> None:
        """Add the memory to the sheet."""
        sheet, shell = self.sheet, self.shell
        memory: Fields = {"net": shell.net, "heads": sheet.heads, "keys": self.key()}
        sheet.memories[shell.name] = memory
        if shell.is_attention:
            memory["values"] = self.value()
            return
        memory["level"] = sheet.pick(*LEVELS)
        may_be_self = shell.value_width == sheet.width
        memory["values"] = {"self": self.key()} if may_be_self and sheet.chance() else self.value()
        kind = sheet.pick("l2", "dot")
        memory["objective"] = {"kind": kind, "scale": sheet.pick(1, 0.5, 2)}
        memory["rule"] = self.rule(kind)

    def flow(self, prefix: str, width: int, tail: list[Any], static: bool = False) -> str:
        """Return a flow of a width, made from the block's input or from what a memory answers."""
        sheet = self.sheet
        if static or sheet.pick(True, True, False):
            then = {"then": tail} if tail else {}
            return sheet.add(prefix, op="linear", in_=self.source, out=width, **then)
        answer = self.generated(prefix)
        return sheet.add(prefix, op="linear", in_=answer, out=width, then=tail or ["tanh"])

    def generated(self, prefix: str) -> str:
        """Return a read of some memory, at a moment that can't close a loop within one position."""
        sheet = self.sheet
        teacher = sheet.draw(st.integers(0, len(self.shells) - 1))
        shell = self.shells[teacher]
        shell.generates = True
        moments = ["before"] if shell.is_attention else ["boundary", "before"]
        if teacher < self.index:
            moments.append("after")
        then: list[Any] = [sheet.unit()]
        query = sheet.add("q", op="linear", in_=self.source, out=sheet.width, then=then)
        return sheet.add(f"{prefix}_of", read=shell.name, query=query, at=sheet.pick(*moments))

    def key(self) -> str:
        """Return a flow of norm 1, straight from a memory where widths allow."""
        sheet = self.sheet
        tail: list[Any] = [{"op": "conv", "width": 2}] if sheet.pick(False, False, True) else []
        if sheet.heads * 2 <= sheet.width and sheet.width // sheet.heads % 2 == 0:
            rope = {"op": "rope", "heads": sheet.heads}
            tail += sheet.pick([], [rope], [{**rope, "since": "chunk"}])
        return self.flow("k", sheet.width, [*tail, sheet.unit()])

    def value(self) -> str:
        """Return a flow as wide as the memory's answers."""
        sheet = self.sheet
        tail = sheet.pick([sheet.unit()], [], ["silu"], ["tanh"])
        return self.flow("v", self.shell.value_width, list(tail))

    def rule(self, objective: str) -> Fields:
        """Return any rule that executors run, with rates in the stable range."""
        sheet = self.sheet
        rule: Fields = {"rate": self.rate()}
        if sheet.chance():
            rule["retain"] = sheet.homing(self.retain())
            rule["retain_first"] = sheet.chance()
        if sheet.pick(False, False, True):
            rule["momentum"] = self.coefficient(
                "beta", (0.5, 0.9), ["sigmoid", {"op": "affine", "scale": 0.5}]
            )
        erase = self.erase()
        if erase is not None:
            rule["erase"] = erase
        if (objective == "l2" or erase is not None) and sheet.chance():
            rule["implicit"] = True
        return rule

    def rate(self) -> Any:
        """Return a rate of at most 0.1."""
        return self.coefficient(
            "eta", (0.1, 0.05, 0.0), ["sigmoid", {"op": "affine", "scale": 0.1}]
        )

    def retain(self) -> Any:
        """Return a retention between 0.8 and 1, or one made by `decay`."""
        if self.sheet.pick(False, False, True):
            tail = [{"op": "bias", "init": -3}, "softplus", "decay"]
            return self.flow("alpha", self.sheet.heads, tail, static=True)
        return self.coefficient("alpha", (0.9, 0.99, 1), [{"op": "bias", "init": 3}, "sigmoid"])

    def erase(self) -> Any:
        """Return none, a place, or a place with its own rate."""
        where = self.sheet.pick(None, "key", "layers", "rate")
        return {"where": "key", "rate": self.rate()} if where == "rate" else where

    def coefficient(self, prefix: str, numbers: tuple[float, ...], tail: list[Any]) -> Any:
        """Return a number, a list with one a head, or a flow that is one number or one a head."""
        sheet = self.sheet
        form = sheet.pick("number", "list", "one", "heads", "answer")
        if form == "number":
            return sheet.pick(*numbers)
        if form == "list":
            return [sheet.pick(*numbers) for _ in range(sheet.heads)]
        if form == "answer":
            pool = {"op": "mean", "heads": sheet.heads}
            return sheet.add(
                prefix, op="affine", in_=self.generated(prefix), scale=1, then=[pool, *tail]
            )
        return self.flow(prefix, 1 if form == "one" else sheet.heads, tail)


# Blocks of one idea


def hope(sheet: Sheet) -> Fields:
    """Four deep memories, read at the boundary, that make each other's keys, values and rates."""
    net = {
        "kind": "mlp",
        "layers": 2,
        "expansion": 1,
        "activation": sheet.pick("silu", "gelu"),
        "residual": True,
    }
    unit, one = sheet.unit(), {"op": "mean", "heads": sheet.heads}
    source = sheet.normed("x")
    c = sheet.add("c", op="affine", in_=source, scale=1, then=[unit])
    q = sheet.add("q", op="linear", in_=c, then=[unit])
    moment = sheet.pick("boundary", "boundary", "before")
    sheet.memories["M_k"] = {
        "net": net,
        "heads": sheet.heads,
        "level": sheet.pick("chunk", "long", "pair", "token"),
        "keys": "k",
        "values": {"self": "v"},
        "objective": "l2",
        "rule": {
            "rate": "eta",
            "retain": sheet.homing("alpha"),
            "erase": sheet.pick("key", "layers", "none"),
            "implicit": sheet.chance(),
        },
    }
    for name in ("M_v", "M_eta", "M_alpha", "M_memory"):
        sheet.memories[name] = {"like": "M_k"}
    squash: dict[str, list[Any]] = {
        "k": [unit],
        "v": [unit],
        "eta": [one, "sigmoid", {"op": "affine", "scale": 0.1}],
        "alpha": [one, {"op": "bias", "init": 5}, "sigmoid"],
    }
    for flow, then in squash.items():
        sheet.nodes[flow] = {"read": f"M_{flow}", "query": c, "at": moment, "then": then}
    at = sheet.pick("boundary", "after", "before")
    return sheet.finish([sheet.add("y", read="M_memory", query=q, at=at)])


def srwm(sheet: Sheet) -> Fields:
    """Return one matrix that asks, keys and rates itself, token by token."""
    unit = sheet.unit()
    u = sheet.add("u", op="rms_norm", in_="x", then=[{"op": "softmax", "heads": sheet.heads}])
    z = sheet.add("z", read="W", query=u, at="before")
    key = sheet.add("k", op="linear", in_=z, then=[sheet.pick(unit, "tanh"), unit])
    query = sheet.add("q", op="linear", in_=z, then=[unit])
    rate = sheet.add(
        "beta",
        op="linear",
        in_=z,
        out=sheet.pick(1, sheet.heads),
        then=["sigmoid", {"op": "affine", "scale": 0.1}],
    )
    sheet.memories["W"] = {
        "net": "linear",
        "heads": sheet.heads,
        "level": sheet.pick("token", "chunk"),
        "keys": key,
        "values": {"self": query},
        "objective": "l2",
        "rule": {"rate": rate},
    }
    return sheet.finish([z])


def attention(sheet: Sheet) -> Fields:
    """Return softmax attention, with rotary positions where heads are even."""
    u = sheet.normed("x")
    tail: Fields = {}
    if sheet.width // sheet.heads % 2 == 0 and sheet.chance():
        tail = {"then": [{"op": "rope", "heads": sheet.heads}]}
    q = sheet.add("q", op="linear", in_=u, **tail)
    k = sheet.add("k", op="linear", in_=u, **tail)
    v = sheet.add("v", op="linear", in_=u, out=sheet.heads * sheet.draw(st.integers(1, 4)))
    sheet.memories["A"] = {"net": "attention", "heads": sheet.heads, "keys": k, "values": v}
    return sheet.finish([sheet.add("y", read="A", query=q, at=sheet.pick("after", "before"))])


def group(sheet: Sheet) -> Fields:
    """Return a map that the outer optimizer moves only now and then."""
    u = sheet.normed("x")
    sheet.memories["F"] = {
        "net": sheet.pick(
            {"kind": "mlp", "expansion": 2},
            {"kind": "mlp", "expansion": 1.5, "gated": True, "bias": True},
            "linear",
        ),
        "heads": sheet.pick(1, sheet.heads),
        "level": sheet.pick("seldom", "step"),
        "objective": "task",
    }
    return sheet.finish([sheet.add("y", read="F", query=u)])


def matrix(sheet: Sheet) -> Fields:
    """Return a matrix memory with a closed form: linear attention, retention, the delta rules."""
    u = sheet.normed("x")
    key, query = (sheet.add(n, op="linear", in_=u, then=[sheet.unit()]) for n in "kq")
    rule: Fields = {"rate": sheet.pick(0.1, 0.05)}
    if sheet.chance():
        gate = [{"op": "bias", "init": 3}, sheet.pick("sigmoid", "tanh")]
        alpha = sheet.add("alpha", op="linear", in_=u, out=sheet.heads, then=gate)
        rule["retain"] = sheet.homing(alpha)
        rule["retain_first"] = sheet.chance()
    if sheet.pick(False, False, True):
        rule["erase"] = "key"
    kind = sheet.pick("dot", "l2")
    sheet.memories["S"] = {
        "net": "linear",
        "heads": sheet.heads,
        "keys": key,
        "values": sheet.add("v", op="linear", in_=u),
        "objective": kind,
        "level": sheet.pick("token", "chunk") if kind == "dot" else "token",
        "rule": rule,
        "init": sheet.pick("zero", "learned"),
    }
    moment = sheet.pick("after", "before", "boundary")
    return sheet.finish([sheet.add("y", read="S", query=query, at=moment)])


def mixer(sheet: Sheet) -> Fields:
    """Return no memory: a chain of ops, and the ops that join or cut heads."""
    u = sheet.normed("x")
    chain = sheet.draw(st.lists(st.sampled_from(_unary(sheet)), max_size=4))
    wide = sheet.add("a", op="linear", in_=u, bias=sheet.chance(), **_then(chain))
    side = sheet.add("b", op="linear", in_=u, then=[sheet.pick("sigmoid", "softplus", "exp")])
    joined = sheet.add("ab", op=sheet.pick("product", "sum", "divide", "max"), in_=[wide, side])
    shape = sheet.pick(*_reshapes(sheet))
    last = sheet.add("h", in_=joined, **shape)
    if sheet.chance():
        place = sheet.add("p", op="position", **sheet.pick({}, {"since": "chunk"}))
        slow = sheet.add("s", op="power", in_=place, exponent=-1)
        return sheet.finish([last, slow])
    if sheet.chance():
        start = {"init": sheet.pick(0.3, [0.1, -0.2]), "trained": sheet.chance()}
        same = sheet.add("m", op="constant", out=sheet.width, **start)
        return sheet.finish([last, same])
    return sheet.finish([last])


def _then(chain: list[Any]) -> Fields:
    return {"then": chain} if chain else {}


def _unary(sheet: Sheet) -> list[Any]:
    heads = sheet.heads
    return [
        *ACTIVATIONS,
        "softplus",
        {"op": "affine", "scale": 0.5, "shift": 0.1},
        {"op": "bias", "init": [-0.1, 0.2]},
        {"op": "gain", "init": 0.9},
        {"op": "softmax", "heads": heads},
        {"op": "rms_norm", "heads": heads},
        {"op": "layer_norm", "heads": heads},
        {"op": "l2_norm", "heads": heads},
        {"op": "conv", "width": 3},
    ]


def _reshapes(sheet: Sheet) -> list[Fields]:
    heads, run = sheet.heads, sheet.width // sheet.heads
    return [
        {"op": "power", "exponent": 2, "then": ["tanh"]},
        {"op": "mean", "heads": heads},
        {"op": "total", "heads": heads},
        {"op": "tile", "times": 2},
        {"op": "repeat", "heads": heads, "times": 2},
        {"op": "repeat", "heads": heads, "times": [1, 2, 1, 3][:run]},
        {"op": "slice", "heads": heads, "start": 1, "size": run - 1},
        {"op": "tanh", "then": ["softplus", {"op": "decay", "states": 2}]},
        {"op": "tanh", "then": [{"op": "mean", "heads": heads}, {"op": "gain", "heads": heads}]},
    ]


BLOCKS: dict[str, Callable[[Sheet], Fields]] = {
    "memories": memories,
    "hope": hope,
    "srwm": srwm,
    "attention": attention,
    "group": group,
    "matrix": matrix,
    "mixer": mixer,
    "rich": rich,
    "channels": channels,
    "events": events,
    "vectors": vectors,
    "tasks": tasks,
}
