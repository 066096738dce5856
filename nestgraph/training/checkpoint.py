"""Checkpoints that open alone: a Lightning `.ckpt` with the whole spec inside.

Everything in one loads under `weights_only=True`, so that opening a stranger's checkpoint runs
none of its code. The entry `nestgraph` holds the format's number, the version that wrote it,
every source file as written, which of them is the spec and which are shipped, the overrides, the
resolved spec, and the checksums of all that the file holds.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nestgraph.errors import InputError, InputWarning
from nestgraph.runtime import checksums
from nestgraph.runtime.checksums import ENTRY, SUMS
from nestgraph.runtime.tensor_files import load_values
from nestgraph.text.files import broken_link
from nestgraph.training import folder
from nestgraph.version import __version__

if TYPE_CHECKING:
    from nestgraph.language.spec import Spec

FORMAT = 2
READABLE = (1, FORMAT)  # 1 has no checksums
ANOTHER = "take another checkpoint of the run, such as best.ckpt"
LAST = "last.ckpt"
BEST = "best.ckpt"


def describe(spec: Spec) -> dict[str, Any]:
    """Return the spec as plain values."""
    return {
        "format": FORMAT,
        "version": __version__,
        "main": spec.path,
        "sources": dict(spec.sources),
        "shipped": sorted(spec.shipped),
        "overrides": json.dumps(dict(spec.overrides)),
        "resolved": spec.resolved_yaml(),
    }


def find_checkpoint(path: Path) -> Path:
    """Return the file that a path to a run means.

    Raises:
        InputError: when there is none.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(
            "NG711",
            broken_link(path) or f"there is no run `{path}`",
            "give a run folder such as runs/hope-tiny-1, or a .ckpt file",
        )
    if not (path / LAST).is_file():
        raise InputError("NG711", f"`{path}` holds no {LAST}", _instead_of_last(path))
    return path / LAST


def _instead_of_last(path: Path) -> str:
    """Return what to do with a folder that has no last checkpoint."""
    if (path / BEST).is_file():
        return f"give `{path / BEST}`"
    if folder.saved_nothing(path):
        return (
            "its training has saved nothing yet; if it was stopped, begin it once more by"
            f" `nestgraph train S --out {path}`"
        )
    return "it is not a run folder; give one such as runs/hope-tiny-1, or a .ckpt file"


class Verified(dict[str, Any]):
    """The content of a checkpoint on its way through Lightning, which needs no second look."""


def read_checkpoint(file: Path, *, whole: bool = False) -> dict[str, Any]:
    """Return the content of a checkpoint.

    Args:
        file: the checkpoint.
        whole: whether training is to go on with it; else only its spec and weights must be there.

    Raises:
        InputError: when it can't be read, another program or version wrote it, or it isn't as it
            was written.
    """
    return verified(f"`{file}`", _load(file), whole=whole)


def verified(
    place: str, content: object, *, whole: bool = False, leave: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return what was read as a checkpoint, if it is one of nestgraph's and as it was written.

    Args:
        place: of the checkpoint, for messages.
        content: what was read.
        whole: whether no part of it may be missing.
        leave: entries that were changed after it was read.

    Raises:
        InputError: it isn't.
    """
    if isinstance(content, Verified):
        return content
    known = _checked(place, content)
    if known[ENTRY].get(SUMS) is None:
        said = f"{place} has no checksums: nobody would notice if it were damaged"
        warnings.warn(InputWarning("NG718", said), stacklevel=2)
    elif what := checksums.damage(known, whole=whole, leave=leave):
        raise checksums.damaged(place, what)
    return known


def _load(file: Path) -> Any:
    try:
        return load_values(file)
    except InputError:
        raise
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError("NG712", f"`{file}` can't be read: {why}") from error
    except Exception as error:  # what a damaged file makes a reader raise is anyone's guess
        raise InputError(
            "NG712",
            f"`{file}` can't be read as a checkpoint: it was cut short, or is another program's",
            ANOTHER,
        ) from error


def spec_of(content: Mapping[str, Any]) -> Spec:
    """Return the spec inside a checkpoint."""
    from nestgraph.language.spec import Spec

    entry = content[ENTRY]
    overrides = json.loads(entry["overrides"])
    return Spec.from_sources(entry["sources"], entry["main"], overrides, entry.get("shipped"))


def _checked(place: str, content: object) -> dict[str, Any]:
    entry = content.get(ENTRY) if isinstance(content, dict) else None
    if not isinstance(entry, dict) or not isinstance(content, dict):
        raise InputError("NG713", f"{place} was not written by nestgraph: it holds no spec")
    written = entry.get("format")
    if written not in READABLE or isinstance(written, bool):
        by = entry.get("version", "unknown")
        raise InputError(
            "NG713",
            f"{place} has format {written} of nestgraph {by}; this is {__version__}, which"
            f" reads format {FORMAT}",
            "open it with the version that wrote it",
        )
    kinds = {"main": str, "sources": dict, "overrides": str}
    whole = all(isinstance(entry.get(key), kind) for key, kind in kinds.items())
    if not whole or not isinstance(content.get("state_dict"), dict):
        raise InputError("NG713", f"{place} is incomplete: its spec or its weights are missing")
    if strange := _strange(entry):
        raise InputError("NG713", f"{place} is incomplete: {strange}", ANOTHER)
    return content


def _strange(entry: Mapping[str, Any]) -> str | None:
    """Return what is wrong with an entry that somebody else made, or made by hand."""
    for name, text in entry["sources"].items():
        if not isinstance(name, str) or not isinstance(text, str):
            return f"the source `{name}` is no text"
    if entry["main"] not in entry["sources"]:
        return f"its spec `{entry['main']}` is not among its sources"
    try:
        overrides = json.loads(entry["overrides"])
    except ValueError:
        return "its overrides are no JSON"
    if not isinstance(overrides, dict):
        return "its overrides are no table"
    if entry["format"] == FORMAT and SUMS not in entry:
        return "it has lost its checksums"
    sums = entry.get(SUMS)
    return None if sums is None or isinstance(sums, dict) else "its checksums are no table"
