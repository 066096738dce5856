"""Pictures of more than a reader can find anything in are refused, with what to do instead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nestgraph.language.spec import Spec
from nestgraph.viz import DrawError, draw
from nestgraph.viz.flows import build
from nestgraph.viz.routing import engine


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


def on_page(spec: Spec) -> dict[str, Any]:
    """Return what the page of a spec holds."""
    page = str(draw(spec, format="html"))
    (data,) = json.loads(page.partition('id="data">')[2].partition("</script>")[0])["specs"]
    assert isinstance(data, dict)
    return data


def test_a_picture_of_too_many_boxes_and_lines_is_refused_before_places_are_sought() -> None:
    spec = of_layers(200)
    with pytest.raises(DrawError, match=r"boxes and lines; it can hold 1,500; .*--depth 0"):
        draw(spec, view="block")
    assert "<svg" in str(draw(spec, view="block", depth=0, focus="0.a"))
    assert "mlp" in str(draw(spec, view="block", format="txt"))


def test_levels_of_too_many_different_memories_are_refused() -> None:
    with pytest.raises(DrawError, match=r"601 different memories; it can hold 600"):
        draw(of_layers(601), format="txt")


def test_a_page_leaves_out_views_of_too_many_memories_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(build, "_MOST_BOXES", 2)
    data = on_page(of_layers(3))
    assert sorted(data["views"]) == ["block", "clock", "optimizer", "system"]
    assert sorted(data["absent"]) == ["levels", "nested"]
    assert "3 different memories; it can hold 2" in data["absent"]["levels"]
    assert "levels: this picture would hold" in data["problems"][0]
    with pytest.raises(DrawError, match="3 different memories"):
        draw(of_layers(3), format="html", view="nested")


def test_the_views_of_a_page_share_the_time_for_their_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []
    spent = iter(range(100))

    def too_long(*_: object, patience: int) -> bytes:
        calls.append(patience)
        raise DrawError("took too long")

    monkeypatch.setattr(engine, "_run", too_long)
    monkeypatch.setattr(engine, "_spent", lambda: 3.0 * next(spent))
    data = on_page(of_layers(4))
    assert calls == [5, 2]
    assert sorted(data["views"]) == ["clock", "levels", "nested"]
    assert data["absent"]["block"] == "took too long"
    assert data["absent"]["system"].startswith("other views took the 5 seconds for places; draw")
    with pytest.raises(DrawError, match="took too long"):
        draw(of_layers(4), view="system")
    assert calls == [5, 2, 5]


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
