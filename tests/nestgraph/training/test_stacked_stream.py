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
from nestgraph.rewriting.stacking import StackedLevel
from nestgraph.training.hf import StackedModel
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


@pytest.mark.parametrize(
    "text", ["128", "128:0", "128:a:1", "128:0:x", "128:0:-1", "128:0:inf", "128:3-1:1"]
)
def test_anything_else_is_refused_with_what_was_written(text: str) -> None:
    with pytest.raises(InputError, match=text) as caught:
        parse_level(text)

    assert "PERIOD:LAYERS:RATE" in str(caught.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small Llama over bytes, without a tokenizer."""
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


CLOCKS = """\
nestgraph: 1
name: both
network: {network}
levels: {{fast: 8 tokens, slow: 32 tokens}}
mlps:
  - {{layers: 0, level: fast, rate: 0.2}}
  - {{layers: 1, level: slow, rate: 0.2}}
"""


def test_a_file_of_clocks_reads_as_the_options_do_and_goes_on_from_a_state(
    folder: Path, tmp_path: Path
) -> None:
    text, clocks, state = tmp_path / "text.txt", tmp_path / "clocks.yaml", tmp_path / "mem"
    text.write_bytes(TEXT)
    clocks.write_text(CLOCKS.format(network=folder))
    options = (str(folder), "--level", "8:0:0.2", "--level", "32:1:0.2", "--data", str(text))
    given = (str(clocks), "--data", str(text))

    assert told(run(*given)[1]) == told(run(*options)[1])
    first = run(*given, "--state", str(state), "--learn")[1]
    assert paid(run(*given, "--state", str(state))[1]) < paid(first) - 0.05
    still = run(*given, "--set", "mlps.0.rate=0", "--set", "mlps.1.rate=0")[1]
    assert told(still) == told(run(*given, "--frozen")[1].replace(", frozen", ""))


def test_a_layer_that_the_network_lacks_is_told_where_the_file_names_it(
    folder: Path, tmp_path: Path
) -> None:
    text, clocks = tmp_path / "text.txt", tmp_path / "clocks.yaml"
    text.write_bytes(TEXT)
    clocks.write_text(CLOCKS.format(network=folder).replace("layers: 1", "layers: [1, 3-4]"))
    status, said = run(str(clocks), "--data", str(text))

    assert status == 2
    for layer in (3, 4):
        assert f"clocks.yaml:7:14: NG763 the network has no MLP in layer {layer}" in "".join(
            said.split("\n")
        )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("clocks.yaml", "--level", "8:0:1"), "`--level` stands beside `clocks.yaml`"),
        (("llama", "--level", "8:0:1", "--set", "a=1"), "`--set a=1` changes no file"),
        (("absent.yaml",), "no file and no shipped spec is called `absent.yaml`"),
    ],
)
def test_options_that_do_not_fit_what_is_read_are_refused(
    arguments: tuple[str, ...], words: str
) -> None:
    status, said = run(*arguments, "--data", "austen")

    assert status == 2
    assert words in " ".join(said.split())


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


def told(said: str) -> str:
    """Return what the command says, behind the progress of the network's loading."""
    return said[said.index("tokens ") :]


def paid(said: str) -> float:
    return float(said.rsplit("online ", 1)[1].split()[0])
