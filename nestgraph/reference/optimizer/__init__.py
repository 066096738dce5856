"""The interpreter of optimizers: what an optimizer spec means, executed literally.

One parameter after the other, one step after the other, in float64. Compiled optimizers are held
against it; they share nothing but the choice of a group and the first numbers that are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nestgraph.analysis.support import unsupported
from nestgraph.errors import InputError, SpecError
from nestgraph.language.groups import Traits, choose, labels, rules
from nestgraph.language.system import System
from nestgraph.reference.optimizer.parameter import Parameter
from nestgraph.runtime.seeds import checked_seed

NO_INPUTS: Mapping[str, Tensor] = {}


class OptimizerReference:
    """Runs an optimizer literally.

    Attributes:
        system: what it runs.
    """

    def __init__(
        self,
        system: System,
        parameters: Mapping[str, Tensor],
        *,
        traits: Mapping[str, Traits] | None = None,
        maximize: bool = False,
        seed: int = 0,
    ) -> None:
        """Prepare an optimizer.

        Args:
            system: a checked optimizer (`Spec.system`).
            parameters: first values by name; they are copied.
            traits: what groups choose parameters by; by their axes where None.
            maximize: climb in place of descending.
            seed: of numbers that are drawn.

        Raises:
            SpecError: the system asks for something that can't be run.
            InputError: no group takes a parameter, or `seed` is no whole number of 63 bits.
        """
        seed = checked_seed(seed)
        if refused := unsupported(system):
            raise SpecError(refused)
        self.system = system
        self._sign = -1.0 if maximize else 1.0
        self._shapes = {name: value.shape for name, value in parameters.items()}
        among = rules(system)
        self._rules = {}
        self._held: dict[str, tuple[Parameter, ...]] = {}
        self._stacked = {name: own.stacked for name, own in (traits or {}).items()}
        for name, value in parameters.items():
            own = (traits or {}).get(name) or Traits(name=name, axes=value.ndim)
            index = choose(among, own)
            if index is None:
                raise InputError("NG341", f"no group takes `{name}`", "add a last group for `rest`")
            rule = self._rules[name] = among[index]
            starts = _as_matrices(value.detach().to(torch.float64).clone(), own.stacked)
            self._held[name] = tuple(
                Parameter(rule.block, rule.clocks, label, start, seed)
                for label, start in zip(
                    labels(name, len(starts) if own.stacked else None), starts, strict=True
                )
            )

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The parameters as they are now, in their own shapes."""
        return {
            name: torch.stack([part.value for part in held]).reshape(self._shapes[name])
            for name, held in self._held.items()
        }

    def step(
        self,
        gradients: Mapping[str, Tensor],
        *,
        lr: float,
        inputs: Mapping[str, Tensor] = NO_INPUTS,
    ) -> None:
        """Take one step of every parameter that has a gradient.

        Args:
            gradients: by name.
            lr: before the factors of the groups.
            inputs: what each linear map was fed, (n, d_in), by the name of its weight.
        """
        with torch.no_grad():
            for name, gradient in gradients.items():
                if not gradient.numel():
                    continue  # nothing moves
                held = self._held[name]
                parts = _as_matrices(
                    self._sign * gradient.to(torch.float64), self._stacked.get(name, False)
                )
                fed = inputs[name].to(torch.float64) if name in inputs else None
                for part, matrix in zip(held, parts, strict=True):
                    part.step(matrix, lr * self._rules[name].lr, fed)


def _as_matrices(x: Tensor, stacked: bool) -> tuple[Tensor, ...]:
    """Return vectors are one row; what has more than two axes is (first, all others), or a
    stack.
    """
    if stacked:
        return x.flatten(0, -3).unbind(0)
    return (x.reshape(1, -1) if x.ndim < 2 else x.flatten(1),)
