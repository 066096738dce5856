"""Trees of tensors, as states are: dicts, tuples and lists, with tensors and numbers in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor


def mapped(f: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """Return the tree with f(x) for every tensor x.

    A state is walked at every tick: torch's own walk over trees takes ten times as long.
    """
    if isinstance(tree, Tensor):
        return f(tree)
    if isinstance(tree, Mapping):
        return {key: mapped(f, value) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(mapped(f, value) for value in tree))
    if isinstance(tree, tuple | list):
        return type(tree)([mapped(f, value) for value in tree])
    return tree


def detached(tree: Any) -> Any:
    """Return the tree with constants for tensors that hang on a graph."""
    return mapped(_constant, tree)


def tensors(tree: Any) -> Iterator[Tensor]:
    """Yield all tensors of a tree, in its order."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from tensors(value)
    elif isinstance(tree, tuple | list):
        for value in tree:
            yield from tensors(value)


def _constant(x: Tensor) -> Tensor:
    return x.detach() if x.requires_grad else x
