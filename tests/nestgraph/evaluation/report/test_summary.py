"""Means over seeds, differences by pairs, and what a table and a page tell of them."""

from __future__ import annotations

import math
import random
import statistics
from pathlib import Path

import pytest

from nestgraph.errors import InputError
from nestgraph.evaluation.cells import Cell, Setting
from nestgraph.evaluation.report import summaries, text_of, write_page

TASK = "mqar:T=64,K=4,V=256,a=0.01,random_non_queries=false"


def cell(side: str, seed: int, score: float | None, **changes: object) -> Cell:
    content = {
        "task": TASK,
        "side": side,
        "of": "",
        "setting": Setting(spec="ab", steps=10, budget=None, rates=[1e-3, 3e-3]),
        "split": "test",
        "seed": seed,
        "rate": 3e-3,
        "scores": {"score": score},
        "taken": 10,
        "seconds": 1.0,
        "skipped": seed,
        "ended": "all steps",
        "parameters": 1234,
        "flops": 56e3,
        "series": {"step": ((1.0, 0.5), (2.0, 0.25)), "position": ((4.0, 0.1),)},
    }
    return Cell(**{**content, **changes})


def drawn() -> tuple[list[Cell], list[float], list[float]]:
    base, other = ([random.random() for _ in range(4)] for _ in range(2))
    cells = [cell("hope", seed, score) for seed, score in enumerate(base)]
    cells += [cell("hope static", seed, one, of="hope") for seed, one in enumerate(other)]
    return cells, base, other


def test_differences_are_taken_seed_by_seed():
    cells, base, other = drawn()
    random.shuffle(cells)
    (summary,) = summaries(cells)
    rows = {row.side: row for row in summary.rows}
    gaps = [b - a for a, b in zip(base, other, strict=True)]
    found = rows["hope static"].difference
    assert found.value == pytest.approx(statistics.fmean(gaps))
    assert found.error == pytest.approx(statistics.stdev(gaps) / math.sqrt(4))
    assert rows["hope"].difference is None
    mean = rows["hope"].mean("score")
    assert mean.value == pytest.approx(statistics.fmean(base))
    assert mean.error == pytest.approx(statistics.stdev(base) / 2)


def test_seeds_without_a_number_or_without_a_pair_count_nowhere_and_are_told():
    cells = [cell("a", 0, 0.5), cell("a", 1, None, ended="NG732 bad"), cell("a", 3, 0.75)]
    cells += [cell("b", seed, 0.25, of="a") for seed in (0, 1, 2)]
    (summary,) = summaries(cells)
    first, second = summary.rows
    assert second.difference.value == -0.25
    assert (second.difference.error, second.difference.of) == (None, 1)
    assert first.mean("score").of == 2
    told = text_of(summary)
    assert "0.6250 ± 0.1250, 1 without a number" in told
    assert "`a`, seed 1 at rate 0.003: NG732 bad" in told


def test_the_table_has_what_must_be_known_of_each_side():
    cells, _, _ = drawn()
    cells += [cell("hope", 9, 0.125, split="tune", rate=1e-3)]
    told = text_of(summaries(cells)[0])
    lines = [line for line in told.splitlines() if line.startswith("| hope static")]
    (row,) = lines
    for part in ("(hope)", "| 0.003 |", "| 10 |", "| 6 |", "1,234", "56 k", "0 1 2 3"):
        assert part in row
    assert "Guessing gets 0.25." in told
    assert "- DeltaNet: 0.999 (" in told
    assert "`hope`: rates on rows of their own, 0.001: 0.1250." in told


def test_tasks_of_one_file_are_told_apart_and_unknown_ones_too():
    cells = [cell("a", 0, 0.5), cell("a", 0, 0.5, task="gone:K=1")]
    first, second = summaries(cells)
    assert first.task.name == "mqar"
    assert second.task is None
    assert "no such task" in text_of(second)


def test_a_bar_in_a_name_ends_no_cell():
    (summary,) = summaries([cell("a|b", 0, 0.5)])
    assert "| a\\|b |" in text_of(summary)


def test_the_page_holds_tables_and_plots_and_nothing_from_outside(tmp_path: Path):
    pytest.importorskip("matplotlib", reason="`nestgraph[report]` is not installed")
    cells, _, _ = drawn()
    cells.append(cell("<b>", 0, 0.5))
    page = tmp_path / "page.html"
    write_page(summaries(cells), page, tmp_path / "r.jsonl")
    content = page.read_text(encoding="utf-8")
    assert content.count("<img ") == 3  # by seed, on the way, by position
    assert "&lt;b&gt;" in content
    assert "<b>" not in content
    assert "http" not in content.replace("http-equiv", "")
    before = page.read_bytes()
    write_page(summaries(cells), page, tmp_path / "r.jsonl")
    assert page.read_bytes() == before


def test_a_page_never_takes_the_place_of_its_results(tmp_path: Path):
    pytest.importorskip("matplotlib", reason="`nestgraph[report]` is not installed")
    file = tmp_path / "r.jsonl"
    file.write_text("kept")
    link = tmp_path / "link"
    link.symlink_to(file)
    for page in (file, link):
        with pytest.raises(InputError, match="NG938"):
            write_page(summaries([cell("a", 0, 0.5)]), page, file)
    assert file.read_text() == "kept"


@pytest.mark.parametrize(
    ("chosen", "words"),
    [(1e-3, "The smallest was best"), (3e-3, ""), (1e-2, "The largest was best")],
)
def test_a_best_rate_at_the_edge_of_those_that_were_tried_is_told(chosen, words):
    tuned = [cell("a", 9, 0.5, split="tune", rate=rate) for rate in (1e-3, 3e-3, 1e-2)]
    told = text_of(summaries([*tuned, cell("a", 0, 0.5, rate=chosen)])[0])
    assert ("was best" in told) == bool(words)
    assert words in told
