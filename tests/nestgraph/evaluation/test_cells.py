"""Files of results: what is kept, torn, damaged, or of other settings."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from nestgraph.errors import InputError, InputWarning
from nestgraph.evaluation.cells import Cell, Setting, add_cell, read_cells, require_same


def cell(**changes: object) -> Cell:
    setting = Setting(spec="ab", steps=10, budget=None, rates=[1e-3, 3e-3])
    one = Cell(
        task="mqar:K=4",
        side="small",
        of="",
        setting=setting,
        split="test",
        seed=0,
        rate=3e-3,
        scores={"score": random.random(), "longer": None},
        taken=10,
        seconds=random.random(),
        skipped=0,
        ended="all steps",
        parameters=100,
        flops=12.5,
        series={"step": [[1.0, 0.5]]},
    )
    return replace(one, **changes)


def test_cells_come_back_as_they_were_kept(tmp_path: Path):
    file, cells = tmp_path / "new" / "r.jsonl", [cell(seed=seed) for seed in range(3)]
    for one in cells:
        add_cell(file, one)
    assert read_cells(file) == cells
    assert file.read_text().count("\n") == 3


def test_where_there_is_no_file_there_are_no_cells(tmp_path: Path):
    assert read_cells(tmp_path / "r.jsonl") == []


def test_a_torn_last_line_is_told_left_out_and_written_anew(tmp_path: Path):
    file = tmp_path / "r.jsonl"
    for seed in range(2):
        add_cell(file, cell(seed=seed))
    whole = file.read_bytes()
    begin = whole.index(b"\n") + 1
    for end in random.sample(range(begin + 1, len(whole) - 1), 8):
        file.write_bytes(whole[:end])
        with pytest.warns(InputWarning, match="NG936 the last line .* was cut short"):
            assert [one.seed for one in read_cells(file)] == [0]
        add_cell(file, cell(seed=5))
        assert [one.seed for one in read_cells(file)] == [0, 5]


def test_a_last_line_that_only_lacks_its_end_is_kept(tmp_path: Path):
    file = tmp_path / "r.jsonl"
    add_cell(file, cell(seed=0))
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    assert [one.seed for one in read_cells(file)] == [0]
    add_cell(file, cell(seed=1))
    assert [one.seed for one in read_cells(file)] == [0, 1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: "no json",
        lambda line: "[]",
        lambda line: "[" * 100_000,
        lambda line: "\x00\x01",
        lambda line: json.dumps({**line, "more": 1}),
        lambda line: json.dumps({k: v for k, v in line.items() if k != "rate"}),
        lambda line: json.dumps({**line, "rate": "fast"}),
        lambda line: json.dumps({**line, "seed": 1.5}),
        lambda line: json.dumps({**line, "seed": True}),
        lambda line: json.dumps({**line, "scores": {}}),
        lambda line: json.dumps({**line, "scores": {"score": float("nan")}}),
        lambda line: json.dumps({**line, "series": {"step": [[1]]}}),
        lambda line: json.dumps({**line, "series": [1]}),
        lambda line: json.dumps({**line, "setting": {}}),
        lambda line: json.dumps({**line, "setting": {**line["setting"], "rates": 1}}),
    ],
)
def test_a_line_that_is_no_cell_is_refused_with_its_number(tmp_path: Path, damage):
    file = tmp_path / "r.jsonl"
    add_cell(file, cell(seed=0))
    with file.open("a") as stream:
        stream.write(damage(asdict(cell(seed=1))) + "\n")
    with pytest.raises(InputError, match="NG936 line 2 of"):
        read_cells(file)


def test_a_folder_holds_no_cells_and_takes_none(tmp_path: Path):
    with pytest.raises(InputError, match="NG936"):
        read_cells(tmp_path)
    with pytest.raises(InputError, match="NG721"):
        add_cell(tmp_path, cell())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spec": "cd"}, "as another spec than it is now"),
        ({"steps": 20}, "with --steps 10, and 20 is asked for"),
        ({"steps": None, "budget": 5.0}, "with --steps 10, and none is asked for"),
        ({"budget": 2.5}, "with --budget none, and 2.5 is asked for"),
        ({"rates": [1e-3]}, "with --lr 0.001 0.003, and 0.001 is asked for"),
    ],
)
def test_cells_of_other_settings_are_refused_with_what_differs(changes, words):
    kept = cell()
    require_same(Path("f"), [kept], kept.task, kept.side, kept.setting)
    other = replace(kept.setting, **changes)
    require_same(Path("f"), [kept], "mqar:K=8", kept.side, other)
    require_same(Path("f"), [kept], kept.task, "another", other)
    with pytest.raises(InputError, match="NG935") as refused:
        require_same(Path("f"), [kept], kept.task, kept.side, other)
    assert words in str(refused.value)
