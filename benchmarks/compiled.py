"""The first layer of a compiled spec, its sequence mixer, without embedding and head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nestgraph.compiler import compile_model
from nestgraph.compiler.executor.load import load_source
from nestgraph.language.spec import load
from nestgraph.language.system import System


class CompiledLayer:
    """What a model runs right behind its embedding.

    Args:
        system: of a model whose first block is the one to run.

    Attributes:
        parameters: of the layer, by their names in it.
    """

    def __init__(self, system: System) -> None:
        model = compile_model(system, seed=0)
        path, function = model.program.layers[0]
        names = load_source(model.source)
        self._prepare, self._initial, self._run = (
            names[f"{part}_{function.name}"] for part in ("prepare", "initial", "run")
        )
        self.parameters = {
            name.removeprefix(f"{path}."): parameter
            for name, parameter in model.weights.named().items()
            if name.startswith(f"{path}.")
        }

    def __call__(self, x_BTW: Tensor) -> Tensor:
        """Return the layer's answer to a whole sequence from the beginning."""
        weights = self._prepare(self.parameters, x_BTW)
        answer: Tensor = self._run(weights, x_BTW, self._initial(weights, x_BTW), 0)[0]
        return answer


def system_of(name: str, settings: Mapping[str, Any]) -> System:
    """Return the system of a spec with some vars set."""
    return load(name, {f"vars.{var}": value for var, value in settings.items()}).system
