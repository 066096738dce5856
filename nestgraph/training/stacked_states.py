"""What a Hugging Face network on clocks remembers, as a file: safetensors with its identity inside.

A state only means something to the network and the levels that made it. The file carries the
network's configuration, a digest of its weights and its levels as text, and that text's hash;
another network is refused with the first line that differs. Rates may differ.
"""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nestgraph.errors import InputError
from nestgraph.training.hf import Cache, StackedModel, StackedState
from nestgraph.training.state_files import StateFormat

FORMAT = StateFormat(
    name="nestgraph-stacked-state-2",
    older="nestgraph-stacked-state-1",
    entry="network",
    of="a network on clocks",
    writer="`nestgraph stack --learn`",
)
SAMPLE = 1024  # numbers of each tensor that its digest is of
VOLATILE = {"transformers_version", "dtype", "torch_dtype"}  # of no meaning to a state


def save_stacked(path: Path, model: StackedModel, state: StackedState) -> None:
    """Write a state whole, or leave the file as it was.

    Raises:
        InputError: when the file can't be written.
    """
    FORMAT.write(path, _named(state), identity(model))


def load_stacked(path: Path, model: StackedModel) -> StackedState:
    """Return the state in a file.

    Raises:
        InputError: when there is no such file, it was cut short, or it is another network's.
    """
    file = FORMAT.read(path, identity(model))
    if file.difference:
        raise InputError(
            "NG762",
            f"`{path}` is the state of another network, or of other levels: {file.difference}",
            "give the state of this network, or another file for a new one",
        )
    blank = model.initial_state()
    wanted = {name for name, _ in _named(blank)}
    if missing := sorted(wanted - set(file.tensors)):
        raise InputError("NG761", f"`{path}` is incomplete: {missing[0]} is missing")
    device = blank.tokens.device
    placed = {name: tensor.to(device) for name, tensor in file.tensors.items()}
    return StackedState(
        int(placed["position"]),
        {name: placed[f"weights.{name}"] for name in blank.weights},
        {name: placed[f"sums.{name}"] for name in blank.sums},
        placed["tokens"],
        _cache(placed),
    )


def identity(model: StackedModel) -> str:
    """Return what a state depends on, line by line: levels, configuration, weights."""
    levels = [f"  every {one.period} tokens: layers {list(one.layers)}" for one in model.levels]
    found: Any = getattr(model.network, "config", None)
    known: Mapping[str, Any] = {} if found is None else found.to_dict()
    kept = {k: v for k, v in known.items() if k not in VOLATILE and not k.startswith("_")}
    config = textwrap.indent(json.dumps(kept, indent=2, sort_keys=True, default=str), "  ")
    weights = f"  weights: {_digest(model.network)}"
    return "\n".join(["levels:", *levels, "network:", config, weights])


def _digest(network: nn.Module) -> str:
    """Return a digest of the first numbers of each parameter: all would take minutes for large
    networks.
    """
    digest = hashlib.sha256()
    for name, parameter in network.named_parameters():
        some = parameter.detach().flatten()[:SAMPLE].to("cpu", torch.float32)
        digest.update(f"{name} {tuple(parameter.shape)}".encode())
        digest.update(some.numpy().tobytes())
    return digest.hexdigest()


def _named(state: StackedState) -> Iterator[tuple[str, Tensor]]:
    yield "position", torch.tensor(state.position)
    yield "tokens", state.tokens
    for kind, tensors in (("weights", state.weights), ("sums", state.sums)):
        yield from ((f"{kind}.{name}", tensor) for name, tensor in tensors.items())
    for layer, (keys, values) in enumerate(state.cache):
        yield f"cache.{layer}.k", keys
        yield f"cache.{layer}.v", values


def _cache(tensors: Mapping[str, Tensor]) -> Cache:
    count = sum(name.startswith("cache.") for name in tensors) // 2
    return tuple((tensors[f"cache.{i}.k"], tensors[f"cache.{i}.v"]) for i in range(count))
