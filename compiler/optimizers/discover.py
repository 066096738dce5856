"""The parameters of any module, with what optimizers choose them by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

HEADS = ("head", "lm_head")


def discover(module: nn.Module) -> list[dict[str, Any]]:
    """Groups of (name, parameter), one for each kind that the module's layers tell apart."""
    layers = {name: layer for name, layer in module.named_modules()}
    embeddings = {id(w) for _, w in _weights(layers, nn.Embedding)}
    linears: dict[int, list[str]] = {}
    for name, weight in _weights(layers, nn.Linear):
        linears.setdefault(id(weight), []).append(name)
    found: dict[tuple[str | None, bool], list[tuple[str, Tensor]]] = {}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        names = linears.get(id(parameter), [])
        # What several layers share has more inputs than one: it is no linear map.
        kind, maps = None, len(names) == 1
        if id(parameter) in embeddings:
            kind, maps = "embeddings", False
        elif any(name.rpartition(".")[2] in HEADS for name in names):
            kind = "head"
        found.setdefault((kind, maps), []).append((name, parameter))
    return [
        {"params": members, "kind": kind, "linear_map": maps}
        for (kind, maps), members in found.items()
    ]


def _weights(layers: dict[str, nn.Module], sort: type) -> Iterator[tuple[str, Tensor]]:
    for name, layer in layers.items():
        if isinstance(layer, sort):
            yield name, layer.weight  # type: ignore[misc]
