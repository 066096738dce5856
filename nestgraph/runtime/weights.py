"""The parameters of a model as one `nn.Module`, drawn from a seed.

Each tensor's first numbers depend only on the seed and its own name, or that of the one which it
starts like, so that adding a memory to a spec leaves every other parameter as it was, and both
executors start alike. They are drawn in float64 and then rounded, so that two dtypes start alike
too.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Self

import torch
from torch import Tensor, nn

from nestgraph.analysis.parameters import ParameterSpec, parameter_table
from nestgraph.language.system import System
from nestgraph.runtime.file_starts import file_starts
from nestgraph.runtime.seeds import checked_seed


class Weights(nn.Module):
    """Parameters by their dotted names; `state_dict` keys are the names of the table.

    Args:
        table: what to build.
        seed: of the first numbers.
        dtype: of all.
        given: first numbers that come from elsewhere, by name.
        blank: whether all stay without numbers, because others are about to take their place.

    Attributes:
        table: what was built, in order.
    """

    def __init__(
        self,
        table: Iterable[ParameterSpec],
        seed: int = 0,
        *,
        dtype: torch.dtype = torch.float32,
        given: Mapping[str, Tensor] | None = None,
        blank: bool = False,
    ) -> None:
        super().__init__()
        self.table = tuple(table)
        known = given or {}
        for spec in self.table:
            *path, leaf = spec.name.split(".")
            if blank:
                first = torch.empty(spec.shape, dtype=dtype)
            else:
                first = (known[spec.name] if spec.name in known else draw(spec, seed)).to(dtype)
            _branch(self, path).register_parameter(leaf, nn.Parameter(first, spec.trained))

    @classmethod
    def of(cls, system: System, seed: int, *, dtype: torch.dtype, blank: bool) -> Self:
        """Return the parameters of a model, drawn or read from the files that its memories start
        as.

        Raises:
            SpecError: a file isn't there, or doesn't hold what a memory starts as.
            InputError: `seed` is no whole number of 63 bits.
        """
        seed = checked_seed(seed)
        given = {} if blank else file_starts(system, dtype)
        return cls(parameter_table(system), seed, dtype=dtype, given=given, blank=blank)

    def named(self) -> dict[str, nn.Parameter]:
        """Return every parameter by name, in the order of the table."""
        found = dict(self.named_parameters())
        return {spec.name: found[spec.name] for spec in self.table}


def draw(spec: ParameterSpec, seed: int) -> Tensor:
    """Return first numbers of one parameter, in float64."""
    match spec.init:
        case "zeros":
            return torch.zeros(spec.shape, dtype=torch.float64)
        case "ones":
            return torch.ones(spec.shape, dtype=torch.float64)
        case "constant":
            return torch.full(spec.shape, spec.value, dtype=torch.float64)
        case "spread":
            numbers = torch.linspace(spec.value, spec.last, spec.run, dtype=torch.float64)
            numbers = numbers.log() if spec.log else numbers
            return numbers.repeat(spec.size // spec.run).reshape(spec.shape)
        case "identity":
            *heads, rows, columns = spec.shape
            unit = torch.eye(rows, columns, dtype=torch.float64)
            return unit.expand(*heads, rows, columns).clone()
        case "taylor":
            terms = [1 / math.factorial(i) for i in range(spec.shape[0])]
            return torch.tensor(terms, dtype=torch.float64)
        case "normal":
            return _normal(spec, seed)
        case "file":
            raise AssertionError("read by nestgraph.runtime.file_starts")


def _normal(spec: ParameterSpec, seed: int) -> Tensor:
    source = torch.Generator().manual_seed(_stable_hash(seed, spec.like or spec.name))
    return spec.std * torch.randn(spec.shape, generator=source, dtype=torch.float64)


def _stable_hash(seed: int, name: str) -> int:
    """Return a number that is the same in every process, unlike `hash`."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1  # torch takes seeds of 63 bits


def _branch(root: nn.Module, path: list[str]) -> nn.Module:
    """Return the container at a path, made on the way.

    Written into `_modules` directly: `add_module` refuses names that `nn.Module` uses itself,
    and a node may well be called `type` or `half`.
    """
    for name in path:
        child = root._modules.get(name)
        if child is None:
            child = root._modules[name] = nn.Module()
        root = child
    return root
