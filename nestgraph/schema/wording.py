"""What pydantic expected, in the words of the language."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from nestgraph.findings import closest, listed
from nestgraph.recovery.habits import otherwise
from nestgraph.schema.follow import Trail
from nestgraph.schema.samples import allowed, samples
from nestgraph.text.tree import Scalar, Table, Tree, plain

Error: TypeAlias = Mapping[str, Any]

FLOWS = ("in", "query", "keys", "values", "self", "flow", "through", "inputs", "output", "key")

_WANTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a word",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
    "string_too_short": "a word",
    "string_pattern_mismatch": "letters, digits and `.`, `_`, `+`, `-` only",
}
_LIMITS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def expectation(error: Error, trail: Trail, value: Tree) -> tuple[str, str]:
    """Return what was expected in place of a value, and a hint."""
    kind, context = error["type"], error.get("ctx", {})
    field = next((part for part in reversed(trail.path) if isinstance(part, str)), "")
    if kind == "string_type" and field in FLOWS:
        return "the name of a flow", ""
    if kind == "literal_error" and plain(value) in trail.tags:
        return listed(words(context["expected"]), "or"), f"write `{{kind: {plain(value)}, ...}}`"
    if kind == "list_type":
        return _WANTED[kind], _as_list(value, trail)
    if kind in _WANTED:
        return _WANTED[kind], ""
    if kind in _LIMITS:
        name, relation = _LIMITS[kind]
        bound = context[name]
        return f"{relation} {bound if isinstance(bound, int) else f'{bound:g}'}", ""
    if kind == "literal_error":
        return _one_of(context["expected"], value)
    if kind in ("too_short", "too_long"):
        relation = "at least" if kind == "too_short" else "at most"
        bound = context.get("min_length", context.get("max_length"))
        return f"{relation} {bound} items, not {context['actual_length']}", ""
    return str(error["msg"]), ""


def _as_list(value: Tree, trail: Trail) -> str:
    """Return how a value that stands alone is written where several may stand."""
    if isinstance(value, Scalar) and isinstance(value.value, str | int | float):
        told = value.text or str(value.value)
    elif isinstance(value, Table):
        told = "{...}"
    else:
        return ""
    least = min((len(one) for one in samples(trail.annotation, "")), default=1)
    return f"write `[{', '.join([told, *['...'] * (least - 1)])}]`"


def stand_in(error: Error) -> object:
    """Return a value of the kind that was expected, to go on with; None where a name was
    expected.
    """
    kind, context = error["type"], error.get("ctx", {})
    if kind == "literal_error":
        return next(iter(words(context["expected"])), None)
    if kind in _LIMITS:
        shift = {"gt": 1, "lt": -1}.get(_LIMITS[kind][0], 0)
        return context[_LIMITS[kind][0]] + shift
    return {"int_type": 1, "float_type": 1.0, "finite_number": 1.0, "bool_type": False}.get(kind)


def whole(number: float, text: str, annotation: Any) -> str:
    """Return what to write in place of a number that must be whole and is not, infinite ones among
    them.

    Args:
        number: its value.
        text: what the author wrote.
        annotation: of its place, within whose bounds the suggestion lies.
    """
    if "/" in text and "//" not in text and "." not in text and number >= 1:
        return "write `//`"
    near = max(1, round(number)) if math.isfinite(number) else 1
    fit = (one for one in (near, *samples(annotation, "")) if type(one) is int)
    found = next((one for one in fit if allowed(annotation, one)), None)
    return "write a whole number" + (f", such as `{found}`" if found is not None else "")


def words(text: str) -> list[str]:
    """Return the quoted words of one of pydantic's lists."""
    return re.findall(r"'([^']+)'", text)


def _one_of(expected: str, value: Tree) -> tuple[str, str]:
    known = words(expected)
    if not known:
        return expected, ""
    word = str(plain(value))
    near = closest(word, known)
    return listed(known, "or"), f"did you mean `{near}`?" if near else otherwise(word)
