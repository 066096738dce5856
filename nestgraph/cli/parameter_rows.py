"""The learned tensors of a model as rows; layers that share a block share their rows."""

from __future__ import annotations

from nestgraph.analysis.parameters import ParameterSpec
from nestgraph.language.system import System

HEADER = ("name", "shape", "of each", "starts", "role", "moves")


def parameter_rows(system: System, table: tuple[ParameterSpec, ...]) -> list[tuple[str, ...]]:
    """Return one row for a tensor, named by its first layer, with how many layers have one like
    it.
    """
    first, count = _repeats(system)
    rows = []
    for spec in table:
        path = layer_path(spec.name)
        if first.get(path, path) == path:
            rows.append(row(spec, count.get(path, 1)))
    return rows


def row(spec: ParameterSpec, count: int = 1) -> tuple[str, ...]:
    """Return one tensor, in the order of `HEADER`."""
    shape = " x ".join(map(str, spec.shape))
    return (spec.name, shape, f"{count} x", start(spec), spec.role, moves(spec))


def layer_path(name: str) -> str:
    """Return `3.hope` of `3.hope.a.q.weight`."""
    return ".".join(name.split(".")[:2])


def start(spec: ParameterSpec) -> str:
    """Return how the tensor starts."""
    match spec.init:
        case "normal":
            return f"normal, std {spec.std:.4g}"
        case "constant":
            return f"{spec.value:g}"
        case "spread":
            return f"{'log ' if spec.log else ''}{spec.value:g} to {spec.last:g}"
        case _:
            return spec.init


def moves(spec: ParameterSpec) -> str:
    """Return how often training moves the tensor."""
    if not spec.trained:
        return "never"
    return "every step" if spec.period == 1 else f"every {spec.period} steps ({spec.level})"


def _repeats(system: System) -> tuple[dict[str, str], dict[str, int]]:
    """Return, for each layer's path, the first layer with that block, and how many there are."""
    layers = system.model.layers if system.model else ()
    home: dict[int, str] = {}
    first: dict[str, str] = {}
    count: dict[str, int] = {}
    for layer in layers:
        first[layer.path] = home.setdefault(id(layer.block), layer.path)
        count[first[layer.path]] = count.get(first[layer.path], 0) + 1
    return first, count
