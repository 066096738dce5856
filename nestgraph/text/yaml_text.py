"""Plain values as YAML text in the style of the shipped specs: short things on one line.

What is written reads back as the same values, also by YAML 1.1 tools.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from nestgraph.display.terminal import inert
from nestgraph.text.source import resolve

WIDTH = 100
OPEN = ("levels", "blocks", "memories", "nodes", "model")  # one entry a line, however short

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]*( [A-Za-z0-9_.+/-]+)*\Z")
_WORDS_OF_OLD = {"on", "off", "yes", "no"}  # truth values in YAML 1.1


def write(values: Mapping[str, object]) -> str:
    """Return a YAML document that holds the mapping."""
    lines: list[str] = []
    for key, value in values.items():
        lines += _lines(key, value, "", key in OPEN)
    return "\n".join(lines) + "\n"


def _lines(key: str, value: object, indent: str, tall: bool) -> list[str]:
    short = f"{indent}{_scalar(key)}: {_flow(value)}"
    if not isinstance(value, dict | list) or not value:
        return [short]
    if not tall and len(short) <= WIDTH:
        return [short]
    if isinstance(value, list):
        return [f"{indent}{_scalar(key)}:", *(f"{indent}  - {_flow(item)}" for item in value)]
    lines = [f"{indent}{_scalar(key)}:"]
    for name, below in value.items():
        lines += _lines(str(name), below, indent + "  ", key == "blocks" or str(name) in OPEN)
    return lines


def _flow(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(str(k))}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return _scalar(value)


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return value if _is_plain(value) else _quoted(value)
    if isinstance(value, float):
        mantissa, exponent, power = repr(value).partition("e")
        return mantissa + ("" if "." in mantissa else ".0") + exponent + power
    return "null" if value is None else str(value).lower()


def _is_plain(text: str) -> bool:
    special = text.lower() in _WORDS_OF_OLD
    return not special and bool(_PLAIN.match(text)) and isinstance(resolve(text), str)


def _quoted(text: str) -> str:
    return inert(json.dumps(text, ensure_ascii=False))
