"""Pictures of more than a reader can find anything in are refused, with what to do instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestgraph.spec import Spec
from nestgraph.viz import DrawError, draw, engine


def of_layers(count: int) -> Spec:
    layers = ", ".join(f"{{block: a, with: {{e: {at}}}}}" for at in range(1, count + 1))
    text = f"""
nestgraph: 1
name: large
blocks:
  a:
    vars: {{e: 2}}
    memories: {{w: {{net: {{kind: mlp, expansion: $e}}, level: step, objective: task}}}}
    nodes: {{y: {{read: w, query: x}}, out: {{op: sum, in: [x, y]}}}}
model: {{embed: {{vocab: 8, width: 8}}, stack: [{layers}], head: {{tie: true}}}}
"""
    return Spec.from_sources({"large.yaml": text}, "large.yaml")


def test_a_picture_of_too_many_boxes_and_lines_is_refused_before_places_are_sought() -> None:
    spec = of_layers(200)
    with pytest.raises(DrawError, match=r"boxes and lines; it can hold 1,500; .*--depth 0"):
        draw(spec, view="block")
    assert "<svg" in str(draw(spec, view="block", depth=0, focus="0.a"))
    assert "mlp" in str(draw(spec, view="block", format="txt"))


def test_levels_of_too_many_different_memories_are_refused() -> None:
    with pytest.raises(DrawError, match=r"601 different memories; it can hold 600"):
        draw(of_layers(601), format="txt")


def test_a_program_that_takes_too_long_for_places_is_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\nwhile :; do :; done\n")
    program.chmod(0o755)
    monkeypatch.setenv(engine.VARIABLE, str(program))
    monkeypatch.setattr(engine, "_PATIENCE", 1)
    with pytest.raises(DrawError, match=r"has not drawn the picture within 1 seconds; close"):
        draw(of_layers(2), view="block")
