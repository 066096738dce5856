"""Mixers around the naive functions of flash-linear-attention, where that package is installed.

Its naive functions need no accelerator, but the package as a whole does: their files are loaded
one by one. They take (batch, time, heads, width) or (batch, heads, time, width).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from benchmarks.mixers import merge, mixer_step, split
from benchmarks.steps import Size, Step

PACKAGE = "fla"
Heads = Mapping[str, Tensor]
Naive = Callable[[Any, Heads], Tensor]


def step(name: str, size: Size) -> Step | None:
    """Return a mixer around the function that computes what the system's memory does, if there is
    one.
    """
    if name not in _NAIVE or find_spec(PACKAGE) is None or find_spec("einops") is None:
        return None
    path, call = _NAIVE[name]
    module = _load(path)
    if module is None:
        return None

    def kernel(flows: Heads) -> Tensor:
        wide = {part: split(flows[part], size.heads) for part in ("q", "k", "v", "w")}
        wide["k"] = F.normalize(wide["k"], dim=-1)
        wide["rate"] = flows["rate"].sigmoid().transpose(1, 2)
        wide["decay"] = F.logsigmoid(flows["decay"] + 4).transpose(1, 2)
        return merge(call(module, wide))

    parts = dict.fromkeys(("q", "k", "v", "w"), size.width)
    return mixer_step(size, {**parts, "rate": size.heads, "decay": size.heads}, size.width, kernel)


def _load(path: str) -> Any:
    """Return a file of the package, by itself."""
    spec = find_spec(PACKAGE)
    assert spec is not None
    for folder in spec.submodule_search_locations or ():
        file = Path(folder) / "ops" / path / "naive.py"
        if file.is_file():
            found = spec_from_file_location(f"naive_{path.replace('/', '_')}", file)
            assert found is not None
            assert found.loader is not None
            module = module_from_spec(found)
            found.loader.exec_module(module)
            return module
    return None


def _swapped(x: Tensor) -> Tensor:
    return x.transpose(1, 2)


def _linear(m: Any, f: Heads) -> Tensor:
    q, k, v = (_swapped(f[part]) for part in "qkv")
    answer: Tensor = m.naive_chunk_linear_attn(q, k, v)
    return _swapped(answer)


def _retention(m: Any, f: Heads) -> Tensor:
    answer: Tensor = m.naive_retention(*(f[part] for part in "qkv"))
    return answer


def _simple_gla(m: Any, f: Heads) -> Tensor:
    flows = (_swapped(f[part]) for part in ("q", "k", "v", "decay"))
    answer: Tensor = m.naive_chunk_simple_gla(*flows)[0]
    return _swapped(answer)


def _delta(m: Any, f: Heads) -> Tensor:
    answer: Tensor = m.delta_rule_chunkwise(f["q"], f["k"], f["v"], f["rate"])[0]
    return answer


def _gated_delta(m: Any, f: Heads) -> Tensor:
    flows = {
        name: _swapped(f[part])
        for name, part in {"q": "q", "k": "k", "v": "v", "g": "decay", "beta": "rate"}.items()
    }
    answer: Tensor = m.naive_chunk_gated_delta_rule(**flows)[0]
    return _swapped(answer)


def _dplr(m: Any, f: Heads) -> Tensor:
    """Return RWKV-7: decay by channel, and an erase under the key."""
    k, fades = f["k"], F.logsigmoid(f["w"] + 4)
    erase = k * f["rate"].unsqueeze(-1)
    answer: Tensor = m.dplr_chunkwise(f["q"], k, f["v"], -k, erase, fades)[0]
    return answer


_NAIVE: Mapping[str, tuple[str, Naive]] = {
    "linear-attention": ("linear_attn", _linear),
    "retnet": ("retention", _retention),
    "mamba-2": ("simple_gla", _simple_gla),
    "deltanet": ("delta_rule", _delta),
    "gated-deltanet": ("gated_delta_rule", _gated_delta),
    "rwkv-7": ("generalized_delta_rule/dplr", _dplr),
}
