"""Specs for tests, from the few lines that matter."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from nestgraph.language.spec import Spec
from nestgraph.language.system import FlatBlock, System

FILE = "test.yaml"

SGD = """
nestgraph: 1
name: sgd
blocks:
  sgd:
    inputs: [grad, lr]
    memories:
      p:
        net: vector
        level: step
        objective: {kind: task, through: grad}
        rule: {rate: lr}
        init: given
optimizer: [{for: all, block: sgd}]
"""


def spec_of(text: str, overrides: Mapping[str, object] | None = None) -> Spec:
    """Return a spec from the text of its file."""
    return Spec.from_sources({FILE: textwrap.dedent(text)}, FILE, dict(overrides or {}))


def system_of(text: str) -> System:
    """Return the elaborated system of a spec's text."""
    return spec_of(text).system


def block_of(
    body: str, width: int = 8, levels: str = "{chunk: 4 tokens, slow: 5 steps}"
) -> FlatBlock:
    """Return the one block of a model, given its memories and nodes, with its widths inferred."""
    model = model_of(body, width, levels).model
    assert model is not None
    return model.layers[0].block


def model_of(body: str, width: int = 8, levels: str = "{chunk: 4 tokens, slow: 5 steps}") -> System:
    """Return a model of one block `b`, given its memories and nodes."""
    return system_of(model_text(body, width, levels))


def model_text(body: str, width: int, levels: str) -> str:
    """Return the file of a model of one block."""
    inside = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    return "\n".join(
        (
            "nestgraph: 1",
            "name: test",
            f"levels: {levels}",
            "blocks:",
            "  b:",
            inside,
            f"model: {{embed: {{vocab: 5, width: {width}}}, stack: [{{block: b}}]}}",
        )
    )
