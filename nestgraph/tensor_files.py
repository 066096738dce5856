"""The tensors of a trained network, by name, out of the files that such are kept in."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from nestgraph.errors import InputError

_INSIDE = ("last.ckpt", "model.safetensors")  # of a run folder; of a Hugging Face one
_OURS = "model.weights."  # before the names of the parameter table in a checkpoint of a run


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file, on the CPU; of a run's checkpoint the weights, by their names there.

    Args:
        path: a run folder or a .ckpt of nestgraph, a .safetensors file or a folder with
            `model.safetensors`, or a file that `torch.save` wrote a dictionary of tensors to.

    Raises:
        InputError: there is no such file (NG711), or it can't be read (NG712).
    """
    file = _file(path)
    try:
        content = _read(file)
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError("NG712", f"`{file}` can't be read: {why}") from error
    except Exception as error:  # what a damaged file makes a reader raise is anyone's guess
        said = f"`{file}` holds no tensors by name: it was cut short, or is another program's"
        raise InputError("NG712", said, "give a .ckpt, .safetensors or .pt file") from error
    inner = content.get("state_dict", content)
    found = inner if isinstance(inner, dict) else content
    return {
        name.removeprefix(_OURS): x
        for name, x in found.items()
        if isinstance(name, str) and isinstance(x, Tensor)
    }


def load_values(stream: BinaryIO) -> Any:
    """What `torch.save` wrote, if that is plain values: none of a stranger's code runs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the age of foreign files
        return torch.load(stream, map_location="cpu", weights_only=True)


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    if path.is_dir():
        inside = [path / name for name in _INSIDE if (path / name).is_file()]
        if inside:
            return inside[0]
        raise InputError("NG711", f"`{path}` holds none of {', '.join(_INSIDE)}", "give a file")
    raise InputError("NG711", f"there is no file `{path}`")


def _read(file: Path) -> dict[str, Any]:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return dict(load_file(file))
    with file.open("rb") as stream:
        content = load_values(stream)
    if not isinstance(content, dict):
        raise TypeError(type(content).__name__)
    return content
