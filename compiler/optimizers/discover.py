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
    linears = {id(w): name for name, w in _weights(layers, nn.Linear)}
    found: dict[tuple[str | None, bool], list[tuple[str, Tensor]]] = {}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        linear = linears.get(id(parameter))
        kind, maps = None, linear is not None
        if id(parameter) in embeddings:
            # A table that is the head too has inputs of its own kind: it is no linear map.
            kind, maps = "embeddings", False
        elif linear is not None and linear.rpartition(".")[2] in HEADS:
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
