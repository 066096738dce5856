"""Layers that take turns are drawn as one run, and never as repeats of each in a row."""

from __future__ import annotations

import pytest

from nestgraph.language.spec import load
from nestgraph.viz import draw, draw_diff
from nestgraph.viz.flows.outline import Part
from nestgraph.viz.flows.views import Wish, outline_of


def blocks(name: str, **changes: object) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Kind, badge and the frames inside of each frame of the block view."""
    outline = outline_of(load(name, changes).system, Wish(view="block"))
    return [
        (part.kind, part.badge, [(inner.kind, inner.badge) for inner in part.parts if inner.parts])
        for part in outline.parts
        if part.parts
    ]


def test_a_stack_that_alternates_is_folded_as_a_whole() -> None:
    assert blocks("samba", depth=12) == [("run", "×12", [("block", "")] * 4)]


def test_equal_layers_in_a_row_need_no_frame_around_them() -> None:
    assert blocks("transformer", depth=12) == [("block", "×12", [])]


def test_a_stack_that_does_not_repeat_is_drawn_in_full() -> None:
    assert blocks("samba", depth=1) == [("block", "", [])] * 4


@pytest.mark.parametrize("form", ["txt", "mmd", "svg", "dot"])
def test_every_format_says_so(form: str) -> None:
    picture = str(draw(load("samba", {"depth": 12}), format=form, view="block"))
    picture = picture.replace("#215;", "×")  # as Mermaid reads it
    assert picture.count("×12") == 1
    assert "4 layers in turn" in picture


def test_a_run_is_no_depth_of_its_own() -> None:
    outline = outline_of(load("samba").system, Wish(view="block", depth=0))
    (run,) = (part for part in outline.parts if part.kind == "run")
    assert [inner.kind for inner in run.parts] == ["closed"] * 4


def test_the_levels_say_that_memories_take_turns() -> None:
    told = str(draw(load("samba", {"depth": 12}), format="txt"))
    assert "mamba, in turn" in told
    assert "in turn" not in str(draw(load("transformer", {"depth": 12}), format="txt"))


def test_a_difference_tells_another_number_of_turns_and_no_box_twice() -> None:
    picture = str(draw_diff(load("samba"), load("samba", {"depth": 3}), format="txt"))
    assert "×2 -> ×3" in picture
    assert picture.count("layers in turn") == 1


def test_a_difference_of_runs_holds_every_box_of_the_new_one() -> None:
    old, new = load("samba"), load("transformer")
    outline = outline_of(new.system, Wish(view="block"))
    picture = str(draw_diff(old, new, format="txt"))
    titles = [part.title for part in _leaves(outline.parts)]
    assert all(title in picture for title in titles)


def _leaves(parts: tuple[Part, ...]) -> list[Part]:
    return [one for part in parts for one in part.all() if not one.parts]
