"""MLPs of a Hugging Face network on clocks: a small Llama with random weights, made here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from nestgraph.errors import InputError, SpecError
from nestgraph.rewriting.stacking import StackedLevel
from nestgraph.training.hf import StackedModel, StackedState, _cache_name

transformers = pytest.importorskip("transformers")

LEVELS = (
    StackedLevel(period=4, layers=(0,), rate=0.05),
    StackedLevel(period=8, layers=(1, 2), rate=0.02),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a network saved to the disk; nothing is downloaded."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=31,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    path = tmp_path_factory.mktemp("llama")
    transformers.LlamaForCausalLM(config).double().save_pretrained(path)
    return path


def opened(folder: Path, levels: tuple[StackedLevel, ...] = LEVELS) -> StackedModel:
    return StackedModel.load(folder, levels).double()


def test_it_is_the_loop_written_out(folder: Path) -> None:
    stacked = opened(folder)
    tokens = torch.randint(31, (1, 18))
    network = transformers.AutoModelForCausalLM.from_pretrained(folder).double()
    named = dict(network.named_parameters())
    fast = [p for n, p in named.items() if ".layers.0.mlp." in n]
    slow = [p for n, p in named.items() if ".layers.1.mlp." in n or ".layers.2.mlp." in n]
    past, logits, sums = transformers.DynamicCache(), [], [torch.zeros_like(p) for p in slow]
    for begin in range(0, 18, 4):
        kept_in = {_cache_name(network): past}
        answer = network(tokens[:, begin : begin + 4], use_cache=True, **kept_in)
        logits.append(answer.logits.detach())
        if begin + 4 >= 18:
            break
        labels = tokens[0, begin + 1 : begin + 5]
        loss = F.cross_entropy(answer.logits[0], labels, reduction="sum")
        slopes = torch.autograd.grad(loss, [*fast, *slow])
        kept = transformers.DynamicCache()
        for index, layer in enumerate(past.layers):
            kept.update(layer.keys.detach(), layer.values.detach(), index)
        past = kept
        sums = [s + g for s, g in zip(sums, slopes[len(fast) :], strict=True)]
        with torch.no_grad():
            for parameter, slope in zip(fast, slopes, strict=False):
                parameter -= 0.05 * slope
            if (begin + 4) % 8 == 0:
                for parameter, total in zip(slow, sums, strict=True):
                    parameter -= 0.02 * total
                sums = [torch.zeros_like(p) for p in slow]

    torch.testing.assert_close(stacked(tokens).logits, torch.cat(logits, 1), rtol=1e-9, atol=1e-9)


def test_pieces_give_the_numbers_of_the_whole(folder: Path) -> None:
    stacked, tokens = opened(folder), torch.randint(31, (1, 30))
    whole = stacked(tokens)
    for size in (1, 7):
        state: StackedState | None = None
        logits = []
        for piece in tokens.split(size, 1):
            answer = stacked(piece, state)
            logits.append(answer.logits)
            state = answer.state["stacked"]
        torch.testing.assert_close(torch.cat(logits, 1), whole.logits, rtol=1e-9, atol=1e-9)
        assert state is not None
        for name, weight in whole.state["stacked"].weights.items():
            torch.testing.assert_close(state.weights[name], weight, rtol=1e-9, atol=1e-9)


def test_a_rate_of_zero_is_the_network_and_leaves_it_alone(folder: Path) -> None:
    still = opened(folder, (StackedLevel(period=5, layers=(0, 1, 2), rate=0.0),))
    tokens = torch.randint(31, (1, 23))
    with torch.no_grad():
        plain = still.network(tokens).logits
        answer = still(tokens)
    torch.testing.assert_close(answer.logits, plain, rtol=1e-9, atol=1e-9)
    named = dict(still.network.named_parameters())
    for name, weight in answer.state["stacked"].weights.items():
        assert torch.equal(weight, named[name])


def test_moving_levels_leave_the_network_as_it_was(folder: Path) -> None:
    stacked = opened(folder)
    before = {n: p.clone() for n, p in stacked.network.named_parameters()}
    state = stacked(torch.randint(31, (1, 20))).state["stacked"]

    assert all(torch.equal(p, before[n]) for n, p in stacked.network.named_parameters())
    assert not any(torch.equal(w, before[n]) for n, w in state.weights.items())


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ((StackedLevel(period=4, layers=(7,), rate=1.0),), "no MLP in layer 7"),
        ((), "no level is given"),
        (
            (
                StackedLevel(period=4, layers=(0,), rate=1.0),
                StackedLevel(period=6, layers=(1,), rate=1.0),
            ),
            "isn't whole periods",
        ),
        (
            (
                StackedLevel(period=4, layers=(0,), rate=1.0),
                StackedLevel(period=8, layers=(0,), rate=1.0),
            ),
            "two levels",
        ),
    ],
)
def test_levels_that_do_not_fit_are_refused(
    folder: Path, levels: tuple[StackedLevel, ...], words: str
) -> None:
    with pytest.raises(SpecError, match=words):
        opened(folder, levels)


def test_a_folder_without_a_network_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be opened"):
        StackedModel.load(tmp_path, LEVELS)


def test_two_rows_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="a state is of one sequence"):
        opened(folder)(torch.zeros(2, 3, dtype=torch.long))
