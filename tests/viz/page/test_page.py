"""The page as text: what is in it, and that nothing can get out."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from nestgraph.language.spec import load
from nestgraph.viz import DrawError, draw
from nestgraph.viz.flows.views import VIEWS
from nestgraph.viz.page import harmless
from nestgraph.viz.page.snippet import snippet

YAML = """\
a:
  b: 1  # one

  c:
    d: 2
  # about e
e: 3
"""


def data_of(page: str) -> dict[str, object]:
    text = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    (spec,) = json.loads(text[0])["specs"]
    found: dict[str, object] = spec
    return found


def test_the_page_of_hope_is_small_and_asks_for_nothing() -> None:
    page = str(draw(load("hope"), format="html"))
    assert len(page.encode()) < 500_000
    assert not re.findall(r"""(?:src|href|url|import)\s*[=(]\s*["']?(?:https?:|//)""", page)
    assert "default-src 'none'" in page
    assert "connect-src" not in page


def test_memories_of_the_optimizer_tick_with_the_levels_of_the_model() -> None:
    data: Any = data_of(str(draw(load("hope-tiny"), format="html")))
    paths = {key: known.get("path", "") for key, known in data["nodes"].items()}
    ticking = {clock["name"]: {paths.get(key) for key in clock["keys"]} for clock in data["clocks"]}
    assert {"0.adamw/first", "1.adamw/second", "0.hope/b.M"} <= ticking["step, fast"]
    assert not {"0.adamw/first"} & (ticking["slow"] | ticking["context"])


def test_the_same_spec_gives_the_same_page() -> None:
    assert draw(load("hope-tiny"), format="html") == draw(load("hope-tiny"), format="html")


def test_the_view_that_was_asked_for_comes_first() -> None:
    page = str(draw(load("hope-tiny"), format="html", view="block", depth=0))
    views = data_of(page)["views"]
    assert isinstance(views, dict)
    assert list(views) == ["block", "levels", "nested", "clock", "optimizer", "system"]
    assert "closed" in views["block"]


@pytest.mark.parametrize("name", ["transformer-tiny", "hope-tiny", "titans-mac-tiny"])
def test_a_model_has_every_view_on_its_page(name: str) -> None:
    data = data_of(str(draw(load(name), format="html")))
    assert sorted(data["views"]) == sorted(VIEWS)  # type: ignore[arg-type]
    assert data["absent"] == {}


def test_the_page_of_an_optimizer_says_why_it_has_no_views_of_models() -> None:
    data = data_of(str(draw(load("muon"), format="html")))
    views, absent = data["views"], data["absent"]
    assert isinstance(views, dict)
    assert isinstance(absent, dict)
    assert sorted([*views, *absent]) == sorted(VIEWS)
    assert "optimizer" in absent["nested"]


def test_dark_is_dark_whatever_the_reader_has() -> None:
    assert '<html lang="en" data-theme="dark">' in str(
        draw(load("hope-tiny"), format="html", theme="dark")
    )
    assert '<html lang="en">' in str(draw(load("hope-tiny"), format="html"))


def test_a_system_without_texts_has_a_page_without_yaml() -> None:
    nodes = data_of(str(draw(load("hope-tiny").system, format="html")))["nodes"]
    assert isinstance(nodes, dict)
    assert {node.get("yaml", "") for node in nodes.values()} == {""}


def test_json_can_not_end_its_element() -> None:
    text = harmless({"a": "</script><!-- & \u2028 \ud800"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": "</script><!-- & \u2028 ?"}


def test_a_title_is_text() -> None:
    system = replace(load("hope-tiny").system, name="</title><script>")
    assert "<title>&lt;/title&gt;&lt;script&gt;</title>" in str(draw(system, format="html"))


def test_a_view_that_was_asked_for_and_can_not_be_drawn_is_an_error() -> None:
    with pytest.raises(DrawError, match="names nothing"):
        draw(load("hope-tiny"), format="html", view="block", focus="zzz")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (1, "a:\n  b: 1  # one\n\n  c:\n    d: 2"),
        (2, "b: 1  # one"),
        (4, "c:\n  d: 2"),
        (7, "e: 3"),
        (0, ""),
        (8, ""),
    ],
)
def test_a_snippet_is_a_key_and_what_stands_below_it(line: int, text: str) -> None:
    assert snippet(YAML, line) == text


def test_a_long_snippet_is_cut() -> None:
    text = "a:\n" + "".join(f"  k{at}: 1\n" for at in range(99))
    lines = snippet(text, 1).splitlines()
    assert len(lines) == 41
    assert lines[-1] == "..."
