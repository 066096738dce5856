"""What models are given to read is judged before they read it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import nestgraph as ng
from nestgraph.errors import InputError
from nestgraph.ops import lookup, position
from nestgraph.runtime.tokens import rows_of
from nestgraph.training.states import save_state

VOCAB = 10


def rows(*lists: list[int]) -> Tensor:
    return torch.tensor(lists)


def test_padding_that_all_rows_share_is_cut_off() -> None:
    found = rows_of(rows([1, 2, -1, -1], [3, 4, -1, -1]), VOCAB)
    assert found.tokens.tolist() == [[1, 2], [3, 4]]
    assert (found.time, found.lengths) == (4, None)


def test_rows_of_other_lengths_are_cut_to_the_longest_and_counted() -> None:
    found = rows_of(rows([1, -1, -1, -1], [3, 4, 5, -1], [-1, -1, -1, -1]), VOCAB)
    assert found.tokens.tolist() == [[1, -1, -1], [3, 4, 5], [-1, -1, -1]]
    assert found.lengths is not None
    assert found.lengths.tolist() == [1, 3, 0]


def test_nothing_but_padding_is_no_token_of_any_row() -> None:
    found = rows_of(rows([-1, -1], [-1, -1]), VOCAB)
    assert found.tokens.shape == (2, 0)
    assert found.lengths is None


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8, torch.int64])
def test_whole_numbers_of_any_size_are_tokens(dtype: torch.dtype) -> None:
    assert rows_of(rows([1, 2]).to(dtype), VOCAB).tokens.dtype == torch.int64


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (rows([1, 2], [-1, 4]), "NG744 row 1 has -1 before the token at position 1"),
        (rows([1, -1, 2]), "NG744 row 0 has -1 before the token at position 2"),
        (rows([1, -1, 2, -1]), "NG744 row 0 has -1 before the token at position 2"),
        (rows([1, 10]), "NG744 row 0 holds 10 at position 1; the model knows tokens 0 to 9"),
        (rows([1, 2], [3, -100]), "NG744 row 1 holds -100 at position 1"),
        (rows([1, 2]).float(), r"NG743 tokens are float32 of \(1, 2\); give whole numbers"),
        (rows([1, 2]) > 0, "NG743 tokens are bool"),
        (torch.tensor([1, 2]), r"NG743 tokens are int64 of \(2,\)"),
        (torch.tensor(1), r"NG743 tokens are int64 of \(\)"),
    ],
)
def test_what_is_no_row_of_tokens_is_refused_with_its_place(tokens: Tensor, said: str) -> None:
    with pytest.raises(InputError, match=said):
        rows_of(tokens, VOCAB)
    module = ng.compile(ng.load("transformer-tiny", {"vars.depth": 1, "model.embed.vocab": VOCAB}))
    with pytest.raises(InputError, match=said):
        module(tokens)


def test_a_state_of_unequal_rows_says_how_long_they_were(tmp_path: Path) -> None:
    module = ng.compile(ng.load("transformer-tiny", {"vars.depth": 1}))
    tokens = torch.randint(256, (12, 4))
    tokens[3, 2:] = -1
    state = module(tokens).state
    said = r"NG745 .*ended after \[4, 4, 4, 2, 4, 4, 4, 4\] and 4 more tokens"
    with pytest.raises(InputError, match=said):
        module(tokens, state)
    with pytest.raises(InputError, match=said):
        save_state(tmp_path / "mem.safetensors", module, state)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_positions_are_counted_beyond_what_16_bits_can(dtype: torch.dtype) -> None:
    for start in (0, 255, 510, 2047, 70_000):
        counted = position(torch.zeros(1, 4, 1, dtype=dtype), start)
        assert counted.flatten().tolist() == [start + i for i in (1, 2, 3, 4)]
    table = torch.arange(600.0).to(dtype)
    looked_up = lookup(position(torch.zeros(1, 3, 1, dtype=dtype), 298), table)
    assert looked_up.flatten().tolist() == table[298:301].tolist()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["hope-tiny", "deltanet-tiny", "samba-tiny", "cms-chain-tiny"])
def test_models_with_memories_on_tokens_refuse_16_bits(name: str, dtype: torch.dtype) -> None:
    tokens = torch.randint(256, (2, 5))
    module = ng.compile(ng.load(name, {"vars.depth": 1}))
    said = f"NG746 this model doesn't run under autocast to {str(dtype)[6:]}; it runs in float32"
    with torch.autocast("cpu", dtype), pytest.raises(InputError, match=said):
        module(tokens)
    with pytest.raises(InputError, match=f"NG746 .*weights of {str(dtype)[6:]}"):
        module.to(dtype)(tokens)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "name", ["transformer-tiny", "transformer-swa-tiny", "hope-attention-tiny"]
)
def test_models_of_attention_and_nets_alone_train_in_16_bits(name: str, dtype: torch.dtype) -> None:
    tokens = torch.randint(256, (2, 17))
    module = ng.compile(ng.load(name, {"vars.depth": 1}))
    with torch.autocast("cpu", dtype):
        cast = module.model.loss(tokens[:, :-1], tokens[:, 1:])[0]
    low = module.to(dtype).model.loss(tokens[:, :-1], tokens[:, 1:])[0]
    for loss in (cast, low):
        loss.backward()
        assert loss.item() == pytest.approx(5.5, abs=0.3)
    assert all(p.grad is None or p.grad.isfinite().all() for p in module.parameters())


def test_the_interpreter_refuses_16_bits() -> None:
    spec = ng.load("transformer-tiny", {"vars.depth": 1})
    with pytest.raises(InputError, match="NG746"):
        ng.reference(spec, dtype=torch.bfloat16)(torch.zeros(1, 2, dtype=torch.long))
