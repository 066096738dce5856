"""What a model remembers, as a file: safetensors with the spec of the model inside.

A state only means something to the model that made it, so the file carries the resolved spec
without its `training` section, and that text's hash. Another spec is refused with the first line
that differs. Weights may differ: they go on learning while a state is kept.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils import _pytree

from nestgraph.errors import InputError
from nestgraph.language.spec import Spec
from nestgraph.runtime.labels import NEXT, behind
from nestgraph.runtime.tokens import require_equal_rows
from nestgraph.training.state_files import StateFormat

FORMAT = StateFormat(
    name="nestgraph-state-2",
    older="nestgraph-state-1",
    entry="model",
    of="nestgraph",
    writer="`--learn`",
)
PLAIN = ("name:", "doc:")  # lines that mean nothing to a state
TOKENS, LABELS = "['open']['tokens']", "['open']['labels']"


class Stateful(Protocol):
    """A model with states of its spec.

    Attributes:
        spec: of the model.
    """

    spec: Spec

    def initial_state(self, batch: int) -> dict[str, Any]:
        """Return the state before the first token, for that many rows."""
        ...


def save_state(path: Path, module: Stateful, state: dict[str, Any]) -> None:
    """Write a state whole, or leave the file as it was.

    Args:
        path: the file.
        module: whose state it is.
        state: as `module(tokens, state)` answered it.

    Raises:
        InputError: when the file can't be written, or rows of the state are of unequal length.
    """
    require_equal_rows(state)
    name, rows = module.spec.system.name, json.dumps(rows_of(state))
    FORMAT.write(path, named_tensors(state), model_text(module.spec), spec=name, rows=rows)


def load_state(path: Path, module: Stateful) -> dict[str, Any]:
    """Return the state in a file.

    Raises:
        InputError: when there is no such file, it was cut short, or it is another model's.
    """
    file = FORMAT.read(path, model_text(module.spec))
    if file.difference:
        raise InputError(
            "NG762",
            f"`{path}` is the state of `{file.header.get('spec')}`, another model than this "
            f"`{module.spec.system.name}`: {file.difference}",
            "give the state of this model, or another file for a new one",
        )
    blank = module.initial_state(int(json.loads(file.header.get("rows", "1"))))
    wanted = dict(named_tensors(blank))
    found = completed(file.tensors, wanted)
    if strange := sorted(set(wanted) ^ set(found)):
        side = "is missing" if strange[0] in wanted else "is not in the model"
        raise InputError("NG761", f"`{path}` is incomplete: {strange[0]} {side}")
    return from_named(module, found, len(next(x for x in wanted.values() if x.ndim)))


def from_named(module: Stateful, named: Mapping[str, Tensor], rows: int) -> dict[str, Any]:
    """Return a state out of its tensors, as `named_tensors` gave them."""
    pairs, shape = _pytree.tree_flatten_with_path(module.initial_state(rows))
    placed = [_placed(named.get(_pytree.keystr(key)), leaf) for key, leaf in pairs]
    state: dict[str, Any] = _pytree.tree_unflatten(placed, shape)
    return state


def completed(named: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a state with those that states have had since it was written.

    Before targets were kept, every label was the next token; and every position was written,
    which marks that are empty say.

    Args:
        named: what there is.
        wanted: the tensors of a first state.
    """
    marks = {n: x for n, x in wanted.items() if x.dtype == torch.bool and not x.numel()}
    found = {**marks, **named}
    if TOKENS in named and LABELS not in named:
        tokens = named[TOKENS]
        found[LABELS] = behind(tokens.new_full(tokens.shape, NEXT), tokens)
    return found


def _placed(found: Tensor | None, leaf: Any) -> Any:
    """Return a tensor where the one that it stands for was; what isn't a tensor stays."""
    return leaf if found is None else found.to(leaf.device)


def model_text(spec: Spec) -> str:
    """Return the resolved spec without name, doc and `training`."""
    sections = spec.resolved_yaml().split("\n")
    kept = itertools.takewhile(lambda line: not line.startswith("training:"), sections)
    return "\n".join(line for line in kept if not line.startswith(PLAIN))


def named_tensors(state: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Return every tensor of a state by its path, in a fixed order."""
    pairs, _ = _pytree.tree_flatten_with_path(state)
    return ((_pytree.keystr(path), leaf) for path, leaf in pairs if isinstance(leaf, Tensor))


def rows_of(state: dict[str, Any]) -> int:
    """Return how many sequences a state is of."""
    return next(len(tensor) for _, tensor in named_tensors(state) if tensor.ndim)
