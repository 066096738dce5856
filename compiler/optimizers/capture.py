"""What linear maps are fed, as Gram matrices: for optimizers whose blocks ask for `input`.

While a watched module runs with gradients, every `F.linear` by one of the wanted weights adds
XᵀX and the number of rows X to a sum: 2·n·d² FLOPs for n rows of width d, which is a third of
what the map itself costs in training. Weights that were concatenated first, as compiled models
do, are told apart again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from nestgraph.compiler.optimizers.layout import working

Sum = tuple[Tensor, int]  # of Gram matrices, and the rows in it


class Capture:
    """Sums of Gram matrices by weight.

    Attributes:
        wanted: the weights, by id.
        sums: over the steps that were taken since each was last moved.
        fresh: since the last step, which may yet be called off.
    """

    def __init__(self) -> None:
        self.wanted: dict[int, Tensor] = {}
        self.sums: dict[int, Sum] = {}
        self.fresh: dict[int, Sum] = {}
        self._modes: list[Any] = []  # their methods have no types

    def watch(self, module: nn.Module, weights: Iterable[Tensor]) -> None:
        """Note what these weights are fed whenever the module runs with gradients.

        A module within a module that is watched is not watched twice.
        """
        self.wanted.update({id(weight): weight for weight in weights})
        module.register_forward_pre_hook(self._enter)
        module.register_forward_hook(self._leave, always_call=True)

    def __reduce__(self) -> tuple[type[Capture], tuple[()]]:
        # Weights are known by where they lie, so that a copy, here or elsewhere, knows none.
        return Capture, ()

    def _enter(self, *_: object) -> None:
        inner = bool(self._modes) or not self.wanted
        self._modes.append(nullcontext() if inner else _Watching(self))
        self._modes[-1].__enter__()

    def _leave(self, *_: object) -> None:
        self._modes.pop().__exit__(None, None, None)

    def note(self, weight: Tensor, x: Tensor) -> None:
        """Add the rows of one input."""
        if id(weight) not in self.wanted or not torch.is_grad_enabled():
            return
        width = x.shape[-1]
        rows = x.detach().reshape(x.numel() // max(1, width), width)
        with torch.autocast(rows.device.type, enabled=False):
            rows = rows.to(working(rows.dtype))  # sums in 16 bits lose what is small
            gram = rows.mT @ rows
        _add(self.fresh, id(weight), (gram, len(rows)))

    def settle(self) -> None:
        """Count what has been noted since the last step: this one is taken."""
        for key, found in self.fresh.items():
            _add(self.sums, key, found)
        self.fresh.clear()

    def drop(self) -> None:
        """Forget what has been noted since the last step: this one is not taken."""
        self.fresh.clear()

    def forget(self, weights: Iterable[Tensor]) -> None:
        """Drop what is left of these: inputs without a gradient belong to no later step."""
        for weight in weights:
            self.sums.pop(id(weight), None)

    def take(self, weight: Tensor) -> Tensor | None:
        """Return the mean Gram matrix since it was last taken, over all processes; None if
        unfed.
        """
        found = self.sums.pop(id(weight), None)
        if found is None:
            return None
        gram, rows = found
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            everyone = torch.tensor(rows, device=gram.device)
            torch.distributed.all_reduce(gram)
            torch.distributed.all_reduce(everyone)
            rows = int(everyone)
        return gram / max(1, rows)  # fed no rows: zeros


def _add(sums: dict[int, Sum], key: int, found: Sum) -> None:
    before = sums.get(key)
    sums[key] = found if before is None else (before[0].add_(found[0]), before[1] + found[1])


class _Watching(TorchFunctionMode):
    """Sees every call of `F.linear`, and of `torch.cat` on weights."""

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self.parts: dict[int, tuple[Tensor, list[Tensor]]] = {}  # results of cat, kept alive

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is F.linear:
            self._linear(*args, **(kwargs or {}))
        elif func is torch.cat and self._holds_wanted(args):
            self.parts[id(result)] = (result, list(args[0]))
        return result

    def _holds_wanted(self, args: tuple[Any, ...]) -> bool:
        parts = args[0] if args and isinstance(args[0], list | tuple) else ()
        return any(id(part) in self.capture.wanted for part in parts)

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> None:
        _, parts = self.parts.get(id(weight), (weight, [weight]))
        for part in parts:
            self.capture.note(part, input)
