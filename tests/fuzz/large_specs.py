"""Specs of few lines that mean much: a thousand layers, wide blocks, deep ones, long rows."""

from __future__ import annotations

from collections.abc import Sequence

HEAD = "nestgraph: 1\nname: large\n"
FAST = (
    "{vars: {r: 0.1}, memories: {m: {keys: k, values: v, rule: {rate: $r}}}, nodes: {"
    "k: {op: linear, in: x, out: 8}, v: {op: linear, in: x, out: 8}, "
    "y: {read: m, query: x}, out: {op: sum, in: [x, y]}}}"
)
SLOW = (
    "{vars: {e: 2}, memories: {w: {net: {kind: mlp, expansion: $e}, level: step, objective: task}},"
    " nodes: {y: {read: w, query: x}, out: {op: sum, in: [x, y]}}}"
)


def _spec(blocks: Sequence[tuple[str, str]], stack: Sequence[str]) -> str:
    lines = "".join(f"  {name}: {block}\n" for name, block in blocks)
    model = f"{{embed: {{vocab: 64, width: 8}}, stack: [{', '.join(stack)}], head: {{tie: true}}}}"
    return f"{HEAD}blocks:\n{lines}model: {model}\ntraining: {{context: 16, batch: 2}}\n"


def _row(count: int) -> str:
    nodes = "".join(
        f"n{at}: {{op: linear, in: {f'n{at - 1}' if at else 'x'}, out: 8}}, " for at in range(count)
    )
    return f"{{nodes: {{{nodes}out: {{op: sum, in: [x, n{count - 1}]}}}}}}"


def _web(count: int) -> str:
    """Return a graph in which each node is fed by the six before it, and the last by all."""
    nodes = ""
    for at in range(count):
        fed = ", ".join(("x", *(f"n{one}" for one in range(max(0, at - 6), at))))
        nodes += f"n{at}: {{op: sum, in: [{fed}]}}, "
    flows = ", ".join(f"n{at}" for at in range(count))
    return f"{{nodes: {{{nodes}out: {{op: sum, in: [{flows}]}}}}}}"


def _memories(count: int, *, taught: bool) -> str:
    """Return memories beside each other, or each taught by what the one before it answers."""
    memories, reads = "", ""
    for at in range(count):
        values = f"r{at - 1}" if taught and at else "v"
        rate = f"{0.0001 * (at + 1):.4f}"
        memories += f"m{at}: {{keys: k, values: {values}, rule: {{rate: {rate}}}}}, "
        reads += f"r{at}: {{read: m{at}, query: k}}, "
    flows = "k: {op: linear, in: x, out: 8}, v: {op: linear, in: x, out: 8}"
    out = ", ".join(f"r{at}" for at in range(count))
    return f"{{memories: {{{memories}}}, nodes: {{{flows}, {reads}out: {{op: sum, in: [{out}]}}}}}}"


def _nested(depth: int, twice: bool) -> list[tuple[str, str]]:
    blocks = [("d0", FAST)]
    for at in range(1, depth):
        inner = f"block: d{at - 1}"
        out = f"{{{inner}, in: y}}" if twice else "{op: sum, in: [x, y]}"
        blocks.append((f"d{at}", f"{{nodes: {{y: {{{inner}, in: x}}, out: {out}}}}}"))
    return blocks


def _differing(block: str, var: str, values: Sequence[object]) -> str:
    return _spec([("a", block)], [f"{{block: a, with: {{{var}: {value}}}}}" for value in values])


LARGE = {
    "equal layers": _spec([("a", FAST)], ["{block: a, repeat: 1000}"]),
    "an alternating stack": _spec([("a", FAST), ("b", SLOW)], ["{block: a}", "{block: b}"] * 500),
    "differing slow layers": _differing(SLOW, "e", range(1, 1001)),
    "differing fast layers": _differing(FAST, "r", [f"{at / 10_000:.4f}" for at in range(1, 1001)]),
    "two hundred differing layers": _differing(SLOW, "e", range(1, 201)),
    "wide blocks": _spec(
        [(f"w{at}", _row(100)) for at in range(10)], [f"{{block: w{at}}}" for at in range(10)]
    ),
    "webs": _spec(
        [(f"w{at}", _web(100)) for at in range(10)], [f"{{block: w{at}}}" for at in range(10)]
    ),
    "one web": _spec([("w", _web(100))], ["{block: w}"]),
    "deep blocks": _spec(_nested(30, twice=False), ["{block: d29, repeat: 33}"]),
    "doubling blocks": _spec(_nested(10, twice=True), ["{block: d9}"]),
    "a long then": _spec(
        [("a", f"{{nodes: {{out: {{op: linear, in: x, out: 8, then: [{'silu, ' * 1000}]}}}}}}")],
        ["{block: a}"],
    ),
    "a thousand memories": _spec([("a", _memories(1000, taught=False))], ["{block: a}"]),
    "memories in a row": _spec([("a", _memories(100, taught=True))], ["{block: a, repeat: 10}"]),
}
"""Texts by what they are of."""
