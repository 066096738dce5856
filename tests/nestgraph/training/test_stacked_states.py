"""What a network on clocks remembers, as a file. The network is a stand-in that is called alike."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nestgraph.errors import InputError
from nestgraph.rewriting.stacking import StackedLevel
from nestgraph.training.hf import StackedModel
from nestgraph.training.stacked_states import load_stacked, save_stacked
from nestgraph.training.stacked_stream import read_stacked

VOCAB, WIDTH = 11, 6


class Kept:
    """What the stand-in's cache has: all embeddings, as the keys of one layer."""

    def __init__(self) -> None:
        self.layers: list[Any] = []

    def update(self, keys: Tensor, values: Tensor, layer: int) -> None:
        """Put one layer's events behind the others."""
        assert layer == len(self.layers)
        self.layers.append(SimpleNamespace(keys=keys, values=values))


class Network(nn.Module):
    """Adds the mean of all tokens so far, then asks an MLP."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embed = nn.Embedding(VOCAB, WIDTH)
        self.layers = nn.ModuleList(
            [nn.ModuleDict({"mlp": nn.Sequential(nn.Linear(WIDTH, VOCAB))})]
        )

    def forward(self, tokens: Tensor, cache: Kept, use_cache: bool) -> SimpleNamespace:
        x = self.embed(tokens)
        past = cache.layers[0].keys if cache.layers else x[:, :0]
        every = torch.cat((past, x), 1)
        cache.layers = [SimpleNamespace(keys=every, values=every)]
        mean = every.cumsum(1) / torch.arange(1, every.shape[1] + 1)[:, None]
        first: Any = self.layers[0]
        return SimpleNamespace(logits=first["mlp"](mean[:, past.shape[1] :] + x))


@pytest.fixture(autouse=True)
def no_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = ModuleType("transformers")
    stand_in.DynamicCache = Kept  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "transformers", stand_in)


def stacked(seed: int = 0, period: int = 4, rate: float = 0.1) -> StackedModel:
    return StackedModel(Network(seed), [StackedLevel(period=period, layers=(0,), rate=rate)])


def test_a_text_in_two_parts_with_a_file_between_is_the_whole(tmp_path: Path) -> None:
    path, tokens = tmp_path / "mem.safetensors", torch.randint(VOCAB, (30,))
    _, whole = read_stacked(stacked(), tokens, len(tokens))

    _, half = read_stacked(stacked(), tokens[:14], 14)
    save_stacked(path, stacked(), half)
    online, after = read_stacked(stacked(), tokens[14:], 16, state=load_stacked(path, stacked()))

    assert after.position == whole.position == 30
    assert online.moves == (29 // 4 - 13 // 4,)
    for name, weight in whole.weights.items():
        torch.testing.assert_close(after.weights[name], weight)
        assert not torch.equal(weight, stacked().initial_state().weights[name])
    torch.testing.assert_close(after.cache[0][0], whole.cache[0][0])
    assert torch.equal(after.tokens, whole.tokens)


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"seed": 1}, "in `network`, `weights: "),
        ({"period": 8}, "in `levels`, `every 4 tokens: layers [0]` there"),
    ],
)
def test_another_network_or_other_levels_are_refused_by_name(
    other: dict[str, Any], difference: str, tmp_path: Path
) -> None:
    path = tmp_path / "mem.safetensors"
    save_stacked(path, stacked(), stacked().initial_state())

    with pytest.raises(InputError) as refused:
        load_stacked(path, stacked(**other))
    assert refused.value.diagnostics[0].code == "NG762"
    assert difference in str(refused.value)
    assert load_stacked(path, stacked(rate=0.0)).position == 0  # rates may differ


def test_a_file_cut_short_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "mem.safetensors"
    save_stacked(path, stacked(), stacked().initial_state())
    short = path.read_bytes()[:-7]
    path.write_bytes(short)

    with pytest.raises(InputError, match="cut short"):
        load_stacked(path, stacked())
    assert path.read_bytes() == short
