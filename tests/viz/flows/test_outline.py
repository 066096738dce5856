"""Outlines with frames shut, and around one part."""

from __future__ import annotations

import textwrap

import pytest
from building import SGD, system_of

from nestgraph.language.spec import load
from nestgraph.language.system import System
from nestgraph.viz import DrawError
from nestgraph.viz.flows.outline import Outline
from nestgraph.viz.flows.training_outline import together, training_outline
from nestgraph.viz.flows.views import Wish, outline_of
from nestgraph.viz.routing.flow_layout import flow_scene

TINY = """
nestgraph: 1
name: tiny
blocks: {b: {nodes: {out: {op: linear, in: x}}}}
model: {embed: {vocab: 5, width: 8}, stack: [{block: b}]}
"""


@pytest.fixture(scope="module")
def system() -> System:
    return load("hope-tiny").system


def ids(outline: Outline) -> set[str]:
    return {part.id for part in outline.all()}


def test_depth_none_opens_everything_and_zero_shuts_the_layers(system: System) -> None:
    whole = outline_of(system, Wish(view="block"))
    shut = outline_of(system, Wish(view="block", depth=0))
    assert ids(shut) == {"embed", "0.hope", "norm", "head", "loss"}
    assert ids(shut) < ids(whole)
    (layer,) = (part for part in shut.parts if part.id == "0.hope")
    assert (layer.kind, layer.facts) == (
        "closed",
        (("", "4 blocks"), ("", "8 memories"), ("", "19 ops")),
    )


def test_links_end_at_the_frame_that_was_shut(system: System) -> None:
    shut = outline_of(system, Wish(view="block", depth=1))
    ends = {(link.source, link.target) for link in shut.links}
    assert ("0.hope/a", "0.hope/b") in ends
    assert all(source != target for source, target in ends)
    assert {end for pair in ends for end in pair} <= ids(shut)


@pytest.mark.parametrize("address", ["0.hope.a.M_k", "a.M_k", "M_k", "0.hope/a.M_k.write"])
def test_a_node_is_found_by_its_path_or_the_end_of_it(system: System, address: str) -> None:
    around = outline_of(system, Wish(view="block", focus=address))
    boxes = {part.id for part in around.all() if not part.parts}
    assert boxes == {
        "0.hope/a.M_k.write",
        *(f"0.hope/a.{name}" for name in ("k", "v", "e", "keep", "eta_self", "alpha_self")),
    }


def test_a_member_of_a_shared_box_leads_to_the_box(system: System) -> None:
    one, other = (outline_of(system, Wish(view="block", focus=name)) for name in ("M_k", "M_eta"))
    assert ids(one) == ids(other)


def test_a_frame_in_focus_is_shown_whole_with_what_touches_it(system: System) -> None:
    around = ids(outline_of(system, Wish(view="block", focus="0.hope.b")))
    assert {"0.hope/b.u", "0.hope/b.y", "0.hope/b.out", "0.hope/b.M.write"} <= around
    assert {"0.hope/a.out", "0.hope/c.u"} <= around
    assert "0.hope/a.k" not in around


def test_focus_among_levels_keeps_what_is_wired_to_the_memory(system: System) -> None:
    around = ids(outline_of(system, Wish(focus="c.M")))
    assert {"0.hope/b.M", "0.hope/c.M", "0.hope/out.M", "loss"} <= around
    assert not {"parameters", "0.hope/a.M_k"} & around


def test_an_address_that_names_nothing_is_told_with_the_nearest(system: System) -> None:
    with pytest.raises(DrawError, match="did you mean `alpha`"):
        outline_of(system, Wish(view="block", focus="alhpa"))


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"view": "levels", "depth": 1}, "a depth is for the views"),
        ({"view": "clock", "focus": "q"}, "no nodes to focus on"),
        ({"view": "block", "span": "64"}, "a span is for the clock view"),
    ],
)
def test_what_a_view_can_not_do_is_refused(wish: dict[str, object], said: str) -> None:
    with pytest.raises(DrawError, match=said):
        Wish(**wish)  # type: ignore[arg-type]


def test_model_and_optimizer_meet_at_the_loss(system: System) -> None:
    outline = outline_of(system, Wish(view="system"))
    assert sum(part.id == "loss" for part in outline.all()) == 1
    assert {"0.hope/a.q", "loss", "parameters slow", "parameters mid"} <= reached(outline, "embed")


def reached(outline: Outline, start: str) -> set[str]:
    """Return all parts that a part leads to."""
    found, waiting = {start}, [start]
    while waiting:
        at = waiting.pop()
        after = {link.target for link in outline.links if link.source == at} - found
        found |= after
        waiting += after
    return found


def trained_by(optimizer: str) -> System:
    return load("hope-tiny", set={"training.optimizer": optimizer}).system


def test_the_optimizer_is_opened_between_loss_and_parameters() -> None:
    outline = training_outline(trained_by("m3"))
    assert {"optimizer/0.m3/M2.write", "optimizer/0.m3/param.write"} <= ids(outline)
    assert {"optimizer/0.m3/u", "parameters mid"} <= reached(outline, "loss")
    assert flow_scene(together(outline_of(trained_by("m3"), Wish(view="block")), outline)).shapes


def test_an_optimizer_that_a_group_names_is_opened_too() -> None:
    outline = training_outline(trained_by("m3"))
    titles = [part.title for part in outline.all() if part.kind == "block"]
    assert titles == [
        "optimizer: m3",
        "m3, for hidden_matrices",
        "adamw, for matrices of rest",
        "adamw, for rest",
    ]


def test_each_group_leads_to_the_levels_whose_parameters_it_moves() -> None:
    outline = training_outline(trained_by("m3"))
    moved = {(link.source, link.target) for link in outline.links if "parameters" in link.target}
    m3, matrices, rest = (
        f"optimizer/{group}/param.write" for group in ("0.m3", "1.adamw", "2.adamw")
    )
    assert moved == {
        *((m3, f"parameters {level}") for level in ("slow", "mid", "fast", "step")),
        (matrices, "parameters step"),  # the embedding
        (rest, "parameters step"),
    }


def test_an_optimizer_that_is_written_out_is_opened_as_it_stands() -> None:
    inline = textwrap.indent(SGD.replace("nestgraph: 1\nname: sgd\n", ""), "    ")
    system = system_of(f"{TINY}training:\n  lr: 0.5\n  optimizer:\n{inline}")
    outline = training_outline(system)
    (rate,) = (part for part in outline.all() if part.id == "optimizer/0.sgd/lr")
    assert rate.facts[0] == ("", "0.5 to 0.05")
    assert {"optimizer/0.sgd/p.write", "parameters step"} <= reached(outline, "loss")


def test_parameters_are_counted_by_how_often_they_move(system: System) -> None:
    from nestgraph.analysis.parameters import parameter_table

    outline = outline_of(system, Wish(view="optimizer"))
    groups = [part for part in outline.parts if part.kind == "parameters"]
    assert [part.title for part in groups][:2] == ["parameters: slow", "parameters: mid"]
    total = sum(int(part.badge.replace(",", "")) for part in groups)
    assert total == sum(one.size for one in parameter_table(system))
