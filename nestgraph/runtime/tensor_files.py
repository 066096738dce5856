"""The tensors of a trained network, by name, out of the files that such are kept in."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nestgraph.errors import InputError
from nestgraph.runtime import checksums
from nestgraph.runtime.archives import require_claims, require_records
from nestgraph.text.files import broken_link

_INSIDE = ("last.ckpt", "model.safetensors")  # of a run folder; of a Hugging Face one
_OURS = "model.weights."  # before the names of the parameter table in a checkpoint of a run


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return every tensor of a file, on the CPU; of a run's checkpoint the weights, by their names
    there.

    Args:
        path: a run folder or a .ckpt of nestgraph, a .safetensors file or a folder with
            `model.safetensors`, or a file that `torch.save` wrote a dictionary of tensors to.

    Raises:
        InputError: there is no such file (NG711), it can't be read (NG712), it isn't as it was
            written (NG715), or unpacks to many times its size (NG716).
    """
    file = file_of(path)
    try:
        content = _read(file)
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError("NG712", f"`{file}` can't be read: {why}") from error
    except InputError:
        raise
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


def unfit(tensor: Tensor, *, finite: bool = True) -> str | None:
    """Return why a tensor can't be weights; None where it can.

    Args:
        tensor: of a file.
        finite: whether infinities and what is no number count.
    """
    if tensor.layout != torch.strided or tensor.is_nested:
        return f"is {str(tensor.layout).removeprefix('torch.')}, not dense"
    if tensor.is_meta:
        return "has a shape and no numbers"
    if not tensor.is_floating_point():
        return f"holds {str(tensor.dtype).removeprefix('torch.')}, not floating-point numbers"
    if finite and not (good := tensor.isfinite()).all():
        first = tensor[~good].flatten()[0].item()
        return f"holds {first} at {int((~good).sum())} of {tensor.numel()} places"
    return None


def load_values(file: Path) -> Any:
    """Return what `torch.save` wrote, if that is plain values: none of a stranger's code runs.

    Raises:
        InputError: a record of the file is damaged (NG715), or it unpacks to many times its size
            (NG716), which is seen before it is unpacked.
        Exception: whatever a file of another kind makes its reader raise.
    """
    with file.open("rb") as stream:
        require_records(file, stream, tensors=False)
        stream.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the age of foreign files
            content = torch.load(stream, map_location="cpu", weights_only=True)
        require_claims(file, stream, content)
        if not checksums.has_sums(content):  # else its tensors are compared one by one
            require_records(file, stream, tensors=True)
    return content


def file_of(path: Path) -> Path:
    """Return the file that holds the tensors of a path: itself, or the one inside of a folder.

    Raises:
        InputError: there is none (NG711).
    """
    if path.is_file():
        return path
    if path.is_dir():
        inside = [path / name for name in _INSIDE if (path / name).is_file()]
        if inside:
            return inside[0]
        raise InputError("NG711", f"`{path}` holds none of {', '.join(_INSIDE)}", "give a file")
    raise InputError("NG711", broken_link(path) or f"there is no file `{path}`")


def _read(file: Path) -> dict[str, Any]:
    if file.suffix == ".safetensors":
        header, tensors = load_safetensors(file)
        if what := checksums.header_damage(header, tensors):
            raise checksums.damaged(f"`{file}`", what, "take another copy")
        return tensors
    content = load_values(file)
    if not isinstance(content, dict):
        raise TypeError(type(content).__name__)
    if checksums.has_sums(content) and (what := checksums.damage(content)):
        raise checksums.damaged(f"`{file}`", what)
    return content


def load_safetensors(file: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the texts in the header of a file, and its tensors by name, which the file no longer
    moves.

    Raises:
        SafetensorError: its header and its length don't fit.
        OSError: it can't be read.
    """
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        header: Mapping[str, str] = opened.metadata() or {}
        names: list[str] = list(opened.keys())
        return dict(header), {name: opened.get_tensor(name).clone() for name in names}
