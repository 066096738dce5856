"""A small spec, and what is found when something in it is wrong."""

from __future__ import annotations

from collections.abc import Mapping

from nestgraph.errors import Diagnostic, SpecError
from nestgraph.language.spec import Spec

FILE = "t.yaml"
GOOD = """\
nestgraph: 1
name: t
vars: {w: 8, d: $w // 2}
levels: {fast: 4 tokens}
blocks:
  b:
    memories:
      M: {net: linear, keys: k, values: v, rule: {rate: r}}
    nodes:
      k: {op: linear, in: x}
      v: {op: linear, in: x}
      r: {op: linear, in: x, out: 1, then: [sigmoid]}
      y: {read: M, query: k}
      out: {op: sum, in: [x, y]}
model:
  embed: {vocab: 16, width: $w}
  stack: [{block: b, repeat: $d}]
training: {optimizer: adamw}
"""


def errors(text: str, overrides: Mapping[str, object] | None = None) -> list[str]:
    """Return the errors of a spec's text as lines; none for a good one."""
    found = (finding for finding in findings(text, overrides) if finding.severity == "error")
    return [str(finding) for finding in found]


def findings(text: str, overrides: Mapping[str, object] | None = None) -> tuple[Diagnostic, ...]:
    """Return all findings of a spec's text."""
    try:
        return Spec.from_sources({FILE: text}, FILE, overrides or {}).warnings
    except SpecError as error:
        return error.diagnostics


def errors_with(old: str, new: str) -> list[str]:
    """Return the errors of the good spec after one change."""
    assert old in GOOD
    return errors(GOOD.replace(old, new, 1))
