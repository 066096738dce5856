"""No damaged file opens as another: it is refused by name, or opens to the last bit as before."""

from __future__ import annotations

import io
import random
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from fuzz.corruption import corrupted
from rich.console import Console
from torch import Tensor
from torch.utils.data import DataLoader

from nestgraph.errors import SpecError
from nestgraph.language.spec import Spec, load
from nestgraph.report.runs import read_run
from nestgraph.runtime.checksums import ENTRY, SUMS, digest_of
from nestgraph.runtime.tensor_files import read_tensors
from nestgraph.training import compile, load_run
from nestgraph.training.checkpoint import describe, read_checkpoint
from nestgraph.training.fit import fit
from nestgraph.training.states import load_state, save_state
from nestgraph.training.stream import stream

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
FULL = 500
FILES = ("run", "stream", "trainer", "first", "hook", "state", "pt")
TEXTS = (
    "spec.yaml",
    "resolved.yaml",
    "overrides.json",
    "metrics.csv",
    "times.csv",
    "environment.json",
    "SHA256SUMS",
)
TEXT = """\
nestgraph: 1
name: small
levels: {context: 4 tokens, slow: 2 steps}
blocks:
  b:
    memories:
      C: {net: linear, heads: 2, level: context, keys: k, values: x, rule: {rate: 0.1}}
      S: {net: linear, level: slow, objective: task}
    nodes:
      k: {op: linear, in: x, then: [l2_norm]}
      c: {read: C, query: k, at: boundary}
      s: {read: S, query: c}
      out: {op: sum, in: [x, s]}
model: {embed: {vocab: 256, width: 8}, stack: [{block: b}]}
training: {batch: 2, context: 8, steps: 4, val_interval: 2, warmup: 1}
"""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of file.

    Attributes:
        path: a good one; its place is where damaged ones are put.
        opened: everything that it means to who opens it, as one text.
        strange: other errors than ours that its reader may raise, as it isn't ours.
    """

    path: Path
    opened: Callable[[], str]
    strange: tuple[type[Exception], ...] = ()


def whole(content: Mapping[str, Any]) -> str:
    """Return all of a checkpoint save its checksums."""
    entry = {key: value for key, value in content[ENTRY].items() if key != SUMS}
    return digest_of({**content, ENTRY: entry})


def module_of(path: Path) -> str:
    """Return a run as `generate` sees it, and what `--resume` would go on with."""
    module = load_run(path)
    spec = module.spec
    said = [digest_of(module.state_dict()), spec.resolved_yaml(), str(dict(spec.sources))]
    return "\n".join([*said, whole(read_checkpoint(path, whole=True))])


def by_hand(spec: Spec, path: Path) -> str:
    """Return a checkpoint as a user's own Trainer reads it: PyTorch's way, and the module's
    hook.
    """
    content = torch.load(path, map_location="cpu", weights_only=True)
    module = compile(spec, blank=True)
    module.on_load_checkpoint(content)
    module.load_state_dict(content["state_dict"])
    return whole(content) + digest_of(module.state_dict())


def sum_of(tensors: Mapping[str, Tensor]) -> str:
    return digest_of(dict(sorted(tensors.items())))


def quiet() -> Console:
    return Console(file=io.StringIO())


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kind]:
    """Return one file of each kind."""
    place = tmp_path_factory.mktemp("files")
    (place / "small.yaml").write_text(TEXT)
    (place / "text.txt").write_bytes(bytes(range(97, 123)) * 30)
    spec = load(place / "small.yaml", set={"training.data": str(place / "text.txt")})
    run = fit(spec, place / "run", console=quiet()).folder
    streamed = stream(spec, place / "streamed", max_steps=3, console=quiet()).folder
    made = {
        "run": run / "last.ckpt",
        "stream": streamed / "last.ckpt",
        "trainer": of_a_trainer(spec, place / "trainer.ckpt"),
        "first": of_the_first_format(spec, place / "first.ckpt"),
    }
    found = {
        name: Kind(path=path, opened=lambda path=path: module_of(path))
        for name, path in made.items()
    }
    mine = made["trainer"]
    foreign = (Exception,)  # whatever PyTorch's reader comes to
    found["hook"] = Kind(path=mine, opened=lambda: by_hand(spec, mine), strange=foreign)
    module = load_run(run)
    state = module(torch.randint(256, (2, 11))).state
    memory = place / "memory.safetensors"
    save_state(memory, module, state)
    found["state"] = Kind(path=memory, opened=lambda: digest_of(load_state(memory, module)))
    weights = place / "weights.pt"
    torch.save(dict(module.state_dict()), weights)
    found["pt"] = Kind(path=weights, opened=lambda: sum_of(read_tensors(weights)))
    for name in TEXTS:
        found[name] = Kind(path=run / name, opened=lambda: str(read_run(run)))
    return found


def of_a_trainer(spec: Spec, path: Path) -> Path:
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    rows: Any = list(torch.randint(256, (20, 9)))
    trainer.fit(compile(spec), DataLoader(rows, batch_size=2))
    trainer.save_checkpoint(path)
    return path


def of_the_first_format(spec: Spec, path: Path) -> Path:
    entry = {**describe(spec), "format": 1}
    torch.save({"state_dict": compile(spec).state_dict(), ENTRY: entry}, path)
    return path


@pytest.mark.parametrize(
    "name",
    [*FILES, *TEXTS],
)
def test_no_damaged_file_opens_as_another(name: str, kinds: dict[str, Kind], fuzz: Any) -> None:
    kind = kinds[name]
    source = random.Random(f"{fuzz.seed}/{name}")
    good = kind.path.read_bytes()
    before = kind.opened()
    said: Counter[str] = Counter()
    try:
        for number in range(fuzz.amount(FULL)):
            way, damaged = corrupted(good, source)
            kind.path.write_bytes(damaged)
            said[outcome(kind, before, f"{way}, number {number}")] += 1
    finally:
        kind.path.write_bytes(good)
    fuzz.tell(f"{name}: " + ", ".join(f"{count} {what}" for what, count in sorted(said.items())))
    assert kind.opened() == before


def outcome(kind: Kind, before: str, how: str) -> str:
    """Return the code by which a file was refused, or that it opened as it was."""
    try:
        with warnings.catch_warnings(record=True):
            after = kind.opened()
    except SpecError as error:
        codes = sorted({finding.code for finding in error.diagnostics})
        named = kind.path.name in str(error) or "the checkpoint" in str(error)
        if not named or not all(code.startswith("NG7") for code in codes):
            pytest.fail(f"{how}: {error}")
        return ", ".join(codes)
    except kind.strange as error:
        return f"refused by its reader ({type(error).__name__})"
    assert after == before, f"{how}: opened as another"
    return "unchanged"
