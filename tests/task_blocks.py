"""Random blocks whose nets move by the model's own loss while it reads, on token clocks.

Their clocks are nested, of 2, 4 and 8 tokens or of 3, 6 and 12, so that `gradient: full` and a
horizon always fit; where blocks of both kinds meet, there is neither. Rates are at most 0.05 of a
sum of a few losses, which moves weights of size 1 by little, and 0.02 of what queries find.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from sheets import Draw, Fields, Sheet

NESTED = (("pair", "four", "eight"), ("three", "six", "twelve"))
TWICE = {"tasks", "mixer", "attention", "group"}
"""Kinds of blocks that can be differentiated twice, so that `gradient: full` may stand beside."""


def tasks(sheet: Sheet) -> Fields:
    """Return one to three such nets in a chain or side by side; some start as another, and
    restart.
    """
    u = sheet.normed("x")
    count = sheet.draw(st.integers(1, 3))
    clocks = sheet.pick(*NESTED)
    chain, answers = sheet.chance(), []
    for index in range(count):
        net = _net(sheet)
        sheet.memories[f"T{index}"] = {
            "net": net,
            "heads": sheet.heads,
            "level": sheet.pick(*clocks, "never"),
            "objective": "task",
            "rule": _rule(sheet, u),
            "gradient": sheet.pick("first_order", "none"),
            "init": sheet.pick("learned", {"kind": "learned", "std": 0.5}),
        }
        if sheet.chance():
            _nest(sheet, f"T{index}", clocks)
        source = answers[-1] if chain and answers else u
        query = sheet.add("q", op="linear", in_=source, out=sheet.width, then=[sheet.unit()])
        answers.append(sheet.add("y", read=f"T{index}", query=query))
    return sheet.finish(answers[-1:] if chain else answers)


def paced(draw: Draw, blocks: Fields, kinds: set[str]) -> Fields:
    """Draw what blocks must agree on: whole gradients, or a horizon; fields of the model."""
    clocks = {clock for family in NESTED for clock in family} | {"never"}
    fast = [
        memory
        for block in blocks.values()
        for memory in block.get("memories", {}).values()
        if memory.get("objective") == "task" and memory.get("level") in clocks
    ]
    if not fast:
        return {}
    known = {clock for memory in fast for clock in (memory["level"], memory.get("reset", "never"))}
    used = [clocks for clocks in NESTED if known & set(clocks)]
    if len(used) > 1:
        return draw(st.sampled_from([{}, {"horizon": "never"}]))  # type: ignore[no-any-return]
    if kinds <= TWICE and draw(st.booleans()):
        for memory in fast:
            memory["gradient"] = draw(st.sampled_from(["full", "full", "none"]))
        return {}
    fastest = used[0][0] if used else "pair"
    return draw(st.sampled_from([{}, {"horizon": fastest}, {"horizon": "never"}]))  # type: ignore[no-any-return]


def _net(sheet: Sheet) -> Fields:
    if sheet.pick(False, False, True):
        return {"kind": "linear"}
    net: Fields = {
        "kind": "mlp",
        "layers": sheet.pick(2, 1),
        "expansion": sheet.pick(1, 2),
        "activation": sheet.pick("silu", "gelu", "tanh"),
    }
    more: dict[str, Any] = sheet.pick(
        {}, {"residual": True}, {"bias": True}, {"norm": "rms_norm"}, {"norm": "layer_norm"}
    )
    if net["layers"] > 1 and sheet.chance():
        net["gated"] = True
    return {**net, **more}


def _rule(sheet: Sheet, source: str) -> Fields:
    """Return a rate, and perhaps each of the other coefficients; numbers, lists or flows."""
    rule: Fields = {"rate": _coefficient(sheet, source, (0.05, 0.02, 0.0), 0.05)}
    if sheet.chance():
        rule["momentum"] = _coefficient(sheet, source, (0.5, 0.9), 0.9)
    if sheet.chance():
        rule["retain"] = _coefficient(sheet, source, (0.9, 0.99), 1.0)
    if sheet.chance():
        rule["step"] = sheet.pick(0.5, 2.0)
    if sheet.chance():
        rule["reduce"] = "mean"
    if sheet.pick(False, False, False, True):
        rule["direction"] = {"kind": "newton_schulz", "steps": 2}
        rule["step"] = 0.05
    if sheet.chance():
        where = sheet.pick("key", "layers")
        rule["erase"] = where
        if sheet.chance():
            rate = _coefficient(sheet, source, (0.02, 0.01), 0.02)
            rule["erase"] = {"where": where, "rate": rate}
    return rule


def _coefficient(sheet: Sheet, source: str, numbers: tuple[float, ...], most: float) -> Any:
    form = sheet.pick("number", "list", "one", "heads")
    if form == "number":
        return sheet.pick(*numbers)
    if form == "list":
        return [sheet.pick(*numbers) for _ in range(sheet.heads)]
    tail: list[Any] = ["sigmoid", {"op": "affine", "scale": most}]
    out = 1 if form == "one" else sheet.heads
    return sheet.add("c", op="linear", in_=source, out=out, then=tail)


def _nest(sheet: Sheet, name: str, clocks: tuple[str, ...]) -> None:
    """Let it start again at the slower clock, as it began or as another is by then."""
    memory = sheet.memories[name]
    memory["level"], memory["reset"] = clocks[:2]
    if sheet.chance():
        sheet.memories[f"{name}_start"] = {
            **{k: v for k, v in memory.items() if k != "reset"},
            "level": clocks[1],
            "rule": {"rate": 0.03},
        }
        memory["init"] = {"kind": "from", "memory": f"{name}_start"}
