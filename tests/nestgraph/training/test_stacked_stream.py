"""A text read once by a network of Hugging Face with its MLPs on clocks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from typer.testing import CliRunner

from nestgraph.cli.commands import app
from nestgraph.errors import InputError
from nestgraph.training.hf import StackedLevel, StackedModel
from nestgraph.training.stacked_stream import Online, parse_level, read_stacked

TEXT = b"the same four words, the same four words again, " * 12


@pytest.mark.parametrize(
    ("text", "layers", "period", "rate"),
    [
        ("128:0:1e-4", (0,), 128, 1e-4),
        ("512:2-4,7:0", (2, 3, 4, 7), 512, 0.0),
        ("8:0,1:0.5", (0, 1), 8, 0.5),
    ],
)
def test_a_level_is_a_period_layers_and_a_rate(
    text: str, layers: tuple[int, ...], period: int, rate: float
) -> None:
    assert parse_level(text) == StackedLevel(period=period, layers=layers, rate=rate)


@pytest.mark.parametrize("text", ["128", "128:0", "128:a:1", "128:0:x", "128:0:-1", "128:0:inf"])
def test_anything_else_is_refused_with_what_was_written(text: str) -> None:
    with pytest.raises(InputError, match=text) as caught:
        parse_level(text)

    assert "PERIOD:LAYERS:RATE" in str(caught.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama over bytes, without a tokenizer."""
    return saved(tmp_path_factory.mktemp("llama"), 256)


def saved(path: Path, vocab: int) -> Path:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=vocab,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=1024,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(path)
    return path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["stack", *arguments])
    return result.exit_code, result.output


def test_rates_of_zero_cost_what_the_network_costs_in_one_piece(folder: Path) -> None:
    model = StackedModel.load(folder, [StackedLevel(period=8, layers=(0, 1), rate=0.0)])
    tokens = torch.tensor(list(TEXT))
    told: list[Online] = []

    online, _ = read_stacked(model, tokens, len(TEXT), told.append)

    with torch.no_grad():
        logits = model.network(tokens[None, :-1]).logits[0]
    nats = F.cross_entropy(logits, tokens[1:]).item()
    assert online.tokens == len(TEXT) - 1
    assert online.bytes == len(TEXT)
    assert math.isclose(online.nats_per_token, nats, rel_tol=1e-4)
    assert told[-1] == online
    assert [one.tokens for one in told[:2]] == [64, 128]


def test_levels_that_move_pay_less_for_a_text_that_repeats_itself(
    folder: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(TEXT)
    given = (str(folder), "--level", "8:0:0.2", "--level", "32:1:0.2", "--data", str(text))

    status, moving = run(*given)
    _, still = run(*given, "--frozen")

    assert status == 0, moving
    assert "every 8 tokens, layers 0: 71 moves" in moving
    assert "every 32 tokens, layers 1: 17 moves" in moving
    assert still.rstrip().endswith("frozen")
    assert paid(moving) < paid(still) - 0.1


def test_part_of_a_text_is_read_where_that_is_wished(folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(TEXT)
    status, said = run(str(folder), "--level", "8:0:0.1", "--data", str(text), "--max-bytes", "50")

    assert status == 0
    assert "over 49 tokens of 50 bytes" in said


def test_a_level_that_never_ticks_is_refused(folder: Path, tmp_path: Path) -> None:
    model = StackedModel.load(folder, [StackedLevel(period=600, layers=(0,), rate=0.1)])
    with pytest.raises(InputError, match="600 tokens never ticks: the text has 576"):
        read_stacked(model, torch.tensor(list(TEXT)), len(TEXT))


def test_a_network_without_a_tokenizer_that_does_not_know_bytes_is_refused(tmp_path: Path) -> None:
    network, text = saved(tmp_path / "llama", 300), tmp_path / "text.txt"
    text.write_bytes(TEXT)
    status, said = run(str(network), "--level", "8:0:0.1", "--data", str(text))

    assert status == 2
    assert "holds no tokenizer, and its vocabulary of 300" in said.replace("\n", " ")


def paid(said: str) -> float:
    return float(said.rsplit("online ", 1)[1].split()[0])
