"""What differs between two systems, as one picture."""

from __future__ import annotations

import pytest
from building import model_of

from nestgraph.spec import load
from nestgraph.viz import DrawError, draw_diff
from nestgraph.viz.difference import difference
from nestgraph.viz.outline import Outline

BODY = """\
memories:
  M: {keys: k, values: x, rule: {rate: 0.5}}
nodes:
  k: {op: l2_norm, in: x}
  y: {read: M, query: k}
  out: {op: sum, in: [x, y]}
"""


def of(old: str, new: str) -> Outline:
    return difference(model_of(old), model_of(new))


def statuses(outline: Outline) -> dict[str, str]:
    return {part.id: part.status for part in outline.all() if part.status}


def wires(outline: Outline) -> set[tuple[str, str, str]]:
    return {(link.status, link.source, link.target) for link in outline.links if link.status}


def test_a_system_does_not_differ_from_itself() -> None:
    same = of(BODY, BODY)
    assert statuses(same) == {}
    assert wires(same) == set()
    assert {part.tone for part in same.all()} == {"same"}


def test_a_changed_value_is_told_before_and_after() -> None:
    changed = of(BODY, BODY.replace("rate: 0.5", "rate: 0.25"))
    assert statuses(changed) == {"0.b/M.write": "changed"}
    memory = next(part for part in changed.all() if part.status)
    at = memory.facts.index(("rule", "rate 0.5"))
    assert memory.facts[at + 1] == ("", "-> rate 0.25")
    assert wires(changed) == set()


def test_an_op_that_was_put_in_is_added_and_its_wires_with_it() -> None:
    new = BODY.replace("query: k}", "query: q}").replace("  y:", "  q: {op: silu, in: k}\n  y:")
    added = of(BODY, new)
    assert statuses(added) == {"0.b/q": "added"}
    assert wires(added) == {
        ("added", "0.b/k", "0.b/q"),
        ("added", "0.b/q", "0.b/y"),
        ("removed", "0.b/k", "0.b/y"),
    }


def test_what_is_gone_stands_where_it_was() -> None:
    new = BODY.replace("query: k}", "query: q}").replace("  y:", "  q: {op: silu, in: k}\n  y:")
    gone = of(new, BODY)
    assert statuses(gone) == {"removed 0.b/q": "removed"}
    (block,) = (part for part in gone.parts if part.id == "0.b")
    assert "removed 0.b/q" in {part.id for part in block.parts}
    assert ("removed", "removed 0.b/q", "0.b/y") in wires(gone)


def test_a_memory_that_takes_another_input_changes_its_wires() -> None:
    changed = of(BODY, BODY.replace("keys: k", "keys: x"))
    assert ("added", "0.b/x", "0.b/M.write") in wires(changed)
    assert ("removed", "0.b/k", "0.b/M.write") in wires(changed)


def test_the_change_of_parameters_is_told() -> None:
    small, large = (load("hope-tiny", set={"vars.width": width}) for width in (64, 128))
    assert "Parameters: " in difference(small.system, large.system).doc


def test_another_number_of_repeats_is_a_change_of_the_layer() -> None:
    four, six = (load("hope-tiny", set={"vars.depth": depth}).system for depth in (4, 6))
    outline = difference(four, six)
    assert statuses(outline) == {"0.hope": "changed"}
    assert next(part for part in outline.all() if part.status).badge == "×4 -> ×6"


@pytest.mark.parametrize("form", ["svg", "png", "pdf", "dot", "mmd", "txt"])
def test_differences_are_drawn_in_every_format(form: str) -> None:
    old, new = model_of(BODY), model_of(BODY.replace("l2_norm", "rms_norm"))
    assert draw_diff(old, new, format=form)


def test_status_is_a_class_and_a_colour_in_svg() -> None:
    old, new = model_of(BODY), model_of(BODY.replace("rate: 0.5", "rate: 0.25"))
    svg = str(draw_diff(old, new))
    assert 'class="node write changed"' in svg
    assert 'fill="#FFF1D0" stroke="#B97A00"' in svg


def test_a_page_of_differences_is_refused() -> None:
    with pytest.raises(DrawError, match="`html` is no format"):
        draw_diff(model_of(BODY), model_of(BODY), format="html")


def test_any_two_of_the_zoo_can_be_compared() -> None:
    assert "removed" in str(draw_diff(load("hope"), load("transformer"), format="svg"))
    assert "added" in str(draw_diff(load("transformer"), load("hope"), format="svg"))
