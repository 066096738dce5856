"""Checksums of what files of ours hold: sha256 of every tensor, and of everything beside them.

They are of the content, not of the file's bytes, and lie in the file itself as plain values: who
reads a file and writes it again keeps them right. Each part has its own, so that a part which was
left out (an optimizer, say) takes nothing from the others.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nestgraph.errors import InputError

ENTRY = "nestgraph"  # of a checkpoint: its spec, and the checksums of all entries
SUMS = "checksums"  # within that entry
CHANGED = "is not what was written"
# Of all names together: a name that stands in a file once, for an entry and for its checksum, is
# damaged in both.
NAMES = ""
LARGE = 1 << 20  # numbers from which on threads are worth their while
WEIGHTS = "state_dict"  # of a checkpoint: told tensor by tensor
EDITED = (
    "take another copy, such as best.ckpt; if it was changed on purpose, set its"
    f" `['{ENTRY}']['{SUMS}']` to None, and it opens as it is"
)


class Digest(Protocol):
    """What `hashlib` makes."""

    def update(self, data: Any, /) -> None:
        """Add bytes."""

    def hexdigest(self) -> str:
        """Return the sum so far."""


def seal(content: dict[str, Any]) -> None:
    """Note the checksums of a checkpoint in its entry; those of before go."""
    entry = content[ENTRY] = {k: v for k, v in content[ENTRY].items() if k != SUMS}
    sums = dict(_sums(content))
    entry[SUMS] = sums | {NAMES: digest_of(sorted(sums))}


def damage(
    content: Mapping[str, Any], *, whole: bool = False, leave: tuple[str, ...] = ()
) -> str | None:
    """Return what of a checkpoint isn't as it was written; None where all is.

    Args:
        content: of a checkpoint with checksums.
        whole: whether parts may not be missing; else only weights and spec must be there.
        leave: entries that somebody else has changed since.
    """
    noted = dict(content[ENTRY][SUMS])
    if noted.pop(NAMES, None) != digest_of(sorted(map(str, noted))):
        return "the names of its parts or its list of checksums are not what was written"
    kept = {name: value for name, value in content.items() if name not in leave}
    found = dict(_sums(kept))
    for name, digest in found.items():
        if name in noted and noted[name] != digest:
            return f"{_named(name)} {CHANGED}"
    strange = sorted(set(map(str, found)) - set(noted))
    for name in sorted(set(map(str, noted)) - set(found) - set(leave)):
        if whole or strange or name == ENTRY or name.startswith(f"{WEIGHTS}/"):
            return f"{_named(name)} is missing"
    weights = [name for name in strange if name.startswith(f"{WEIGHTS}/")]
    return f"{_named(weights[0])} was not there" if weights else None


def has_sums(content: object) -> bool:
    """Return whether something is a checkpoint with checksums."""
    entry = content.get(ENTRY) if isinstance(content, Mapping) else None
    return isinstance(entry, Mapping) and isinstance(entry.get(SUMS), Mapping)


def seal_header(header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Return the header of a file of tensors with the checksums of both."""
    sums = {name: digest_of(tensor) for name, tensor in tensors.items()}
    told = {"header": digest_of(sorted(header.items())), "tensors": sums}
    return {**header, SUMS: json.dumps(told)}


def header_damage(header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str | None:
    """Return what of a file of tensors isn't as it was written; None where all is, or nothing is
    noted.
    """
    if SUMS not in header:
        return None
    try:
        told = json.loads(header[SUMS])
        noted, of_header = dict(told["tensors"]), told["header"]
    except (ValueError, TypeError, KeyError):
        return f"its list of checksums {CHANGED}"
    rest = {name: text for name, text in header.items() if name != SUMS}
    if digest_of(sorted(rest.items())) != of_header:
        return f"its header {CHANGED}"
    for name in sorted({*noted, *tensors}):
        if name not in tensors:
            return f"`{name}` is missing"
        if noted.get(name) != digest_of(tensors[name]):
            return f"`{name}` {CHANGED}"
    return None


def damaged(place: str, what: str, hint: str = EDITED) -> InputError:
    """Return the refusal of a file that isn't as it was written."""
    return InputError("NG715", f"{place} is damaged: {what}", hint)


def digest_of(value: object) -> str:
    """Return the checksum of plain values and tensors; the same after saving and loading them."""
    return _digest_of(value, _of_tensors(value))


def tensors_in(value: object) -> Iterator[Tensor]:
    """Yield every tensor in a tree of mappings and lists."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        inner: Iterable[Any] = value.values() if isinstance(value, Mapping) else value
        for one in inner:
            yield from tensors_in(one)


def _digest_of(value: object, known: Mapping[int, str]) -> str:
    digest = hashlib.sha256()
    _add(digest, value, known)
    return digest.hexdigest()


def _of_tensors(value: object) -> dict[int, str]:
    """Return the digest of each tensor in a value, by its `id`; of large ones on all cores at
    once.
    """
    found = {id(x): x for x in tensors_in(value)}
    if sum(x.numel() for x in found.values()) < LARGE:
        return {key: _of_tensor(x) for key, x in found.items()}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(found, pool.map(_of_tensor, found.values()), strict=True))


def _sums(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    known = _of_tensors(content)
    for name, value in content.items():
        if name == ENTRY:
            yield name, _digest_of({k: v for k, v in value.items() if k != SUMS}, known)
        elif name == WEIGHTS and isinstance(value, Mapping):
            yield from ((f"{name}/{key}", _digest_of(x, known)) for key, x in value.items())
        else:
            yield name, _digest_of(value, known)


def _named(name: str) -> str:
    part, _, tensor = name.partition("/")
    return f"`{tensor}`" if part == WEIGHTS and tensor else f"its `{part}`"


def _add(digest: Digest, value: object, known: Mapping[int, str]) -> None:
    """Add a value with its kind and length, so that no two values read alike."""
    if isinstance(value, Tensor):
        digest.update(f"tensor {known.get(id(value)) or _of_tensor(value)};".encode())
    elif isinstance(value, Mapping):
        digest.update(f"map {len(value)};".encode())
        for key, inner in value.items():
            _add(digest, key, known)
            _add(digest, inner, known)
    elif isinstance(value, (list, tuple)):
        digest.update(f"list {len(value)};".encode())
        for inner in value:
            _add(digest, inner, known)
    elif isinstance(value, bool) or value is None:
        digest.update(f"{value};".encode())
    elif isinstance(value, int):
        digest.update(f"int {int(value)};".encode())
    elif isinstance(value, float):
        digest.update(b"float" + struct.pack("<d", value))
    elif isinstance(value, (str, bytes)):
        data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        digest.update(f"{'text' if isinstance(value, str) else 'bytes'} {len(data)};".encode())
        digest.update(data)
    else:  # of somebody's own: what stays the same of it when it is saved and loaded
        digest.update(f"other {type(value).__module__}.{type(value).__qualname__};".encode())


def _of_tensor(tensor: Tensor) -> str:
    digest = hashlib.sha256(f"{tensor.dtype} {tensor.layout};".encode())
    dense = tensor.layout == torch.strided and not (tensor.is_meta or tensor.is_quantized)
    if not dense or type(tensor) not in (Tensor, nn.Parameter):
        return digest.hexdigest()  # none of ours
    digest.update(f"{tuple(tensor.shape)};".encode())
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    numbers = torch.view_as_real(plain).reshape(-1) if plain.is_complex() else plain
    if numbers.numel():
        digest.update(numbers.view(torch.uint8).numpy().data)
    return digest.hexdigest()
