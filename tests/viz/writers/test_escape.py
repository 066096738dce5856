"""Nothing in a name is taken for markup."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
import yaml
from svg_parts import parts

from nestgraph.language import zoo
from nestgraph.language.spec import load
from nestgraph.language.system import FlatBlock, Memory, Model, Node, Read, System
from nestgraph.viz import draw, draw_diff
from nestgraph.viz.flows.views import ViewName
from nestgraph.viz.routing.engine import lay_out
from nestgraph.viz.writers.escape import legal, xml

HOSTILE = (
    "<script>alert('x')</script>",
    'a"b',
    "<b>",
    "&amp;",
    "back\\slash \\N \\G \\\\",
    "{a|b}",
    "tab\tand\x07bell",
    "記憶メモリ",
    "a->b:c",
    "]]> --> <!-- ${x} `x`",
    "\u202eeman \u05e9\u05dc\u05d5\u05dd \u0633\u0644\u0627\u0645",
)


def hostile_system(name: str) -> System:
    """Return a small system in which everything bears one name."""
    system = load("gated-deltanet-tiny").system
    model = system.model
    assert model is not None
    block = model.layers[0].block
    layer = replace(model.layers[0], block=_renamed(block, name), path=f"0.{name}")
    return replace(
        system, name=name, doc=name, model=Model(**_fields(model) | {"layers": (layer, layer)})
    )


def _fields(model: Model) -> dict[str, object]:
    return {key: getattr(model, key) for key in Model.__slots__}


def _renamed(block: FlatBlock, name: str) -> FlatBlock:
    (memory,) = block.memories.values()
    clock = replace(memory.level, name=name)
    key = memory.keys[0]

    def flow(old: str) -> str:
        return name if old == key else old

    def renamed(node: Node | Read) -> Node | Read:
        if isinstance(node, Read):
            return replace(node, memory=name)
        inputs = tuple(flow(old) for old in node.inputs)
        return replace(node, name=flow(node.name), owner=flow(node.owner), inputs=inputs)

    nodes = {flow(old): renamed(node) for old, node in block.nodes.items()}
    held: Memory = replace(memory, name=name, level=clock, reset=clock, keys=(name,))
    return replace(block, name=name, memories={name: held}, nodes=nodes)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stand_in_pictures_as_they_are(name: str) -> None:
    svg = draw(hostile_system(name))
    assert isinstance(svg, str)
    root = ElementTree.fromstring(svg)
    assert not {"script", "b"} & {element.tag.rpartition("}")[2] for element in root.iter()}
    texts = [text.content for part in parts(svg) for text in part.texts]
    assert texts.count(legal(name)) >= 4


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_do_not_leave_their_boxes(name: str) -> None:
    svg = draw(hostile_system(name * 5))
    assert isinstance(svg, str)
    for part in parts(svg):
        if "memory" in part.classes:
            assert all(part.shapes[0].holds(text.extent) for text in part.texts)


LONG = "".join(f"<b{index}>\"'" for index in range(1500))
assert len(LONG) > 10_000


@pytest.mark.parametrize("view", ["levels", "block", "clock", "optimizer", "system"])
@pytest.mark.parametrize("name", [*HOSTILE, LONG], ids=range(len(HOSTILE) + 1))
def test_hostile_names_are_text_in_every_view(name: str, view: ViewName) -> None:
    svg = str(draw(hostile_system(name), view=view))
    root = ElementTree.fromstring(svg)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "g", "title", "rect", "path", "polygon", "circle", "text"}
    keys = {key for element in root.iter() for key in element.attrib}
    assert not {key for key in keys if key.startswith("on") or "href" in key}
    png = draw(hostile_system(name), format="png", view=view)
    assert isinstance(png, bytes)
    assert png.startswith(b"\x89PNG")


@pytest.mark.parametrize("name", [*HOSTILE, LONG], ids=range(len(HOSTILE) + 1))
def test_hostile_names_stay_in_their_strings_in_dot(name: str) -> None:
    plain, hostile = (
        json.loads(lay_out(str(draw(hostile_system(one), format="dot")))) for one in ("M", name)
    )
    assert [one["name"] for one in hostile["objects"]] == [one["name"] for one in plain["objects"]]
    assert len(hostile["edges"]) == len(plain["edges"])
    assert {key for one in hostile["objects"] for key in one} <= {
        key for one in plain["objects"] for key in one
    }


@pytest.mark.parametrize("view", ["levels", "block"])
@pytest.mark.parametrize("name", [*HOSTILE, LONG], ids=range(len(HOSTILE) + 1))
def test_hostile_names_are_harmless_in_mermaid(name: str, view: ViewName) -> None:
    plain, hostile = (
        str(draw(hostile_system(one), format="mmd", view=view)) for one in ("M", name)
    )
    assert len(hostile.splitlines()) == len(plain.splitlines())
    for line in hostile.splitlines()[3:]:  # below the front matter, which is YAML
        for label in re.findall(r'"([^"]*)"', line):
            assert re.fullmatch(r"(?:[\w _.,:+*/()]|#\d+;|<br/>)*", label), label
        assert line.count('"') in (0, 2)


def title_of(text: object) -> object:
    """Return the title as a reader of YAML finds it, which is all that Mermaid does to it."""
    assert isinstance(text, str)
    fence, matter, chart = text.split("---\n", 2)
    assert fence == ""
    assert chart.startswith("flowchart ")
    assert matter.startswith('title: "')
    found = yaml.safe_load(matter)
    assert list(found) == ["title"]
    return found["title"]


@pytest.mark.parametrize("name", ["hope-tiny", "gated-deltanet-tiny"])
def test_the_title_is_the_name_as_it_is_written(name: str) -> None:
    assert name in zoo.names()
    assert title_of(draw(load(name), format="mmd")) == name


def test_the_title_of_a_difference_is_written_plainly_too() -> None:
    text = draw_diff(load("hope-tiny"), load("hope-tiny", set={"vars.width": 64}), format="mmd")

    assert "hope-tiny" in str(title_of(text))


@pytest.mark.parametrize("name", [*HOSTILE, "a: b # c", "--- x", "on", "1e3", "%%{init}%%"])
def test_any_name_is_a_title_without_markup(name: str) -> None:
    text = draw(hostile_system(name), format="mmd")

    assert title_of(text) == legal(name)
    assert not set(str(text).split("---\n")[1]) & set("<>&`")


@pytest.mark.parametrize("name", [*HOSTILE, LONG], ids=range(len(HOSTILE) + 1))
def test_hostile_names_do_not_steer_a_terminal(name: str) -> None:
    text = str(draw(hostile_system(name), format="txt", view="system"))
    assert all(letter == "\n" or legal(letter) == letter for letter in text)


def test_what_xml_can_not_hold_becomes_a_question_mark() -> None:
    assert xml("a\x00b\ud800c\ufffe") == "a?b?c?"


def test_marks_that_turn_text_round_become_question_marks() -> None:
    assert legal("a\u202eb\u2066c") == "a?b?c"
    assert legal("שלום") == "שלום"
