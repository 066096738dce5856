"""`--set path=value`."""

from __future__ import annotations

from typing import Any

import pytest
from mistakes import FILE, GOOD, errors

from nestgraph.errors import SpecError
from nestgraph.language.spec import Spec
from nestgraph.language.system import Model


def model(**overrides: object) -> Model:
    named = {path.replace("__", "."): value for path, value in overrides.items()}
    found = Spec.from_sources({FILE: GOOD}, FILE, named).system.model
    assert found is not None
    return found


def complaint(path: str, value: object) -> str:
    (found,) = errors(GOOD, {path: value})
    return found


def test_vars_are_reached_by_path_or_by_name():
    assert model(vars__w=16).width == 16
    assert model(w=16).width == 16
    assert len(model(w=16).layers) == 8


@pytest.mark.parametrize("value", ["16", 16, "$d * 4", "1.6e1", 16.0])
def test_texts_are_read_as_yaml(value: object):
    texts = GOOD.replace("d: $w // 2", "d: 4")

    spec = Spec.from_sources({FILE: texts}, FILE, {"w": value})

    assert spec.system.model is not None
    assert spec.system.model.width == 16


def test_items_of_lists_are_reached_by_name_or_position():
    assert len(model(model__stack__b__repeat=1).layers) == 1
    assert len(model(model__stack__0__repeat=2).layers) == 2


def test_whole_mappings_and_new_fields_can_be_set():
    block = (
        model(
            **{
                "blocks.b.memories.M.rule": "{rate: 0.5}",
                "blocks.b.memories.M.heads": 2,
                "blocks.b.nodes.r.then.sigmoid": "tanh",
            }
        )
        .layers[0]
        .block
    )

    assert block.memories["M"].rule.rate.number == 0.5
    assert block.memories["M"].heads == 2
    assert getattr(block.nodes["r"], "op", None) == "tanh"


def test_python_values_can_be_set():
    spec = Spec.from_sources(
        {FILE: GOOD}, FILE, {"training": {"lr": 1e-05, "betas": [0.5, 0.6]}, "model.head.tie": True}
    )

    assert spec.system.training.lr == 1e-05
    assert spec.system.training.betas == (0.5, 0.6)
    assert spec.system.model is not None
    assert spec.system.model.tie_head


def test_a_section_that_is_not_there_is_begun():
    text = GOOD.replace("training: {optimizer: adamw}\n", "")
    for written in (text, text + "training:\n"):
        spec = Spec.from_sources({FILE: written}, FILE, {"training.steps": "9"})
        assert spec.system.training.steps == 9


def test_a_mistyped_setting_is_taken_for_a_key_that_the_file_gives_too():
    text = GOOD.replace("optimizer: adamw", "optimizer: adamw, steps: 5")

    (found,) = errors(text, {"training.stepps": 9})

    assert "unknown key `stepps` in `training` of the spec; did you mean `steps`?" in found


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("vars.ww", "9", "--set vars.ww=9:1:6: NG113 `vars` has no `ww`; did you mean `w`?"),
        ("widht", "9", "--set widht=9:1:1: NG113 no var is called `widht`"),
        ("blocks.c.output", "k", "--set blocks.c.output=k:1:8: NG113 `blocks` has no `c`"),
        (
            "blocks.b.nodes.q.in",
            "x",
            "--set blocks.b.nodes.q.in=x:1:16: NG113 `blocks.b.nodes` has no `q`",
        ),
        (
            "model.stack.bb.repeat",
            "3",
            "--set model.stack.bb.repeat=3:1:13: NG113 `model.stack` has no item `bb`; "
            "did you mean `b`?",
        ),
        ("model.stack.7", "3", "--set model.stack.7=3:1:13: NG113 `model.stack` has no item `7`"),
        (
            "blocks.b.memories.M.net.layers",
            "3",
            "--set blocks.b.memories.M.net.layers=3:1:25: NG113 `blocks.b.memories.M.net` is "
            "`linear`, not a mapping; set `blocks.b.memories.M.net` as a whole",
        ),
        ("vars..w", "3", "--set vars..w=3:1:1: NG113 path `vars..w` has an empty part"),
        ("extends", "hope", "--set extends=hope:1:1: NG113 no var is called `extends`"),
        (
            "training.learning_rate",
            "3",
            "--set training.learning_rate=3:1:10: NG103 unknown key `learning_rate` in "
            "`training` of the spec; did you mean `lr`?",
        ),
        (
            "trainig.lr",
            "1",
            "--set trainig.lr=1:1:1: NG103 unknown key `trainig` in the spec",
        ),
        (
            "training.steps",
            "many",
            "--set training.steps=many:1:16: NG104 `training.steps` of the spec is `many`; "
            "expected a whole number",
        ),
        ("w", "$ww", "--set w=$ww:1:3: NG108 no var is called `$ww`; did you mean `w`?"),
        ("w", "[1", "--set w=[1:1:3: NG101 did not find expected ',' or ']'"),
        ("w", "", "--set w=:1:3: NG104 var `w` is empty; expected a number or a word"),
        ("training.lr", float("nan"), "--set training.lr=NaN:1:13: NG104"),
    ],
)
def test_what_sets_nothing_is_refused_at_its_place(path: str, value: object, found: str):
    assert complaint(path, value).startswith(found)


def test_values_that_are_no_data_are_refused_not_crashed_on():
    thing: Any = object()

    assert "expected a whole number" in complaint("training.steps", thing)


def test_long_values_are_shown_in_short():
    found = complaint("training.steps", "[\n" + "1,\n" * 100 + "]")

    assert found.startswith("--set training.steps=[ 1, 1, 1,")
    assert "...:1:16: NG104 `training.steps` of the spec is a list" in found


def test_an_item_that_comes_twice_needs_its_position():
    text = GOOD.replace("[{block: b, repeat: $d}]", "[{block: b, repeat: $d}, {block: b}]")

    (found,) = errors(text, {"model.stack.b.repeat": 2})

    assert "`model.stack` has several `b`; use the position, from 0" in found


def test_the_text_of_an_override_is_shown_under_its_error():
    with pytest.raises(SpecError) as caught:
        Spec.from_sources({FILE: GOOD}, FILE, {"vars.ww": 9})

    lines = str(caught.value).splitlines()
    place = next(index for index, line in enumerate(lines) if "NG113" in line)
    assert lines[place + 1] == "    1 | vars.ww=9"
    assert lines[place + 2] == "             ^^"


@pytest.mark.parametrize("number", [0xDCFE, 0xD800])
def test_half_a_character_is_refused_at_its_place(number: int):
    half = chr(number)
    assert complaint("doc", f"a{half}b").startswith("--set doc=a")
    with pytest.raises(SpecError, match=r":1:6: NG101 `\\ud[0-9a-f]{3}` is half a character"):
        Spec.from_sources({FILE: GOOD}, FILE, {"doc": f"a{half}b"})


@pytest.mark.parametrize(
    ("path", "meant"),
    [("lr", "lr"), ("batch_size", "batch"), ("epochs", "steps"), ("wd", "weight_decay")],
)
def test_a_setting_of_the_training_without_its_section_is_told_with_it(path: str, meant: str):
    found = errors(GOOD, {path: "1"})

    assert found == [
        f"--set {path}=1:1:1: NG113 no var is called `{path}`; did you mean `training.{meant}`?"
    ]
    assert errors(GOOD, {f"training.{meant}": "1"}) == []
