"""Files of what a model remembers: safetensors, with a text of what the state depends on inside.

A state only means something to what made it. Its file carries that text and its hash; where they
are other than those of the reader, the first line that differs can be said. Header and tensors
have checksums, which lie in the header too.
"""

from __future__ import annotations

import hashlib
import itertools
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor

from nestgraph.errors import InputError, InputWarning
from nestgraph.runtime.checksums import SUMS, damaged, header_damage, seal_header
from nestgraph.runtime.tensor_files import load_safetensors
from nestgraph.training.files import replace_file
from nestgraph.version import __version__


@dataclass(frozen=True, kw_only=True, slots=True)
class StateFile:
    """What a file of a state holds.

    Attributes:
        header: all that it says beside the tensors.
        tensors: by name.
        difference: what tells its maker from the reader; None where they are the same.
    """

    header: dict[str, str]
    tensors: dict[str, Tensor]
    difference: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StateFormat:
    """A kind of state files.

    Attributes:
        name: of the format, with its version.
        older: a format that is read too, and has no checksums.
        entry: where the header has the text that a state depends on.
        of: what has such states, for messages.
        writer: who writes such files, for messages.
    """

    name: str
    older: str
    entry: str
    of: str
    writer: str

    def write(
        self, path: Path, named: Iterable[tuple[str, Tensor]], identity: str, **more: str
    ) -> None:
        """Write tensors whole, or leave the file as it was.

        Args:
            path: the file.
            named: the tensors.
            identity: what they depend on, line by line.
            more: other entries of the header.

        Raises:
            InputError: when the file can't be written.
        """
        header = {"format": self.name, "version": __version__, "hash": _hash(identity)}
        tensors = {name: x.detach().cpu().contiguous().clone() for name, x in named}
        told = seal_header({**header, self.entry: identity, **more}, tensors)
        replace_file(path, save(tensors, metadata=told))

    def read(self, path: Path, identity: str) -> StateFile:
        """Return what a file holds, seen by a reader of an identity.

        Raises:
            InputError: when there is no such file, it is of another format, or isn't as it was
                written.
        """
        header, tensors = _read(path)
        if what := header_damage(header, tensors):
            raise damaged(f"`{path}`", what, "nothing was changed; take a copy")
        if header.get("format") not in (self.name, self.older) or self.entry not in header:
            raise InputError(
                "NG761",
                f"`{path}` holds no state of {self.of}",
                f"give a file that {self.writer} wrote",
            )
        if SUMS not in header:
            self._require_older(path, header)
        same = header.get("hash") == _hash(identity)
        difference = None if same else _first_difference(header[self.entry], identity)
        return StateFile(header=header, tensors=tensors, difference=difference)

    def _require_older(self, path: Path, header: dict[str, str]) -> None:
        if header["format"] != self.older:
            raise damaged(
                f"`{path}`", "its checksums are missing", "nothing was changed; take a copy"
            )
        said = f"`{path}` has no checksums: nobody would notice if it were damaged"
        hint = "written anew, as by --learn, it has some"
        warnings.warn(InputWarning("NG718", said, hint), stacklevel=2)


def _hash(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()


def _first_difference(theirs: str, ours: str) -> str:
    """Return the first line that differs, with the section that it stands in."""
    section = ""
    for one, other in itertools.zip_longest(theirs.split("\n"), ours.split("\n"), fillvalue=""):
        if one != other:
            return f"{section}`{one.strip()}` there, `{other.strip()}` here"
        if one and not one.startswith(" "):
            section = f"in `{one.split(':')[0]}`, "
    return "nothing differs"


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    if path.is_dir():
        hint = f"give a file in it, such as `{path / 'mem.safetensors'}`"
        raise InputError("NG761", f"`{path}` is a folder", hint)
    try:
        return load_safetensors(path)
    except FileNotFoundError as error:
        hint = "add --learn to begin one"
        raise InputError("NG761", f"there is no state `{path}`", hint) from error
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            "NG761",
            f"`{path}` can't be read as a state: it was cut short, or is another program's",
            "nothing was changed; take a copy, or another file for a new state",
        ) from error
