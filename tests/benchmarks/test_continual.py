"""A second author read on with levels on clocks, from a training of two steps."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from benchmarks import continual
from benchmarks.cli import main
from benchmarks.continual import SPEC
from benchmarks.levels_read import Reading, Setting, kept_by_level, paid
from benchmarks.long_stream import read_long
from benchmarks.online import PIECE, grafted, read, rows_of
from nestgraph.compiler import compile_model
from nestgraph.language.spec import load

SMALL = {"vars.width": "16", "vars.heads": "2", "vars.depth": "1"}


def model(setting: Setting) -> torch.nn.Module:
    return compile_model(load(str(SPEC), {**SMALL, **setting.overrides()}).system, seed=0)


def still() -> torch.nn.Module:
    return model(Setting(levels=0, slowest=0, rate=0.0))


def test_levels_are_a_factor_of_four_apart_and_the_slowest_comes_last() -> None:
    periods = [Setting(levels=n, slowest=2048, rate=0.1).periods() for n in range(4)]
    assert periods == [
        {},
        {"slow": 2048},
        {"mid": 512, "slow": 2048},
        {"fast": 128, "mid": 512, "slow": 2048},
    ]


def test_rows_are_parts_of_the_text_in_order() -> None:
    rows = rows_of(b"abcdefghij", 2, 3)
    assert [bytes(row.tolist()) for row in rows] == [b"abcd", b"efgh"]


def test_without_levels_reading_costs_what_the_network_costs_in_one_piece() -> None:
    network, tokens = still(), torch.randint(256, (2, PIECE + 101))
    with torch.no_grad():
        logits = network(tokens[:, :-1]).logits
    nats = F.cross_entropy(logits.mT, tokens[:, 1:])
    assert read(network, tokens).bits == pytest.approx(nats.item() / 0.6931471805599453, rel=1e-4)


def test_a_grafted_level_alone_has_moved() -> None:
    network, tokens = still(), torch.randint(256, (2, 101))
    moved = model(Setting(levels=3, slowest=48, rate=0.5))
    moved.load_state_dict(network.state_dict())
    state = read(moved, tokens).state
    found = grafted(network, state, ["M"])["layers"]["0.layer"]
    first = network.initial_state(2)["layers"]["0.layer"]  # type: ignore[operator]
    assert torch.equal(found["M"].weights[0], state["layers"]["0.layer"]["M"].weights[0])
    assert not torch.equal(found["M"].weights[0], first["M"].weights[0])
    assert torch.equal(found["F"].weights[0], first["F"].weights[0])


def reading(seed: int, levels: int, slowest: int) -> Reading:
    setting = Setting(levels=levels, slowest=slowest, rate=0.1)
    return Reading(
        key=f"{seed}-{levels}-{slowest}",
        seed=seed,
        levels=levels,
        slowest=slowest,
        online=3.0 - 0.1 * levels + 0.01 * seed,
        back=2.5,
        lost=dict.fromkeys(setting.periods(), 0.25),
        gained=dict.fromkeys(setting.periods(), random.random()),
        minutes=1.0,
    )


def test_the_tables_compare_with_the_same_seed_without_levels() -> None:
    found = [reading(seed, levels, 512) for seed in (0, 1) for levels in (0, 2)]
    lines = paid([dataclasses.replace(r, slowest=0) if not r.levels else r for r in found])
    assert "| 2 | 512 | 2.8050 ± 0.0071 | +0.2000 ± 0.0000 | 2.5000 ± 0.0000" in lines
    by_level = kept_by_level(found).splitlines()
    assert len(by_level) == 4
    assert by_level[-1].startswith("| 2 | 512 | slow | 512 |")
    assert by_level[-1].endswith("| +0.2500 ± 0.0000 |")


def test_what_is_read_is_kept_and_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(continual, "PERIODS", (32,))
    text = tmp_path / "text.txt"
    text.write_bytes(b"It is a truth universally acknowledged, that a single man. " * 60)
    wishes = ["continual", "--first", str(text), "--second", str(text), "--seeds", "0"]
    wishes += ["--steps", "2", "--rows", "2", "--length", "100", "--back", "70"]
    wishes += ["--out", str(tmp_path / "runs")]

    with pytest.raises(SystemExit) as ended:
        main(wishes)
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "4 of 4: 3 levels, slowest 32, seed 0" in said

    with pytest.raises(SystemExit):
        main(wishes)
    again = capsys.readouterr().out
    assert "of 4:" not in again
    assert again.split("Trained on")[1] == said.split("Trained on")[1]


def test_a_long_stream_is_told_at_powers_of_ten(capsys: pytest.CaptureFixture[str]) -> None:
    assert read_long(12_000) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in lines[-2:]] == ["10,000", "12,000"]
