"""Runs that are killed at any time, inside saves too, go on as if nothing had happened."""

from __future__ import annotations

import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from forks import End, Forks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="forks and signals"),
]

KILLS = 200
INSIDE = 0.4  # of them in a write
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SPEC = """\
nestgraph: 1
name: small
vars: {width: 8}
levels: {context: 3 tokens, slow: 2 steps}
blocks:
  mix:
    memories:
      C: {net: linear, level: context, keys: k, values: v, rule: {rate: 0.1}}
      S: {net: linear, level: slow, objective: task}
    nodes:
      q: {op: linear, in: x, then: [l2_norm]}
      k: {op: linear, in: x, then: [l2_norm]}
      v: {op: linear, in: x}
      c: {read: C, query: q, at: boundary}
      h: {op: sum, in: [x, c]}
      s: {read: S, query: h}
      out: {op: sum, in: [h, s]}
model:
  embed: {vocab: 256, width: $width}
  stack: [{block: mix}]
  norm: rms_norm
  head: {tie: true}
training: {batch: 2, context: 8, steps: 9, warmup: 2, val_interval: 2, lr: 0.01, min_lr: 0.001}
"""
TRAIN = ("train", "small.yaml", "--data", "text.txt")
STREAM = (*TRAIN, "--stream", "--max-steps", 9)
LEARN = ("generate", "model", "To be", "--tokens", 3, "--learn", "--state", "mem.safetensors")
# Of a checkpoint. Lightning's own loops count steps for logs that a resumption begins anew.
KEPT = ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "stream", "text")
COMPLETE = ("has all its", "has read all its")  # said of a run that has nothing left to do


@dataclass(kw_only=True)
class Trial:
    """A command that is killed over and over.

    Attributes:
        forks: where it runs.
        place: the folder that it runs in.
        random: chooses times and signals.
        seconds: that it takes when nobody kills it.
        steps: of writes in it, as many as were met so far.
        signals: that were sent, and how many of each.
        inside: how many of them inside a write.
        ended: how often the command ended by the signal, and not before it.
    """

    forks: Forks
    place: Path
    random: random.Random
    seconds: float
    steps: int
    signals: Counter[str] = field(default_factory=Counter)
    inside: int = 0
    ended: int = 0

    def kill(self, command: tuple[object, ...]) -> End:
        """Run the command and kill it somewhere; by chance it has ended before."""
        number = self.random.choice(SIGNALS)
        if self.random.random() < INSIDE:
            write = self.random.randrange(self.steps)
            end = self.forks.run(command, self.place, number=number, write=write)
            self.inside += 1
        else:
            after = self.random.uniform(0, self.seconds)
            end = self.forks.run(command, self.place, number=number, after=after)
        self.signals[number.name] += 1
        self.ended += end.status != 0
        refused = end.status == 2 and any(one in end.said for one in COMPLETE)
        assert end.status in (0, 130, -number) or refused, end
        assert "Traceback" not in end.said, end
        return end

    def told(self) -> str:
        """Return the numbers of the summary."""
        each = ", ".join(f"{count} {name}" for name, count in sorted(self.signals.items()))
        return (
            f"{self.signals.total()} kills ({each}), {self.inside} of them inside a write;"
            f" {self.ended} ended the command"
        )


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    """Return the process that forks."""
    made = Forks()
    yield made
    made.close()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with a spec and a text."""
    (tmp_path / "small.yaml").write_text(SPEC)
    text = random.Random(0).choices("abcdefgh \n", k=600)
    (tmp_path / "text.txt").write_text("".join(text))
    return tmp_path


def begun(forks: Forks, place: Path, fuzz: Any, command: tuple[object, ...]) -> Trial:
    """Return a trial of a command, measured on two runs of it: the first is slower."""
    for name in ("first", "whole"):
        end = forks.run((*command, "--out", name), place)
        assert end.status == 0, end
    draw = random.Random(fuzz.seed)
    return Trial(forks=forks, place=place, random=draw, seconds=end.seconds, steps=end.steps)


def assert_same(one: Any, other: Any, where: str) -> None:
    """Bit by bit."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{where}.{index}")
    else:
        assert one == other, where


def assert_whole(run: Path, unbroken: Path) -> None:
    """Assert that a run is an unbroken one: its weights, optimizer and numbers; and nothing else is
    left.
    """
    files = sorted(unbroken.glob("*.ckpt"))
    assert files
    for file in files:
        theirs: dict[str, Any] = torch.load(file, weights_only=True)
        ours: dict[str, Any] = torch.load(run / file.name, weights_only=True)
        for entry in KEPT:
            assert_same(ours.get(entry), theirs.get(entry), f"{file.name}: {entry}")
    assert (run / "metrics.csv").read_bytes() == (unbroken / "metrics.csv").read_bytes()


def going_on(command: tuple[object, ...], run: Path) -> tuple[object, ...]:
    """Return what a user types: on from a save, or once more from the start."""
    if not (run / "last.ckpt").is_file():
        return (*command, "--out", run)
    stream = ("--stream",) if "--stream" in command else ()
    return ("train", *stream, "--resume", run)


@pytest.mark.parametrize("command", [TRAIN, STREAM], ids=["train", "stream"])
def test_a_run_that_is_killed_at_any_time_goes_on_to_the_same_numbers(
    forks: Forks, place: Path, fuzz: Any, command: tuple[object, ...]
) -> None:
    trial = begun(forks, place, fuzz, command)
    wanted, runs = fuzz.amount(KILLS * 2 // 5), 0
    while trial.signals.total() < wanted:
        run, runs = place / f"run-{runs}", runs + 1
        for _ in range(min(trial.random.randrange(1, 7), wanted - trial.signals.total())):
            if trial.kill(going_on(command, run)).status == 0:
                break
        last = forks.run(going_on(command, run), place)
        assert last.status == 0 or any(one in last.said for one in COMPLETE), last
        assert_whole(run, place / "whole")
        shutil.rmtree(run)
    fuzz.tell(f"{trial.told()}; {runs} runs went on to the same numbers")


def test_a_state_that_learns_is_whole_or_old_whenever_it_is_killed(
    forks: Forks, place: Path, fuzz: Any
) -> None:
    assert forks.run((*TRAIN, "--out", "model"), place).status == 0
    file = place / "mem.safetensors"
    assert forks.run(LEARN, place).status == 0
    old = file.read_bytes()
    whole = forks.run(LEARN, place)
    new = file.read_bytes()
    assert old != new
    draw = random.Random(fuzz.seed)
    trial = Trial(forks=forks, place=place, random=draw, seconds=whole.seconds, steps=whole.steps)
    found = Counter[str]()
    while trial.signals.total() < fuzz.amount(KILLS // 5):
        file.write_bytes(old)
        end = trial.kill(LEARN)
        kept = file.read_bytes()
        assert kept in (old, new), end
        assert end.status != 0 or kept == new
        found["old" if kept == old else "new"] += 1
        if kept == old:
            assert forks.run(LEARN, place).status == 0
            assert file.read_bytes() == new
    assert not list(place.glob(".*"))
    fuzz.tell(f"{trial.told()}; the state was old {found['old']} times, new {found['new']}")
