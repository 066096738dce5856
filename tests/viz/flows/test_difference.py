"""What differs between two systems, as one picture."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from building import model_of, model_text, spec_of, system_of

from nestgraph.analysis.costs import total
from nestgraph.language.spec import load
from nestgraph.viz import FORMATS, draw_diff
from nestgraph.viz.flows.difference import difference
from nestgraph.viz.flows.outline import Outline

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


def test_what_two_blocks_of_other_names_share_is_drawn_as_the_same(
    golden: Callable[[str, str], None],
) -> None:
    old, new = load("gated-deltanet").system, load("comba").system
    drawn = difference(old, new)
    kept = {part.id: part for part in drawn.all()}
    for shared in ("0.comba/u", "0.comba/k", "0.comba/v", "1.swiglu/ab"):
        assert kept[shared].tone == "same"
    assert kept["0.comba"].title == "gated_delta -> comba"
    golden("diff/gated-deltanet-comba.svg", str(draw_diff(old, new)))


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
    assert statuses(added) == {"0.b/q": "added", "0.b/y": "changed"}  # what it asks with
    assert wires(added) == {
        ("added", "0.b/k", "0.b/q"),
        ("added", "0.b/q", "0.b/y"),
        ("removed", "0.b/k", "0.b/y"),
    }


def test_what_is_gone_stands_where_it_was() -> None:
    new = BODY.replace("query: k}", "query: q}").replace("  y:", "  q: {op: silu, in: k}\n  y:")
    gone = of(new, BODY)
    assert statuses(gone) == {"removed 0.b/q": "removed", "0.b/y": "changed"}
    (block,) = (part for part in gone.parts if part.id == "0.b")
    assert "removed 0.b/q" in {part.id for part in block.parts}
    assert ("removed", "removed 0.b/q", "0.b/y") in wires(gone)


def test_a_memory_that_takes_another_input_changes_its_wires() -> None:
    changed = of(BODY, BODY.replace("keys: k", "keys: x"))
    assert ("added", "0.b/x", "0.b/M.write") in wires(changed)
    assert ("removed", "0.b/k", "0.b/M.write") in wires(changed)


def test_the_changes_of_parameters_and_flops_are_told() -> None:
    small, large = (load("hope-tiny", set={"vars.width": width}).system for width in (64, 128))
    outline = difference(small, large)
    old, new = total(small), total(large)
    assert f"parameters: {old.parameters:,} -> {new.parameters:,}" in outline.notes[0]
    assert outline.notes[2].startswith("FLOPs a token: ")
    assert f"({new.flops / old.flops - 1:+.1%})" in outline.notes[2]
    assert outline.notes[2].replace(">", "&gt;") in str(draw_diff(small, large))


def test_a_value_that_no_line_of_a_box_tells_stands_in_it_all_the_same() -> None:
    changed = of(BODY, BODY.replace("keys: k", "gradient: none, keys: k"))
    assert statuses(changed) == {"0.b/M.write": "changed"}
    memory = next(part for part in changed.all() if part.status)
    assert memory.facts[-2:] == (("gradient", "full"), ("", "-> none"))


def test_a_renamed_block_stands_where_the_old_one_stood() -> None:
    old = model_of(BODY)
    new = system_of(model_text(BODY, 8, "{chunk: 4 tokens}").replace(" b", " better"))
    outline = difference(old, new)
    assert statuses(outline) == {"0.better": "changed", "changed levels": "changed"}
    assert next(
        part for part in outline.all() if part.status == "changed" and part.parts
    ).title == ("b -> better")


def test_a_renamed_node_is_the_same_box_and_its_names_stand_in_one() -> None:
    outline = difference(model_of(BODY), model_of(re.sub(r"\bk\b", "key", BODY)))
    assert statuses(outline) == {"changed renamed": "changed"}
    box = next(part for part in outline.all() if part.status)
    assert box.facts == (("0.b", "k"), ("", "-> key"))


def test_settings_of_the_outermost_level_have_a_box() -> None:
    old, new = (load("hope-tiny", set={"training.lr": rate}).system for rate in (0.5, 0.25))
    outline = difference(old, new)
    (box,) = (part for part in outline.all() if part.kind == "setting")
    assert box.facts[:2] == (("lr", "0.5"), ("", "-> 0.25"))
    assert statuses(outline) == {"changed training": "changed"}


def test_optimizers_that_differ_are_drawn() -> None:
    old, new = (
        load("transformer-tiny", set={"training.optimizer": name}).system
        for name in ("adamw", "m3")
    )
    outline = difference(old, new)
    found = statuses(outline)
    assert found["optimizer"] == "changed"
    assert found["optimizer/0.m3"] == found["optimizer/0.m3/M2.write"] == "added"
    assert found["optimizer/1.adamw/second.write"] == "changed"
    assert not any(part.startswith("0.layer") for part in found)
    assert ("added", "loss", "optimizer/0.m3/grad") in wires(outline)


def test_added_removed_and_changed_have_signs_and_samples_in_the_legend() -> None:
    new = BODY.replace("rate: 0.5", "rate: 0.25").replace("  k:", "  z: {op: silu, in: x}\n  k:")
    svg = str(draw_diff(model_of(BODY), model_of(new)))
    assert ">~ M<" in svg
    assert ">+ z<" in svg
    assert ">added<" in svg
    assert ">removed<" not in svg


def test_another_number_of_repeats_is_a_change_of_the_layer() -> None:
    four, six = (load("hope-tiny", set={"vars.depth": depth}).system for depth in (4, 6))
    outline = difference(four, six)
    assert statuses(outline) == {"0.hope": "changed"}
    assert next(part for part in outline.all() if part.status).badge == "×4 -> ×6"


@pytest.mark.parametrize("form", FORMATS)
def test_differences_are_drawn_in_every_format(form: str) -> None:
    old, new = model_of(BODY), model_of(BODY.replace("l2_norm", "rms_norm"))
    assert draw_diff(old, new, format=form)


def test_status_is_a_class_and_a_colour_in_svg() -> None:
    old, new = model_of(BODY), model_of(BODY.replace("rate: 0.5", "rate: 0.25"))
    svg = str(draw_diff(old, new))
    assert 'class="node write changed"' in svg
    assert 'fill="#FFF1D0" stroke="#B97A00"' in svg


def test_a_page_of_differences_knows_what_is_gone_and_what_came() -> None:
    spec = spec_of(model_text(BODY, 8, "{chunk: 4 tokens}"))
    other = spec_of(
        model_text(
            BODY.replace("k: {op: l2_norm", "z: {op: silu, in: x}\n  k: {op: rms_norm"),
            8,
            "{chunk: 4 tokens}",
        )
    )
    for old, new, status in ((spec, other, "added op"), (other, spec, "removed op")):
        text = str(draw_diff(old, new, format="html"))
        (data,) = json.loads(text.split('id="data">')[1].split("</script>")[0])["specs"]
        (box,) = (one for one in data["nodes"].values() if one["title"] == "z")
        assert box["kind"] == status
        assert box["yaml"] == "z: {op: silu, in: x}"
        assert list(data["views"]) == ["difference"]


def test_any_two_of_the_zoo_can_be_compared() -> None:
    assert "removed" in str(draw_diff(load("hope"), load("transformer"), format="svg"))
    assert "added" in str(draw_diff(load("transformer"), load("hope"), format="svg"))


@pytest.mark.parametrize("form", ["svg", "dot", "mmd", "html"])
def test_nothing_that_a_hostile_author_says_breaks_out(form: str) -> None:
    attack = "</script><script>x</script>\"]; ' --> \u202e" + "w" * 10_000
    text = model_text(BODY, 8, "{chunk: 4 tokens}")
    hostile = spec_of(f"{text}\ntraining: {{data: {json.dumps(attack)}}}")
    picture = str(draw_diff(spec_of(text), hostile, format=form))
    assert "<script>x" not in picture
    assert "\u202e" not in picture
    assert form == "html" or "w" * 300 not in picture
    if form == "svg":
        ElementTree.fromstring(picture)
