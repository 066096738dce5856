"""Random blocks whose memories take every objective, rule, coefficient, start and reset.

Stability is kept as in `strategies`: unit keys, rates of at most 0.1, retentions near 1.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from sheets import Fields, Sheet

LEVELS = ("chunk", "token", "pair", "never")


def rich(sheet: Sheet) -> Fields:
    """Return one memory with any axes, and sometimes a twin that starts again as it is."""
    u = sheet.normed("x")
    linear = sheet.chance()
    count = sheet.pick(1, 1, 2)
    out = sheet.heads * sheet.draw(st.integers(1, 3)) if sheet.chance() else sheet.width
    net = {"kind": "linear"} if linear else _mlp(sheet)
    out = sheet.width if net.get("residual") else out
    keys = [_unit_flow(sheet, u, "k") for _ in range(count)]
    values: Any
    if count == 1 and sheet.pick(False, False, True):
        net = {**net, "out": out}
        values = {"self": _unit_flow(sheet, u, "w")}
    else:
        values = [sheet.add("v", op="linear", in_=u, out=out) for _ in range(count)]
    objective = _objective(sheet, u)
    memory: Fields = {
        "net": net,
        "heads": sheet.heads,
        "level": sheet.pick(*LEVELS),
        "keys": keys if count > 1 else keys[0],
        "values": values if isinstance(values, dict) or count > 1 else values[0],
        "objective": objective,
        "rule": _rule(sheet, u, linear, out, objective["kind"]),
        "init": sheet.pick("learned", {"kind": "fixed", "std": 0.3}, "identity", "zero"),
        "gradient": sheet.pick("full", "full", "first_order", "none"),
    }
    if "direction" in memory["rule"]:
        # Orthogonalising a gradient that is nearly zero is not a well-posed question.
        memory["init"] = {"kind": "learned", "std": 0.5}
        memory["rule"].pop("mirror", None)
        net.pop("norm", None)
    if sheet.pick(False, False, True):
        memory["reset"] = sheet.pick("long", "three") if memory["level"] != "never" else "long"
    sheet.memories["M"] = memory
    answers = [_ask(sheet, u, "M", linear)]
    if sheet.pick(False, False, True):
        twin = {**memory, "init": {"kind": "from", "memory": "M"}}
        if "reset" in memory:  # which no start stands still under
            twin["rule"] = {**memory["rule"], "retain": _towards_zero(memory["rule"])}
        sheet.memories["N"] = twin
        answers.append(_ask(sheet, u, "N", False))
    return sheet.finish(answers)


def _towards_zero(rule: Fields) -> Any:
    retain = rule.get("retain", 1)
    return {**retain, "towards": "zero"} if isinstance(retain, dict) else retain


def _unit_flow(sheet: Sheet, source: str, prefix: str) -> str:
    return sheet.add(prefix, op="linear", in_=source, out=sheet.width, then=[sheet.unit()])


def _mlp(sheet: Sheet) -> Fields:
    return {
        "kind": "mlp",
        "layers": sheet.pick(2, 1, 3),
        "expansion": sheet.pick(1, 1.5),
        "activation": sheet.pick("silu", "tanh", "gelu_tanh"),
        "bias": sheet.chance(),
        "norm": sheet.pick("none", "layer_norm", "rms_norm"),
        "residual": sheet.chance(),
    }


def _objective(sheet: Sheet, source: str) -> Fields:
    kind = sheet.pick("l2", "dot", "huber", "lp")
    found: Fields = {"kind": kind, "scale": sheet.pick(1, 0.5)}
    if sheet.pick(False, True):
        found["window"] = sheet.pick(1, 2, 4)
    if kind == "huber":
        found |= {"delta": 0.5, "switch": sheet.pick("channel", "norm")}
        if sheet.chance():
            width = sheet.pick(1, sheet.heads)
            gate = {"then": ["sigmoid"]}
            found["delta"] = sheet.add("delta", op="linear", in_=source, out=width, **gate)
    if kind == "lp":
        found["p"] = sheet.pick(3, 2, 2.5)
    return found


def _rule(sheet: Sheet, source: str, linear: bool, out: int, objective: str) -> Fields:
    def coefficient(prefix: str, number: float, tail: list[Any]) -> Any:
        form = sheet.pick("number", "head", "per") if linear else sheet.pick("number", "head")
        if form == "number":
            return number
        run = sheet.width // sheet.heads
        widths = {"value": out, "key": sheet.width, "cell": out * run}
        per = sheet.pick(*widths) if form == "per" else "head"
        width = widths.get(per, sheet.heads)
        flow = sheet.add(prefix, op="linear", in_=source, out=width, then=tail)
        return {"flow": flow, "per": per} if form == "per" else flow

    small = ["sigmoid", {"op": "affine", "scale": 0.1}]
    near_one = [{"op": "bias", "init": 3}, "sigmoid"]
    rule: Fields = {"rate": coefficient("eta", 0.1, small)}
    if sheet.chance():
        retain = sheet.homing(coefficient("alpha", 0.9, near_one))
        rule |= {"retain": retain, "retain_first": sheet.chance()}
    if sheet.chance():
        rule["momentum"] = coefficient("beta", 0.5, ["sigmoid", {"op": "affine", "scale": 0.5}])
    step = sheet.pick("none", "any", "newton_schulz")
    if step == "any":
        rule["step"] = coefficient("gamma", 0.3, ["sigmoid"])
    rule |= _places(sheet, source, linear, coefficient)
    scalar = not isinstance(rule["rate"], dict)
    if scalar and (objective != "dot" or "erase" in rule) and sheet.pick(False, False, True):
        rule["implicit"] = True
    if step == "newton_schulz":
        rule["direction"] = {"kind": "newton_schulz", "steps": 2}
        rule["step"] = 0.05
    if sheet.pick(False, False, True):
        rule["mirror"] = sheet.pick("softmax", {"kind": "lq", "q": 4})
    if sheet.chance():
        rule["reduce"] = "mean"
    if sheet.pick(False, False, True):
        width = sheet.pick(1, sheet.heads)
        rule["reduce"] = sheet.add("share", op="linear", in_=source, out=width, then=["sigmoid"])
    return rule


def _places(sheet: Sheet, source: str, linear: bool, coefficient: Any) -> Fields:
    where = sheet.pick("none", "key", "layers", "own")
    if where == "none":
        return {}
    if where != "own" or not linear:
        return {"erase": "key" if where == "own" else where}
    tail = ["sigmoid", {"op": "affine", "scale": 0.2}]
    erase: Fields = {"where": "key", "rate": coefficient("rho", 0.1, tail)}
    if sheet.chance():
        erase["key"] = _unit_flow(sheet, source, "e")
    return {"erase": erase}


def _ask(sheet: Sheet, source: str, memory: str, linear: bool) -> str:
    moment = sheet.pick("after", "before", "boundary")
    if linear and sheet.pick(False, False, False, True):
        return sheet.add("y", read=memory, at=moment)
    query = _unit_flow(sheet, source, "q")
    return sheet.add("y", read=memory, query=query, at=moment)


def channels(sheet: Sheet) -> Fields:
    """Return a matrix memory with a closed form whose coefficients differ by key, value or cell."""
    u = sheet.normed("x")
    run, count = sheet.width // sheet.heads, sheet.pick(1, 1, 2)
    out = sheet.heads * sheet.draw(st.integers(1, 3)) if sheet.chance() else sheet.width
    widths = {"head": sheet.heads, "key": sheet.width, "value": out, "cell": out * run}

    def rate(prefix: str, per: str, tail: list[Any]) -> Fields:
        flow = sheet.add(prefix, op="linear", in_=u, out=widths[per], then=tail)
        return {"flow": flow, "per": per}

    small = ["sigmoid", {"op": "affine", "scale": 0.1}]
    keep = sheet.pick("key", "value", "cell", "head")
    kind = sheet.pick("dot", "l2") if keep != "cell" else "dot"
    near_one: list[Any] = [{"op": "bias", "init": 3}, sheet.pick("sigmoid", "tanh")]
    if keep == "cell" and sheet.chance():
        steps = sheet.add("steps", op="linear", in_=u, out=out, then=["softplus"])
        retain: Any = {"flow": sheet.add("alpha", op="decay", in_=steps, states=run), "per": "cell"}
    else:
        retain = rate("alpha", keep, near_one)
    per = sheet.pick("head", "value") if keep == "cell" else sheet.pick("head", "value", "key")
    rule: Fields = {"rate": rate("eta", per, small), "retain": sheet.homing(retain)}
    rule["retain_first"] = sheet.chance()
    if keep != "cell" and sheet.chance():
        erase: Fields = {"where": "key"}
        if sheet.chance():
            erase["key"] = _unit_flow(sheet, u, "e")
        if sheet.chance():
            erase["rate"] = rate("rho", sheet.pick("head", "value", "key"), small)
        rule["erase"] = erase
    keys = [_unit_flow(sheet, u, "k") for _ in range(count)]
    sheet.memories["S"] = {
        "net": "linear",
        "heads": sheet.heads,
        "keys": keys,
        "values": [sheet.add("v", op="linear", in_=u, out=out) for _ in range(count)],
        "objective": kind,
        "rule": rule,
        "init": sheet.pick("zero", "learned", "identity"),
        "gradient": sheet.pick("full", "first_order", "none"),
    }
    moments = sheet.pick(("after",), ("before",), ("after", "boundary"))
    query = _unit_flow(sheet, u, "q")
    return sheet.finish([sheet.add("y", read="S", query=query, at=at) for at in moments])


def events(sheet: Sheet) -> Fields:
    """Return attention within a window or a period, with learned entries and several events."""
    u = sheet.normed("x")
    count = sheet.pick(1, 2)
    out = sheet.heads * sheet.draw(st.integers(1, 3))
    q = sheet.add("q", op="linear", in_=u, out=sheet.width)
    keys = [sheet.add("k", op="linear", in_=u, out=sheet.width) for _ in range(count)]
    values = [sheet.add("v", op="linear", in_=u, out=out) for _ in range(count)]
    net: Fields = {"kind": "attention"}
    if sheet.chance():
        net["window"] = sheet.pick(1, 2, 5)
    memory: Fields = {"net": net, "heads": sheet.heads, "keys": keys, "values": values}
    if sheet.chance():
        memory["init"] = {"kind": "learned", "entries": sheet.pick(1, 3)}
    if sheet.chance():
        memory["reset"] = sheet.pick("chunk", "long")
    sheet.memories["A"] = memory
    moments = sheet.pick(("after",), ("before",), ("after", "before"))
    return sheet.finish([sheet.add("y", read="A", query=q, at=at) for at in moments])


def vectors(sheet: Sheet) -> Fields:
    """Return a vector memory beside a matrix, shared parameters, learned tables and polynomials."""
    u = sheet.normed("x")
    k = sheet.add("k", op="linear", in_=u, then=[{"op": "polynomial", "degree": 2}, sheet.unit()])
    q = sheet.add("q", op="linear", in_=u, out=sheet.width, then=[sheet.unit()], tie=k)
    rate: Any = 0.1
    if sheet.chance():
        rate = sheet.add("eta", op="linear", in_=u, out=1, then=["sigmoid"])
    sheet.memories["z"] = {
        "net": "vector",
        "heads": sheet.pick(1, sheet.heads),
        "values": k,
        "objective": sheet.pick("dot", "l2"),
        "level": sheet.pick("token", "chunk"),
        "rule": {"rate": rate, "retain": sheet.homing(sheet.pick(1, 0.9))},
        "init": sheet.pick("zero", "learned"),
    }
    z = sheet.add("s", read="z", at=sheet.pick("after", "before", "boundary"))
    qz = sheet.add("qz", op="product", in_=[q, z], then=[{"op": "total", "heads": sheet.heads}])
    place = sheet.add("p", op="position", since="chunk")
    table = sheet.add("t", op="lookup", in_=place, size=3, init=0.5)
    return sheet.finish([qz, table])
