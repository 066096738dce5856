"""Levels: clocks by name."""

from __future__ import annotations

import re

from nestgraph.elaborate.scope import Scope
from nestgraph.errors import Span
from nestgraph.findings import Findings, did_you_mean, respelt
from nestgraph.language.system import NEVER, STEP, TOKEN, Clock
from nestgraph.recovery.fixes import Cures, Drop, Put, either
from nestgraph.schema import stand_ins
from nestgraph.schema.base import LARGEST_SIZE
from nestgraph.text.tree import Scalar, Table, Tree

BUILT_IN = {clock.name: clock for clock in (TOKEN, STEP, NEVER)}
_CLOCK = re.compile(r"(?P<period>.+?)\s+(?P<unit>tokens?|steps?)\s*\Z", re.DOTALL)
_WRITE = "write `16 tokens`, `8 steps` or `never`"


def clocks(tree: Tree | None, scope: Scope, findings: Findings) -> dict[str, Clock | None]:
    """Return all levels of a spec: the built-in ones and the declared; None for a broken one."""
    found: dict[str, Clock | None] = {**BUILT_IN}
    if tree is None or (isinstance(tree, Scalar) and tree.value is None):
        return found
    if not isinstance(tree, Table):
        findings.wrong("`levels`", tree, "a mapping", _WRITE, either([Put(tree.span, {})]))
        return found
    for name, entry in tree.entries.items():
        if name in BUILT_IN:
            message, cures = f"level `{name}` is built in", either([Drop(entry.key)])
            findings.add("NG206", message, entry.key, "choose another name", cures=cures)
            continue
        found[name] = _clock(name, entry.key, entry.value, scope, findings)
    return found


def _clock(name: str, key: Span, tree: Tree, scope: Scope, findings: Findings) -> Clock | None:
    text = tree.value if isinstance(tree, Scalar) else None
    if not isinstance(tree, Scalar) or not isinstance(text, str):
        findings.wrong(f"level `{name}`", tree, "a clock", _WRITE, _other_clocks(tree))
        return None
    split = _CLOCK.match(text)
    if split is None and "$" in text:
        word = scope.evaluate(text, tree)  # a lone var may hold the clock as a word
        if word is None:
            return None
        text = str(word)
        split = _CLOCK.match(text) if "$" not in text else None
    if split is None:
        return _word(name, key, text, tree, findings)
    unit = "tokens" if split["unit"].startswith("token") else "steps"
    period = _period(name, split["period"], tree, scope, findings)
    if period is None:
        return None
    return Clock(name=name, unit="tokens" if unit == "tokens" else "steps", period=period, span=key)


def _word(name: str, key: Span, text: str, tree: Scalar, findings: Findings) -> Clock | None:
    same = BUILT_IN.get(text)
    if same is not None:
        return Clock(name=name, unit=same.unit, period=same.period, span=key)
    hint = did_you_mean(text, BUILT_IN, limit=0) or _WRITE
    cures = respelt(tree.span, text, BUILT_IN, _other_clocks(tree))
    message = f"level `{name}` is `{text}`, which is no clock"
    findings.add("NG104", message, tree.span, hint, cures=cures)
    return None


def _period(name: str, text: str, tree: Scalar, scope: Scope, findings: Findings) -> int | None:
    value = scope.evaluate(text, tree)
    if value is None:
        return None
    whole = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(value, float):
        hint = "write `//`" if "/" in text and value >= 1 else _whole(value, tree)
        message = f"period of level `{name}` is {value:.6g} but must be whole"
        findings.add("NG105", message, tree.span, hint, cures=_other_clocks(tree))
        return None
    if not whole or not isinstance(value, int) or not 1 <= value <= LARGEST_SIZE:
        message = f"period of level `{name}` is {value}"
        hint = f"expected 1 or more; {_WRITE}"
        findings.add("NG104", message, tree.span, hint, cures=_other_clocks(tree))
        return None
    return value


def _whole(value: float, tree: Scalar) -> str:
    """Return the nearest period that there may be, and why there is none below 1."""
    if value > LARGEST_SIZE:
        return "write `never`"
    unit = "steps" if "step" in tree.text else "tokens"
    why = f"a level moves once a {unit[:-1]} at most; " if value < 1 else ""
    return f"{why}write `{round(max(1, value))} {unit}`"


def _other_clocks(tree: Tree) -> Cures:
    return either(Put(tree.span, clock) for clock in stand_ins.CLOCKS)
