"""Checkpoints that open alone: a Lightning `.ckpt` with the whole spec inside.

Everything in one loads under `weights_only=True`, so that opening a stranger's checkpoint runs
none of its code. The entry `nestgraph` holds the format's number, the version that wrote it,
every source file as written, which of them is the spec, the overrides, and the resolved spec.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from nestgraph import __version__
from nestgraph.errors import InputError
from nestgraph.tensor_files import load_values

if TYPE_CHECKING:
    from nestgraph.spec import Spec
    from nestgraph.training.module import NestModule

ENTRY = "nestgraph"
FORMAT = 1
LAST = "last.ckpt"
BEST = "best.ckpt"


def describe(spec: Spec) -> dict[str, Any]:
    """The spec as plain values."""
    return {
        "format": FORMAT,
        "version": __version__,
        "main": spec.path,
        "sources": dict(spec.sources),
        "overrides": json.dumps(dict(spec.overrides)),
        "resolved": spec.resolved_yaml(),
    }


def load_run(path: str | Path) -> NestModule:
    """Opens a trained model.

    Args:
        path: a run folder, of which the newest checkpoint is taken, or a `.ckpt` file.

    Raises:
        InputError: when there is no such run, or its file is cut short or not nestgraph's.
        SpecError: when this version of nestgraph reads the spec inside otherwise.
    """
    file = find_checkpoint(Path(path))
    return rebuild(file, read_checkpoint(file))


def find_checkpoint(path: Path) -> Path:
    """The file that a path to a run means.

    Raises:
        InputError: when there is none.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(
            "NG711",
            f"there is no run `{path}`",
            "give a run folder such as runs/hope-tiny-1, or a .ckpt file",
        )
    if not (path / LAST).is_file():
        raise InputError(
            "NG711",
            f"`{path}` holds no {LAST}",
            "its training hasn't saved anything yet, or it is not a run folder",
        )
    return path / LAST


def read_checkpoint(file: Path) -> dict[str, Any]:
    """The content of a checkpoint, known to be nestgraph's.

    Raises:
        InputError: when it can't be read, or another program or version wrote it.
    """
    try:
        with file.open("rb") as stream:
            content = _load(file, stream)
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError("NG712", f"`{file}` can't be read: {why}") from error
    return _checked(file, content)


def _load(file: Path, stream: BinaryIO) -> Any:
    try:
        return load_values(stream)
    except Exception as error:  # what a damaged file makes a reader raise is anyone's guess
        raise InputError(
            "NG712",
            f"`{file}` can't be read as a checkpoint: it was cut short, or is another program's",
            "take another checkpoint of the run, such as best.ckpt",
        ) from error


def spec_of(content: Mapping[str, Any]) -> Spec:
    """The spec inside a checkpoint."""
    from nestgraph.spec import Spec

    entry = content[ENTRY]
    return Spec.from_sources(entry["sources"], entry["main"], json.loads(entry["overrides"]))


def rebuild(file: Path, content: Mapping[str, Any]) -> NestModule:
    """The module that a checkpoint holds.

    Raises:
        InputError: when the weights don't fit the spec beside them.
    """
    from nestgraph.training import compile

    module = compile(spec_of(content), blank=True)
    check_weights(file, module, content)
    module.load_state_dict(content["state_dict"])
    return module


def adopt(module: NestModule, path: str | Path) -> None:
    """Gives a module the weights of a trained one whose parameters have its names and shapes.

    Args:
        module: of any spec, such as one that puts the blocks of the trained one on clocks.
        path: a run folder or a `.ckpt` file.

    Raises:
        InputError: when there is no such run, or a parameter is not in it.
    """
    file = find_checkpoint(Path(path))
    content = read_checkpoint(file)
    check_weights(file, module, content)
    module.load_state_dict(content["state_dict"])


def check_weights(file: Path, module: NestModule, content: Mapping[str, Any]) -> None:
    """Makes sure that the weights of a checkpoint are those of a module.

    Raises:
        InputError: naming the first that isn't.
    """
    wanted, given = module.state_dict(), content["state_dict"]
    problems = [f"{name} is missing" for name in wanted if name not in given]
    problems += [f"{name} is not in the spec" for name in given if name not in wanted]
    shapes = {name: getattr(given.get(name), "shape", ()) for name in wanted}
    problems += [
        f"{name} has shape {tuple(shapes[name])}, not {tuple(wanted[name].shape)}"
        for name in wanted
        if name in given and shapes[name] != wanted[name].shape
    ]
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise InputError(
            "NG714", f"the weights in `{file}` don't fit its spec: {problems[0]}{more}"
        )


def _checked(file: Path, content: object) -> dict[str, Any]:
    entry = content.get(ENTRY) if isinstance(content, dict) else None
    if not isinstance(entry, dict) or not isinstance(content, dict):
        raise InputError("NG713", f"`{file}` was not written by nestgraph: it holds no spec")
    written = entry.get("format")
    if written != FORMAT:
        by = entry.get("version", "unknown")
        raise InputError(
            "NG713",
            f"`{file}` has format {written} of nestgraph {by}; this is {__version__}, which"
            f" reads format {FORMAT}",
            "open it with the version that wrote it",
        )
    kinds = {"main": str, "sources": dict, "overrides": str}
    whole = all(isinstance(entry.get(key), kind) for key, kind in kinds.items())
    if not whole or not isinstance(content.get("state_dict"), dict):
        raise InputError("NG713", f"`{file}` is incomplete: its spec or its weights are missing")
    return content
