"""Terminal text and Mermaid of outlines."""

from __future__ import annotations

import re

from nestgraph.language.spec import load
from nestgraph.viz import draw
from nestgraph.viz.flows.outline import Link, Outline, Part
from nestgraph.viz.writers.text import outline_text


def test_each_part_is_below_the_frame_that_holds_it() -> None:
    text = str(draw(load("hope-tiny"), format="txt", view="block"))
    depth = {
        line.strip("│├└─ "): len(line) - len(line.lstrip("│├└─ ")) for line in text.splitlines()
    }
    assert depth["hope ×4"] < depth["a: self_modifying_titans"] < depth["u 128"]


def test_what_feeds_a_part_is_told_below_it() -> None:
    parts = (Part(id="a", kind="op", title="A"), Part(id="b", kind="op", title="B"))
    links = (Link(source="a", target="b", kind="rate", cell="rate"),)
    text = outline_text(Outline(name="n", doc="", parts=parts, links=links))
    assert text == "n\n\n├─ A\n└─ B\n     <~ rate from A\n\n<~ rate\n"


def test_long_lines_are_cut() -> None:
    parts = (Part(id="a", kind="op", title="A" * 1000),)
    text = outline_text(Outline(name="n", doc="", parts=parts, links=()))
    assert max(map(len, text.splitlines())) == 160


def test_mermaid_names_every_part_and_link_once() -> None:
    text = str(draw(load("hope-tiny"), format="mmd", view="block"))
    defined = re.findall(r"^ +(?:subgraph )?(n\d+)\[", text, re.MULTILINE)
    assert len(defined) == len(set(defined))
    links = re.findall(
        r"^  (n\d+) (?:-->|==>|-\.->|--o|--x)(?:\|[^|]*\|)? (n\d+)$", text, re.MULTILINE
    )
    assert links
    assert {end for link in links for end in link} <= set(defined)
    assert text.count("subgraph ") == len(re.findall(r"^ *end$", text, re.MULTILINE))


def test_mermaid_takes_the_colours_of_the_theme() -> None:
    light, dark = (
        str(draw(load("hope-tiny"), format="mmd", theme=one)) for one in ("light", "dark")
    )
    assert "stroke:#2455A4" in light
    assert "stroke:#7FB0FF" in dark
