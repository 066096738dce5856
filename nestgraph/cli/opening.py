"""How every command opens a spec, so that `--set` and messages are the same everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nestgraph.errors import InputError

if TYPE_CHECKING:
    from nestgraph.language.spec import Spec


@contextmanager
def open_spec(path: str, changes: list[str]) -> Iterator[Spec]:
    """Provide the spec with its changes; errors about it inside the block get their source lines.

    Raises:
        SpecError: when the spec or a change is wrong.
    """
    from nestgraph.api import sources_of
    from nestgraph.language.spec import load

    spec = load(path, set=settings(changes))
    with sources_of(spec):
        yield spec


def settings(changes: list[str]) -> dict[str, object]:
    """Return `["a.b=1"]` as `{"a.b": "1"}`.

    Raises:
        InputError: for a change without `=`.
    """
    result: dict[str, object] = {}
    for change in changes:
        path, equals, value = change.partition("=")
        if not equals or not path.strip():
            hint = "write `--set PATH=VALUE`, like `--set vars.width=64`"
            raise InputError("NG802", f"`--set {change}` sets nothing", hint)
        result[path.strip()] = value
    return result
