"""Checksums of content: what is changed is told and named, and nothing else is."""

from __future__ import annotations

import io
import json
import math
import random
from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import Tensor

from nestgraph.runtime.checksums import damage, digest_of, header_damage, seal, seal_header


def content() -> dict[str, Any]:
    """Return a checkpoint with one of each kind of value."""
    made: dict[str, Any] = {
        "state_dict": OrderedDict(
            a=torch.randn(3, 4, dtype=torch.float64),
            b=torch.randn(5).to(torch.bfloat16),
            empty=torch.empty(0, 3),
        ),
        "optimizer_states": [{"state": {0: {"step": torch.tensor(3.0)}}, "betas": (0.9, 0.95)}],
        "loops": {"fit": {"done": 7, "best": math.inf, "none": None, "flag": True}},
        "global_step": 3,
        "nestgraph": {"format": 2, "sources": {"a.yaml": "name: a"}},
    }
    seal(made)
    return made


def reread(value: dict[str, Any]) -> dict[str, Any]:
    stream = io.BytesIO()
    torch.save(value, stream)
    stream.seek(0)
    read: dict[str, Any] = torch.load(stream, weights_only=True)
    return read


def test_saving_and_loading_keeps_every_checksum() -> None:
    made = content()
    again = reread(reread(made))
    assert damage(again, whole=True) is None
    seal(again)
    assert again["nestgraph"] == made["nestgraph"]


def test_the_layout_of_a_tensor_in_memory_is_no_part_of_it() -> None:
    x = torch.randn(4, 6, dtype=torch.complex128)
    assert digest_of(x) == digest_of(x.T.contiguous().T) == digest_of(x.conj().clone().conj())
    assert digest_of(x) == digest_of(torch.nn.Parameter(x))
    assert digest_of(torch.zeros(1).expand(5)) == digest_of(torch.zeros(5))


def test_no_two_values_have_one_checksum() -> None:
    values: list[object] = [
        *(None, True, False, 0, 1, -1, 0.0, -0.0, 1.0, math.nan, "", "1", b"1", b"", [], {}, [[]]),
        *([1, 2], [[1], 2], [1, [2]], ["ab"], ["a", "b"], {"a": "b"}, {"b": "a"}, {1: 2}),
        *(torch.zeros(2), torch.zeros(1, 2), torch.zeros(2, dtype=torch.float64), torch.ones(2)),
        *(torch.zeros(2, dtype=torch.int32), torch.zeros(0), torch.tensor(0.0)),
    ]
    assert len({digest_of(value) for value in values}) == len(values)


def places(value: Any, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Return where a value has something to change."""
    if isinstance(value, dict):
        return [p for key, inner in value.items() for p in places(inner, (*path, key))]
    if isinstance(value, list):
        return [p for i, inner in enumerate(value) for p in places(inner, (*path, i))]
    return [] if isinstance(value, Tensor) and not value.numel() else [path]


def changed(value: Any) -> Any:
    if isinstance(value, Tensor):
        flat = value.clone().reshape(-1)
        bits = flat.view(torch.uint8)
        bits[random.randrange(len(bits))] ^= 1 << random.randrange(8)
        return flat.reshape(value.shape)
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, (int, float)):
        return value + 1 if math.isfinite(value) else 0.5
    return (*value, 1) if isinstance(value, tuple) else f"{value}x"


def test_every_value_that_is_changed_is_told() -> None:
    whole = content()
    for path in places(whole):
        made = reread(whole)
        holder: Any = made
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = changed(holder[path[-1]])
        told = damage(made)
        named = "checksums" in map(str, path) or str(path[1 if path[0] == "state_dict" else 0])
        assert told, path
        assert named is True or f"`{named}`" in told


def test_a_part_that_is_left_out_is_missed_where_training_goes_on() -> None:
    made = content()
    del made["optimizer_states"]
    assert damage(made) is None
    assert damage(made, whole=True) == "its `optimizer_states` is missing"
    made["optimizer_stbtes"] = []  # not left out, but renamed
    assert damage(made) == "its `optimizer_states` is missing"


def test_weights_are_all_there_and_no_more() -> None:
    made = content()
    x = made["state_dict"].pop("a")
    assert damage(made) == "`a` is missing"
    made["state_dict"] |= {"a": x, "c": x}
    assert damage(made) == "`c` was not there"


def test_what_a_subclass_adds_later_is_its_own() -> None:
    made = content() | {"mine": 3}
    assert damage(made, whole=True) is None


def test_a_header_has_checksums_of_its_texts_and_of_each_tensor() -> None:
    tensors = {name: torch.randn(4) for name in "ab"}
    header = seal_header({"format": "x", "model": "y"}, tensors)
    assert json.loads(json.dumps(header)) == header
    assert header_damage(header, tensors) is None
    assert header_damage({"format": "x"}, tensors) is None
    assert header_damage(header | {"model": "z"}, tensors) == "its header is not what was written"
    assert header_damage(header | {"more": "z"}, tensors) == "its header is not what was written"
    assert header_damage(header, tensors | {"b": torch.randn(4)}) == "`b` is not what was written"
    assert header_damage(header, {"a": tensors["a"]}) == "`b` is missing"
    assert header_damage(header, tensors | {"c": torch.randn(4)}) == "`c` is not what was written"


@pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense", '{"header": 1, "tensors": 3}'])
def test_checksums_that_are_none_are_damage_themselves(text: str) -> None:
    assert header_damage({"format": "x", "checksums": text}, {}) is not None


def test_a_name_that_an_entry_and_its_checksum_share_is_told_when_it_is_damaged() -> None:
    made = content()
    stream = io.BytesIO()
    torch.save(made, stream)  # which writes such a name once
    data = stream.getvalue().replace(b"global_step", b"global_stop")
    read = torch.load(io.BytesIO(data), weights_only=True)
    assert read["global_stop"] == 3
    assert read["nestgraph"]["checksums"]["global_stop"]
    assert damage(read)


def test_large_tensors_have_the_checksums_of_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {name: [torch.randn(70), {"x": torch.randn(3, 30)}] for name in "abc"}
    one_by_one = digest_of(made)
    monkeypatch.setattr("nestgraph.runtime.checksums.LARGE", 1)
    assert digest_of(made) == one_by_one
