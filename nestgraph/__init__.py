"""Nested Learning from YAML: specs of memories, flows and clocks, compiled to PyTorch.

`import nestgraph as ng` is quick: each public name is imported when it is first asked for.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from nestgraph.version import __version__

if TYPE_CHECKING:
    from nestgraph.api import (
        compile,
        compile_optimizer,
        diff,
        draw,
        draw_diff,
        eval,
        graph,
        load,
        load_run,
        plan,
        reference,
    )
    from nestgraph.errors import SpecError
    from nestgraph.language.spec import Spec

__all__ = [
    "Spec",
    "SpecError",
    "__version__",
    "compile",
    "compile_optimizer",
    "diff",
    "draw",
    "draw_diff",
    "eval",
    "graph",
    "load",
    "load_run",
    "plan",
    "reference",
]

_HOMES = {
    "Spec": "nestgraph.language.spec",
    "SpecError": "nestgraph.errors",
    "compile": "nestgraph.api",
    "diff": "nestgraph.api",
    "compile_optimizer": "nestgraph.api",
    "draw": "nestgraph.api",
    "draw_diff": "nestgraph.api",
    "eval": "nestgraph.api",
    "graph": "nestgraph.api",
    "load": "nestgraph.api",
    "load_run": "nestgraph.api",
    "plan": "nestgraph.api",
    "reference": "nestgraph.api",
}


class _Package(ModuleType):
    """Keeps `ng.graph` and `ng.reference` functions, though submodules bear the same names.

    Importing a submodule binds it to its name here; for a public name that is left out.
    `from nestgraph.graph.build import ...` is not touched by it.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "compiler" / "__init__.py").is_file() and (_checkout / "pyproject.toml").is_file():
    # In a checkout `compiler`, `viz` and `specs` lie beside this package, not inside it.
    __path__.append(str(_checkout))


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'nestgraph' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
