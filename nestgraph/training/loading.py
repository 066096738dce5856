"""Trained modules, from checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from nestgraph.errors import InputError
from nestgraph.runtime.tensor_files import unfit
from nestgraph.training.build import compile
from nestgraph.training.checkpoint import find_checkpoint, read_checkpoint, spec_of
from nestgraph.training.module import NestModule


def load_run(path: str | Path) -> NestModule:
    """Open a trained model.

    Args:
        path: a run folder, of which the newest checkpoint is taken, or a `.ckpt` file.

    Raises:
        InputError: when there is no such run, or its file is cut short or not nestgraph's.
        SpecError: when this version of nestgraph reads the spec inside otherwise.
    """
    file = find_checkpoint(Path(path))
    return rebuild(file, read_checkpoint(file))


def rebuild(file: Path, content: Mapping[str, Any]) -> NestModule:
    """Return the module that a checkpoint holds.

    Raises:
        InputError: when the weights don't fit the spec beside them.
    """
    module = compile(spec_of(content), blank=True)
    check_weights(file, module, content)
    module.load_state_dict(content["state_dict"])
    return module


def adopt(module: NestModule, path: str | Path) -> None:
    """Give a module the weights of a trained one whose parameters have its names and shapes.

    Args:
        module: of any spec, such as one that puts the blocks of the trained one on clocks.
        path: a run folder or a `.ckpt` file.

    Raises:
        InputError: when there is no such run, or a parameter is not in it or no finite number.
    """
    file = find_checkpoint(Path(path))
    content = read_checkpoint(file)
    check_weights(file, module, content)
    for name, own in module.state_dict().items():
        if own.is_floating_point() and (why := unfit(content["state_dict"][name])):
            raise InputError("NG717", f"`{name}` of `{file}` {why}", "begin with another run")
    module.load_state_dict(content["state_dict"])


def check_weights(file: Path, module: NestModule, content: Mapping[str, Any]) -> None:
    """Make sure that the weights of a checkpoint are those of a module.

    Raises:
        InputError: naming the first that isn't.
    """
    wanted, given = module.state_dict(), content["state_dict"]
    problems = [f"{name} is missing" for name in wanted if name not in given]
    problems += [f"{name} is not in the spec" for name in given if name not in wanted]
    problems += [f"{name} is no tensor" for name, x in given.items() if not isinstance(x, Tensor)]
    shapes = {name: getattr(given.get(name), "shape", ()) for name in wanted}
    problems += [
        f"{name} has shape {tuple(shapes[name])}, not {tuple(wanted[name].shape)}"
        for name in wanted
        if name in given and shapes[name] != wanted[name].shape
    ]
    problems = problems or [
        f"{name} {why}"
        for name, own in wanted.items()
        if own.is_floating_point() and (why := unfit(given[name], finite=False))
    ]
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise InputError(
            "NG714", f"the weights in `{file}` don't fit its spec: {problems[0]}{more}"
        )
