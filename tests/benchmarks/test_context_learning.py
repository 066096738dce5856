"""Learning in context, from a training of two steps."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from benchmarks.cli import main, parser, run
from benchmarks.context_learning import losses_of, spans, switched_off
from nestgraph.api import compile
from nestgraph.spec import load

SMALL = {"vars.width": 16, "vars.heads": 2, "vars.depth": 1, "vars.max_rate": 1}
CHUNK = 8
TEXT = b"It is a truth universally acknowledged, that a single man in possession. " * 20
SPEC = """
nestgraph: 1
name: small
extends: hope-tiny
vars: {width: 16, heads: 2, depth: 1}
training: {data: text.txt, batch: 2, context: 20}
"""


def test_both_ways_agree_before_the_first_tick_and_differ_behind_it() -> None:
    module = compile(load("hope-tiny", SMALL), seed=1)
    still = switched_off(module, "vars.max_rate", "0")
    windows = torch.randint(256, (5, 4 * CHUNK + 1))
    learning, without = (losses_of(model, windows, batch=2) for model in (module.model, still))
    torch.testing.assert_close(learning[:, :CHUNK], without[:, :CHUNK])
    assert (learning[:, CHUNK:] - without[:, CHUNK:]).abs().max() > 1e-6


def test_losses_are_those_of_every_prediction() -> None:
    module = compile(load("hope-tiny", SMALL), seed=2)
    windows = torch.randint(256, (3, 18))
    found = losses_of(module.model, windows)
    with torch.no_grad():
        logits = module(windows[:, :-1]).logits
    expected = F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())
    assert found.shape == (3, 17)
    assert found.mean().item() == pytest.approx(expected.item(), rel=1e-5)


def test_spans_double_and_cover_every_position_once() -> None:
    assert list(spans(20)) == [(1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, 20)]
    covered = [p for first, last in spans(100) for p in range(first, last + 1)]
    assert covered == list(range(1, 101))


def test_a_short_training_is_asked_with_and_without_learning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_bytes(TEXT)
    Path("small.yaml").write_text(SPEC)
    threads = torch.get_num_threads()
    asked = ["context-learning", "small.yaml", "--steps", "2", "--windows", "3", "--threads", "1"]
    try:
        assert run(parser().parse_args(asked)) == 0
    finally:
        torch.set_num_threads(threads)
    printed = capsys.readouterr().out
    assert "3 windows of 20 bytes" in printed
    assert "17–20" in printed
    with Path("runs/context/curve.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["position", "as trained", "without"]
    assert len(rows) == 21


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["context-learning", "--without", "nothing"], "`--without nothing` sets nothing"),
        (["yardstick", "hope-tinny"], "did you mean `hope-tiny`"),
    ],
)
def test_what_makes_no_sense_ends_with_a_sentence(
    asked: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(asked)
    assert end.value.code == 2
    assert said in capsys.readouterr().err
