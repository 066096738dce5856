"""Trees of tensors, as states are: dicts, tuples and lists, with tensors and numbers in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def detached(tree: Any) -> Any:
    """The tree with constants for tensors that hang on a graph.

    A state is walked at every tick: torch's own walk over trees takes ten times as long.
    """
    if isinstance(tree, Tensor):
        return tree.detach() if tree.requires_grad else tree
    if isinstance(tree, Mapping):
        return {key: detached(value) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*map(detached, tree))
    if isinstance(tree, tuple | list):
        return type(tree)(map(detached, tree))
    return tree
