"""The loss by position of a trained run, with and without inner learning."""

from __future__ import annotations

import csv
import math
import random
from pathlib import Path

import pytest
import torch
from rich.console import Console

from nestgraph.data import load_corpus
from nestgraph.errors import InputError
from nestgraph.evaluation.length import (
    lengths,
    losses_of,
    spans,
    together,
    without_learning,
    write_curves,
)
from nestgraph.language.spec import load
from nestgraph.training import load_run
from nestgraph.training.fit import fit

SMALL = {"vars.width": 16, "vars.heads": 2, "vars.depth": 1, "training.context": 8}
STEPS = {"training.steps": 2, "training.batch": 2, "training.warmup": 1}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a run with inner learning, and one without any."""
    folder = tmp_path_factory.mktemp("runs")
    text = folder / "text.txt"
    text.write_text("".join(random.Random(0).choices("abcdef \n", k=4000)))
    more = {"training.data": str(text), "vars.hidden": 16}
    for name in ("deltanet", "transformer"):
        spec = load(f"{name}-tiny", SMALL | STEPS | more)
        fit(spec, folder / name, console=Console(quiet=True))
    return {name: folder / name for name in ("deltanet", "transformer")}


def test_losses_are_those_of_a_model_that_reads_token_by_token(runs):
    found = lengths(runs["deltanet"], times=4, windows=3)
    module = load_run(runs["deltanet"])
    text = load_corpus(module.spec.system.training.data).validation
    assert found.on.shape == (3, 32)
    starts = [0, (len(text) - 33) // 2, len(text) - 33]
    for start, losses in zip(starts, found.on, strict=True):
        window = torch.tensor(list(text[start : start + 33]))[None]
        state = None
        for at in range(32):
            logits, state = module(window[:, at : at + 1], state)
            expected = -logits[0, 0].double().log_softmax(0)[window[0, at + 1]]
            assert losses[at].item() == pytest.approx(expected.item(), abs=1e-4)


def test_without_learning_the_weights_are_the_same_and_nothing_is_remembered(runs):
    module = load_run(runs["deltanet"])
    still = without_learning(module)
    assert still is not None
    before, after = module.model.state_dict(), still.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    # Only convolutions, three tokens wide in the past, know what stood before.
    tokens = torch.randint(97, 102, (1, 40))
    other = tokens.clone()
    other[:, :20] = torch.randint(97, 102, (1, 20))
    assert torch.equal(still(tokens).logits[:, -1], still(other).logits[:, -1])
    assert not torch.equal(module(tokens).logits[:, -1], module(other).logits[:, -1])


def test_a_model_without_inner_rates_has_nothing_to_stop(runs):
    found = lengths(runs["transformer"], times=2, windows=2)
    assert found.off is None
    assert "nothing to stop" in str(found)


def test_windows_are_no_longer_than_the_text_and_no_more_than_fit(runs):
    found = lengths(runs["deltanet"], times=100, windows=64)
    assert found.on.shape == (1, 399)  # a tenth of 4,000 bytes, all but the last of which predict
    assert found.on.isfinite().all()
    assert "49.875 times the context of 8" in str(found)


def test_a_text_that_is_shorter_than_the_context_is_refused(tmp_path: Path):
    text = tmp_path / "text.txt"
    text.write_text("".join(random.Random(0).choices("abcdef \n", k=200)))
    more = {"training.data": str(text), "vars.hidden": 16, "training.context": 32}
    fit(load("deltanet-tiny", SMALL | STEPS | more), tmp_path / "run", console=Console(quiet=True))
    with pytest.raises(InputError, match=r"NG702 .* holds 20 bytes, and one window takes 33"):
        lengths(tmp_path / "run")


def test_what_is_no_run_or_is_damaged_is_refused(runs, tmp_path: Path):
    with pytest.raises(InputError, match="NG711"):
        lengths(tmp_path / "nowhere")
    damaged = tmp_path / "last.ckpt"
    content = (runs["deltanet"] / "last.ckpt").read_bytes()
    damaged.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="NG712"):
        lengths(damaged)


@pytest.mark.parametrize("context", [1, 8, 12, 100])
def test_spans_end_at_halves_and_doubles_of_the_context_and_leave_nothing_out(context):
    positions = 16 * context
    found = spans(context, positions)
    assert [at for low, high in found for at in range(low, high + 1)] == [*range(1, positions + 1)]
    ends = {high for _, high in found}
    assert {context * times for times in (1, 2, 4, 8, 16)} <= ends
    assert context // 2 in ends or context == 1


def test_a_loss_that_is_no_number_is_told_as_such(runs):
    module = load_run(runs["deltanet"])
    with torch.no_grad():
        module.model.weights.get_submodule("norm").gain.fill_(math.nan)
    rows = torch.randint(97, 102, (2, 17))
    assert losses_of(module, rows).isnan().all()
    found = lengths(runs["deltanet"], times=2, windows=2)
    found.on[:, 9:] = math.nan
    assert "| 9 to 16 | no number |" in str(found)


def test_curves_hold_the_mean_loss_at_every_position(runs, tmp_path: Path):
    found = [lengths(runs[name], times=2, windows=3) for name in ("deltanet", "transformer")]
    write_curves(tmp_path / "curves.csv", found)
    with (tmp_path / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == [str(runs["deltanet"])] * 16 + [
        str(runs["transformer"])
    ] * 16
    assert [int(row["position"]) for row in rows] == [*range(1, 17)] * 2
    means = [float(row["learning"]) for row in rows]
    assert means == pytest.approx([x for each in found for x in each.on.mean(0).tolist()])
    still = [float(row["without"]) for row in rows[:16]]
    assert still == pytest.approx(found[0].off.mean(0).tolist())
    assert {row["without"] for row in rows[16:]} == {""}


def test_runs_together_are_compared_run_by_run(runs):
    found = [lengths(runs["deltanet"], times=2, windows=w) for w in (2, 3)]
    told = together(found)
    gains = [(each.on - each.off)[:, 8:].mean().item() for each in found]
    mean = sum(gains) / 2
    error = abs(gains[0] - gains[1]) / 2
    assert f"{mean:+.4f} ± {error:.4f} |" in told
    assert "## 2 runs" in told
