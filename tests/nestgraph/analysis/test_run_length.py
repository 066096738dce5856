"""Equal repeats in a stack are told once."""

from __future__ import annotations

from dataclasses import replace

from nestgraph.analysis.run_length import roll_up, unrolled
from nestgraph.language.system import FlatBlock, Layer


def block(name: str) -> FlatBlock:
    return FlatBlock(name=name, inputs=("x",), memories={}, nodes={}, output="x")


def stack(letters: str) -> list[Layer]:
    blocks = {letter: block(letter) for letter in letters}
    return [Layer(path=f"{i}.{letter}", block=blocks[letter]) for i, letter in enumerate(letters)]


def rolled(letters: str) -> list[tuple[str, int]]:
    return [(item.layer.path, item.repeat) for item in roll_up(stack(letters))]


def test_a_repeated_layer_is_told_once() -> None:
    assert rolled("aaaa") == [("0.a", 4)]


def test_a_repeated_group_is_told_once() -> None:
    assert rolled("abcbabcbabcb") == [("0.a", 3), ("1.b", 3), ("2.c", 3), ("3.b", 3)]


def test_repeats_within_repeats_multiply() -> None:
    assert rolled("aabaab") == [("0.a", 4), ("2.b", 2)]


def runs(letters: str) -> list[tuple[str, int, list[tuple[str, int, int]]]]:
    return [
        (item.layer.path, item.in_a_row, [(run.first, run.length, run.times) for run in item.runs])
        for item in roll_up(stack(letters))
    ]


def test_layers_that_take_turns_are_one_run_and_none_repeats_in_a_row() -> None:
    run = [("0.a", 2, 3)]
    assert runs("ababab") == [("0.a", 1, run), ("1.b", 1, run)]


def test_a_run_may_hold_repeats_and_stand_among_other_layers() -> None:
    run = [("1.a", 3, 2)]
    assert runs("caabaab") == [("0.c", 1, []), ("1.a", 2, run), ("3.b", 1, run)]


def test_what_does_not_repeat_stays() -> None:
    assert rolled("abac") == [("0.a", 1), ("1.b", 1), ("2.a", 1), ("3.c", 1)]


def test_an_empty_stack_rolls_up_to_nothing() -> None:
    assert rolled("") == []


def test_blocks_that_are_equal_but_not_the_same_count_as_repeats() -> None:
    first = stack("aa")
    layers = [replace(layer, block=block("a")) for layer in first]
    assert layers[0].block is not layers[1].block
    assert [item.repeat for item in roll_up(layers)] == [2]


def test_unrolled_keeps_every_layer() -> None:
    assert [item.repeat for item in unrolled(stack("aab"))] == [1, 1, 1]
