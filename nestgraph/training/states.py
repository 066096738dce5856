"""What a model remembers, as a file: safetensors with the spec of the model inside.

A state only means something to the model that made it, so the file carries the resolved spec
without its `training` section, and that text's hash. Another spec is refused with the first line
that differs. Weights may differ: they go on learning while a state is kept.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.utils import _pytree

from nestgraph import __version__
from nestgraph.errors import InputError
from nestgraph.training.files import replace_file

if TYPE_CHECKING:
    from nestgraph.spec import Spec
    from nestgraph.training.module import NestModule

FORMAT = "nestgraph-state-1"
PLAIN = ("name:", "doc:")  # lines that mean nothing to a state


def save_state(path: Path, module: NestModule, state: dict[str, Any]) -> None:
    """Writes a state whole, or leaves the file as it was.

    Args:
        path: the file.
        module: whose state it is.
        state: as `module(tokens, state)` answered it.

    Raises:
        InputError: when the file can't be written.
    """
    named = dict(named_tensors(state))
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in named.items()}
    text = model_text(module.spec)
    header = {
        "format": FORMAT,
        "version": __version__,
        "spec": module.spec.system.name,
        "hash": spec_hash(module.spec),
        "model": text,
        "rows": json.dumps(rows_of(state)),
    }
    replace_file(path, save(tensors, metadata=header))


def load_state(path: Path, module: NestModule) -> dict[str, Any]:
    """The state in a file.

    Raises:
        InputError: when there is no such file, it was cut short, or it is another model's.
    """
    header, tensors = read_tensors(path)
    if header.get("format") != FORMAT or "model" not in header:
        raise InputError(
            "NG761", f"`{path}` holds no state of nestgraph", "give a file that `--learn` wrote"
        )
    if header.get("hash") != spec_hash(module.spec):
        ours, theirs = model_text(module.spec), header["model"]
        raise InputError(
            "NG762",
            f"`{path}` is the state of `{header.get('spec')}`, another model than this "
            f"`{module.spec.system.name}`: {first_difference(theirs, ours)}",
            "give the state of this model, or another file for a new one",
        )
    blank = module.initial_state(int(json.loads(header.get("rows", "1"))))
    wanted = dict(named_tensors(blank))
    if strange := sorted(set(wanted) ^ set(tensors)):
        side = "is missing" if strange[0] in wanted else "is not in the model"
        raise InputError("NG761", f"`{path}` is incomplete: {strange[0]} {side}")
    return from_named(module, tensors, len(next(x for x in wanted.values() if x.ndim)))


def from_named(module: NestModule, named: Mapping[str, Tensor], rows: int) -> dict[str, Any]:
    """A state out of its tensors, as `named_tensors` gave them."""
    pairs, shape = _pytree.tree_flatten_with_path(module.initial_state(rows))
    placed = [_placed(named.get(_pytree.keystr(key)), leaf) for key, leaf in pairs]
    state: dict[str, Any] = _pytree.tree_unflatten(placed, shape)
    return state


def _placed(found: Tensor | None, leaf: Any) -> Any:
    """A tensor where the one that it stands for was; what isn't a tensor stays."""
    return leaf if found is None else found.to(leaf.device)


def spec_hash(spec: Spec) -> str:
    """Of what a state depends on: levels, blocks and model."""
    return hashlib.sha256(model_text(spec).encode()).hexdigest()


def model_text(spec: Spec) -> str:
    """The resolved spec without name, doc and `training`."""
    sections = spec.resolved_yaml().split("\n")
    kept = itertools.takewhile(lambda line: not line.startswith("training:"), sections)
    return "\n".join(line for line in kept if not line.startswith(PLAIN))


def first_difference(theirs: str, ours: str) -> str:
    """The first line that differs, with the section that it stands in."""
    section = ""
    for one, other in itertools.zip_longest(theirs.split("\n"), ours.split("\n"), fillvalue=""):
        if one != other:
            return f"{section}`{one.strip()}` there, `{other.strip()}` here"
        if one and not one.startswith(" "):
            section = f"in `{one.split(':')[0]}`, "
    return "nothing differs"


def named_tensors(state: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a state by its path, in a fixed order."""
    pairs, _ = _pytree.tree_flatten_with_path(state)
    return ((_pytree.keystr(path), leaf) for path, leaf in pairs if isinstance(leaf, Tensor))


def rows_of(state: dict[str, Any]) -> int:
    """How many sequences a state is of."""
    return next(len(tensor) for _, tensor in named_tensors(state) if tensor.ndim)


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """What the header of a file says, and its tensors.

    Raises:
        InputError: when there is no such file, or it was cut short.
    """
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            return file.metadata() or {}, {name: file.get_tensor(name) for name in names}
    except FileNotFoundError as error:
        hint = "add --learn to begin one"
        raise InputError("NG761", f"there is no state `{path}`", hint) from error
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            "NG761",
            f"`{path}` can't be read as a state: it was cut short, or is another program's",
            "nothing was changed; take a copy, or another file for a new state",
        ) from error
