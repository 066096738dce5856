"""Nothing in a name is taken for markup."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
from svg_parts import parts

from nestgraph.spec import load
from nestgraph.system import FlatBlock, Memory, Model, Node, Read, System
from nestgraph.viz import draw
from nestgraph.viz.escape import legal, xml

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
    """A small system in which everything bears one name."""
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


def test_what_xml_can_not_hold_becomes_a_question_mark() -> None:
    assert xml("a\x00b\ud800c\ufffe") == "a?b?c?"


def test_marks_that_turn_text_round_become_question_marks() -> None:
    assert legal("a\u202eb\u2066c") == "a?b?c"
    assert legal("שלום") == "שלום"
