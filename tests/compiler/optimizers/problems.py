"""Random problems for optimizers: parameters of several kinds, gradients, what layers are fed."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nestgraph.compiler.optimizers import NestedOptimizer, compile_optimizer
from nestgraph.language.groups import Traits
from nestgraph.language.spec import Spec, load
from nestgraph.reference.optimizer import OptimizerReference

SHAPES = {
    "a": (5, 3),
    "b": (5, 3),
    "wide": (3, 6),
    "kernel": (4, 2, 3),
    "states": (2, 4, 3),
    "bias": (4,),
    "embed": (7, 3),
    "head": (7, 3),
}
TRAITS = {
    name: Traits(
        name=name,
        axes=len(shape),
        kind={"embed": "embeddings", "head": "head"}.get(name),
        linear_map=name in ("a", "b", "wide"),
        stacked=name == "states",
    )
    for name, shape in SHAPES.items()
}
# Clocks that tick several times in a short test, and Newton-Schulz without rounding.
SHORT = {"period": 3, "base": 2, "precision": "float64"}


def short(name: str, **settings: object) -> Spec:
    """Return a spec of the zoo with its slow clocks made fast and everything in float64."""
    text = Path(load(name).path).read_text(encoding="utf-8")
    known = {key: value for key, value in SHORT.items() if f"{key}: " in text}
    return load(name, set={f"vars.{key}": value for key, value in (known | settings).items()})


@dataclass
class Problem:
    """Parameters under a compiled optimizer and under the interpreter."""

    spec: Spec
    lr: float = 1e-2
    maximize: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: SHAPES)

    def __post_init__(self) -> None:
        first = {
            name: torch.randn(shape, dtype=torch.float64) for name, shape in self.shapes.items()
        }
        self.parameters = {name: x.clone().requires_grad_() for name, x in first.items()}
        self.optimizer = self.compiled()
        self.reference = OptimizerReference(
            self.spec.system, first, traits=TRAITS, maximize=self.maximize
        )

    def compiled(self, parameters: Mapping[str, Tensor] | None = None) -> NestedOptimizer:
        kind = compile_optimizer(self.spec.system)
        groups = [
            {
                "params": [(name, parameter)],
                "kind": TRAITS[name].kind,
                "linear_map": TRAITS[name].linear_map,
                "stacked": TRAITS[name].stacked,
            }
            for name, parameter in (parameters or self.parameters).items()
        ]
        return kind(groups, lr=self.lr, maximize=self.maximize, **self.options)

    def resumed(self) -> tuple[dict[str, Tensor], NestedOptimizer]:
        """Return the parameters once more, under an optimizer that was saved to a file and read
        back.
        """
        file = io.BytesIO()
        torch.save(self.optimizer.state_dict(), file)
        file.seek(0)
        later = {k: p.detach().clone().requires_grad_() for k, p in self.parameters.items()}
        optimizer = self.compiled(later)
        optimizer.load_state_dict(torch.load(file, weights_only=True))
        return later, optimizer

    def gradients(self) -> dict[str, Tensor]:
        """Of every size between a hundredth and a hundred."""
        return {
            name: torch.randn(shape, dtype=torch.float64) * 10 ** (2 * torch.rand(()) - 1)
            for name, shape in self.shapes.items()
        }

    def fed(self) -> dict[str, Tensor]:
        return {
            name: torch.randn(6, shape[-1], dtype=torch.float64)
            for name, shape in self.shapes.items()
            if TRAITS[name].linear_map
        }

    def step(self, gradients: Mapping[str, Tensor], fed: Mapping[str, Tensor]) -> None:
        """Take one step of both."""
        give(self.optimizer, self.parameters, gradients, fed)
        self.optimizer.step()
        self.reference.step(gradients, lr=self.lr, inputs=fed)

    def errors(self) -> Iterator[tuple[str, float]]:
        """Yield how far the two are apart, over the size of the parameter."""
        for name, wanted in self.reference.parameters.items():
            off = (self.parameters[name] - wanted).abs().max() / wanted.abs().max()
            yield name, off.item()


def give(
    optimizer: NestedOptimizer,
    parameters: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    fed: Mapping[str, Tensor],
) -> None:
    """Put gradients where autograd would, and inputs where a watched module would."""
    for name, gradient in gradients.items():
        parameters[name].grad = gradient.clone()
    if not optimizer.needs_inputs:
        return
    optimizer.capture.wanted = {id(parameters[name]): parameters[name] for name in fed}
    with torch.enable_grad():
        for name, rows in fed.items():
            optimizer.capture.note(parameters[name], rows)
