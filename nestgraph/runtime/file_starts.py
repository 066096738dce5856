"""First states that lie in files: `init: {kind: checkpoint}`.

A file is read when parameters are made for the first time. What a checkpoint's weights are about
to replace needs no file: a run opens and goes on without the one that it began with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from nestgraph.analysis.parameters import StateShape, state_shapes
from nestgraph.errors import Diagnostic, InputError, SpecError
from nestgraph.findings import did_you_mean, listed
from nestgraph.language.system import Layer, Memory, System
from nestgraph.runtime.tensor_files import read_tensors, unfit
from nestgraph.text.start_paths import memories_of_files, start_path

DENSE = "save it as a dense tensor of finite floating-point numbers"
LAYER = "<n>"  # in a key: the number of the layer


def file_starts(system: System, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Return the first numbers of parameters that start as a file says, by their names.

    Args:
        system: of a model, with its widths known.
        dtype: of the parameters, which must reach as far as the numbers of the file.

    Raises:
        SpecError: with every file that is missing (NG711) or can't be read (NG712), and every
            tensor that is not in it or has another shape (NG714), or holds what can't be weights
            (NG717).
    """
    files: dict[Path, Mapping[str, Tensor] | InputError] = {}
    found: dict[str, Tensor] = {}
    problems: list[Diagnostic] = []
    for layer, memory, origin in memories_of_files(system):
        path = start_path(origin.init)
        if path not in files:
            files[path] = _tensors(path)
        try:
            for part, tensor in _parts(layer, origin, path, files[path], dtype):
                found[f"{layer.path}.{memory.name}.{part}"] = tensor
        except InputError as error:
            problems += [replace(one, span=origin.init.span) for one in error.diagnostics]
    if problems:
        raise SpecError(problems)
    return found


def _tensors(path: Path) -> Mapping[str, Tensor] | InputError:
    """Return those of a file, or why there are none: many memories may ask for it."""
    try:
        return read_tensors(path)
    except InputError as error:
        return error


def _parts(
    layer: Layer,
    memory: Memory,
    path: Path,
    tensors: Mapping[str, Tensor] | InputError,
    dtype: torch.dtype,
) -> Iterator[tuple[str, Tensor]]:
    """Yield short names of a memory's parameters, and what they start as."""
    if isinstance(tensors, InputError):
        raise tensors
    shapes = state_shapes(memory)
    for shape, name in zip(shapes, _names(layer, memory, shapes, tensors), strict=True):
        if name not in tensors:
            hint = did_you_mean(name, tensors)
            raise InputError("NG714", f"`{path}` holds no tensor `{name}`", hint)
        tensor = tensors[name]
        if why := unfit(tensor):
            raise InputError("NG717", f"`{name}` of `{path}` {why}", DENSE)
        if tuple(tensor.shape) not in (shape.shape, _single(shape)):
            raise InputError(
                "NG714",
                f"`{name}` of `{path}` has shape {tuple(tensor.shape)}; `{memory.name}` starts"
                f" with {shape.shape}: heads, out, in",
            )
        if not tensor.to(dtype).isfinite().all():
            most = f"up to {tensor.abs().max().item():g}"
            said = f"`{name}` of `{path}` holds numbers {most}, beyond {dtype}"
            raise InputError("NG717", said, DENSE)
        yield shape.name, tensor.reshape(shape.shape)


def _names(
    layer: Layer, memory: Memory, shapes: tuple[StateShape, ...], tensors: Mapping[str, Tensor]
) -> list[str]:
    keys = [key.replace(LAYER, layer.path.partition(".")[0]) for key in memory.init.keys]
    if len(keys) > 1 and len(keys) != len(shapes):
        parts = listed(shape.name for shape in shapes)
        raise InputError(
            "NG714",
            f"`key` names {len(keys)} tensors, and `{memory.name}` consists of {len(shapes)}",
            f"name one for each of {parts}",
        )
    if len(keys) > 1 or (keys and len(shapes) == 1 and keys[0] in tensors):
        return keys
    start = keys[0] if keys else f"{layer.path}.{memory.name}"
    return [f"{start}.{shape.name}" for shape in shapes]


def _single(shape: StateShape) -> tuple[int, ...]:
    """Return the shape in a file that knows no heads, where there is one."""
    return shape.shape[1:] if shape.shape[0] == 1 else shape.shape
