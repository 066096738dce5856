"""The parameters of any module, with what optimizers choose them by.

Layers of PyTorch tell embeddings, heads and linear maps. A model of nestgraph has no layers, but a
table of its parameters, wherever in the module it lies: with it they come in the groups and on the
clocks that `nestgraph train` gives them, under the names of the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor, nn

from nestgraph.analysis.parameters import ParameterSpec
from nestgraph.errors import InputError
from nestgraph.language.groups import traits_of
from nestgraph.runtime.weights import Weights

HEADS = ("head", "lm_head")
EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


def discover(module: nn.Module) -> list[dict[str, Any]]:
    """Return groups of (name, parameter), one for each kind and clock that the module tells apart.

    Raises:
        InputError: something has taken the place of a parameter of a model of nestgraph.
    """
    models = [part for part in module.modules() if isinstance(part, Weights)]
    groups = [group for weights in models for group in model_groups(_told(weights))]
    known = {id(parameter) for group in groups for _, parameter in group["params"]}
    return groups + _layer_groups(module, known)


def model_groups(parameters: Iterable[tuple[ParameterSpec, Tensor]]) -> list[dict[str, Any]]:
    """Return the trained parameters of a model of nestgraph, a group for each clock and kind."""
    groups: dict[tuple[object, ...], dict[str, Any]] = {}
    for spec, parameter in parameters:
        if not parameter.requires_grad:
            continue
        traits = traits_of(spec)
        told = {
            "level": spec.level,
            "period": spec.period,
            "kind": traits.kind,
            "linear_map": traits.linear_map,
            "stacked": traits.stacked,
        }
        group = groups.setdefault(tuple(told.values()), {**told, "params": []})
        group["params"].append((spec.name, parameter))
    return list(groups.values())


def hosts(module: nn.Module) -> list[nn.Module]:
    """Return the module, and the models of nestgraph in it, which may run without it."""
    inner = [
        part
        for part in module.modules()
        if part is not module and any(isinstance(child, Weights) for child in part.children())
    ]
    return [module, *inner]


def _told(weights: Weights) -> Iterator[tuple[ParameterSpec, Tensor]]:
    found = dict(weights.named_parameters())
    for spec in weights.table:
        if spec.name not in found:
            raise InputError(
                "NG735",
                f"`{spec.name}` of the model is no parameter any more: something has taken its"
                " place, such as a parametrization or a flat parameter",
                "build the optimizer before the model is wrapped, or give it groups by hand",
            )
        yield spec, found[spec.name]


def _layer_groups(module: nn.Module, known: set[int]) -> list[dict[str, Any]]:
    """Return what is left, as the layers of PyTorch tell it apart."""
    layers = dict(module.named_modules())
    embeddings = {id(w) for _, w in _weights(layers, EMBEDDINGS)}
    linears: dict[int, list[str]] = {}
    for name, weight in _weights(layers, (nn.Linear,)):
        linears.setdefault(id(weight), []).append(name)
    found: dict[tuple[str | None, bool], list[tuple[str, Tensor]]] = {}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad or id(parameter) in known:
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


def _weights(
    layers: dict[str, nn.Module], sorts: tuple[type[nn.Module], ...]
) -> Iterator[tuple[str, Tensor]]:
    for name, layer in layers.items():
        if isinstance(layer, sorts):
            yield name, layer.weight  # type: ignore[misc]
