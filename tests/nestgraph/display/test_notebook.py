"""What notebooks show: rich where possible, plain otherwise, and never an exception."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from building import spec_of
from hypothesis import given
from hypothesis import strategies as st

import nestgraph as ng
from nestgraph.display.html_text import escaped
from nestgraph.graph.spec_graph import SpecGraph

HOSTILE = """<script>alert(1)</script>"'&]]>--> \u202eevil\x00 <img src=x onerror=alert(1)>"""


class Tags(HTMLParser):
    """The tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += [name for name, _ in attrs]


def tags(page: str) -> Tags:
    parser = Tags()
    parser.feed(page)
    return parser


def small(doc: str = "", lr: str = "1e-3") -> ng.Spec:
    quoted = doc.encode("unicode_escape").decode().replace('"', '\\"')
    return spec_of(f"""
        nestgraph: 1
        name: test
        doc: "{quoted}"
        blocks: {{b: {{nodes: {{out: {{op: linear, in: x}}}}}}}}
        model: {{embed: {{vocab: 5, width: 8}}, stack: [{{block: b}}]}}
        training: {{lr: {lr}}}
    """)


def shown(value: Any) -> dict[str, str]:
    return value._repr_mimebundle_(include=None, exclude=None)


@pytest.mark.parametrize(
    "value",
    [
        lambda: ng.load("hope-tiny"),
        lambda: ng.graph("hope-tiny"),
        lambda: ng.plan("hope-tiny"),
        lambda: ng.diff("hope-tiny", "hope"),
        lambda: ng.diff("hope", "hope"),
    ],
    ids=["spec", "graph", "plan", "diff", "no-diff"],
)
def test_everything_shows_itself_in_text_and_in_html(value) -> None:
    bundle = shown(value())
    assert bundle["text/plain"]
    assert "hope" in bundle["text/html"]
    assert tags(bundle["text/html"]).seen[0] == "div"


def test_a_spec_shows_its_levels_and_its_picture() -> None:
    page = shown(ng.load("hope-tiny"))["text/html"]
    assert "every 8 tokens" in page
    assert "svg" in tags(page).seen


def test_a_diff_is_coloured() -> None:
    page = shown(ng.diff("hope-tiny", "hope"))["text/html"]
    assert '<span class="changed">' in page


def test_levels_are_shown_without_a_program_to_draw_with(monkeypatch) -> None:
    monkeypatch.setenv("NESTGRAPH_DOT", "/nowhere/dot")
    assert "svg" in tags(shown(ng.load("hope-tiny"))["text/html"]).seen


def test_what_can_not_be_drawn_is_shown_without_its_picture(monkeypatch) -> None:
    def fails(system: object) -> None:
        raise RuntimeError("no picture")

    monkeypatch.setattr("nestgraph.viz.draw", fails)
    page = shown(ng.load("hope-tiny"))["text/html"]
    assert "every 8 tokens" in page
    assert "svg" not in tags(page).seen


@pytest.mark.parametrize(
    "broken",
    [
        lambda: replace(small(), system=None),
        lambda: replace(small(), system=replace(small().system, clocks=None, model=3)),
        lambda: replace(ng.diff("hope", "hope"), costs=None),
        lambda: replace(ng.diff("hope", "hope"), nodes=(None,), levels=(3,)),
        lambda: replace(ng.plan("hope-tiny"), functions=(None,)),
        lambda: SpecGraph([(1, 2)]),
        lambda: SpecGraph(system=3, name=None),
    ],
)
def test_broken_values_show_as_text(broken) -> None:
    bundle = shown(broken())
    assert bundle["text/plain"]


def test_what_an_author_wrote_cannot_leave_its_place() -> None:
    page = shown(small(HOSTILE))["text/html"]
    parser = tags(page)
    assert "script" not in parser.seen
    assert "img" not in parser.seen
    assert "onerror" not in parser.attributes
    assert "\x00" not in page


@given(st.text())
def test_escaped_text_reads_back_as_it_was(text: str) -> None:
    heard: list[str] = []
    parser = HTMLParser()
    parser.handle_data = heard.append  # type: ignore[method-assign]
    parser.feed(f"<p>{escaped(text)}</p>")
    parser.close()
    expected = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
    assert "".join(heard) == expected


def test_copies_of_a_graph_show_themselves_too() -> None:
    graph = ng.graph("hope-tiny")
    assert "text/html" in shown(graph.copy())
    assert "text/html" in shown(graph.subgraph(list(graph)[:3]))
