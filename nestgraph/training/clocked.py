"""An optimizer whose parameter groups tick on clocks of their own.

`ClockedOptimizer` wraps any optimizer of PyTorch. A group with `period` N moves at every N-th
`step` only, by the mean of the N gradients that it met; between its ticks nothing about it
changes, not even by weight decay. Groups with period 1 are the inner optimizer's own affair.

Choices that matter:

* It is a `torch.optim.Optimizer` that shares `param_groups` and `state` with the inner one, so
  that schedulers, gradient clipping and Lightning's automatic optimization see nothing unusual.
* Gradients wait in buffers of their own, because `zero_grad` empties `.grad` after every step.
* Clocks live in the parameter groups and buffers in `state_dict`: a run that stops in the middle
  of a period goes on with the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer

Group = dict[str, Any]

# What a clock adds to a parameter group.
PERIOD = "period"  # steps from tick to tick
WAITED = "waited"  # steps since the last tick
UPDATES = "updates"  # ticks so far
LEVEL = "level"  # the name that updates are counted under


class ClockedOptimizer(Optimizer):
    """Steps each parameter group of an optimizer when it is due.

    Args:
        inner: the optimizer that does the updates. A group may name its `period` (default 1)
            and its `level` (default "step").
    """

    def __init__(self, inner: Optimizer) -> None:
        for group in inner.param_groups:
            _wind_up(group)
        self.inner = inner
        self._waiting: dict[Tensor, Tensor] = {}  # sums of gradients since the last tick
        super().__init__(inner.param_groups, inner.defaults)
        self._share()

    def _share(self) -> None:
        self.param_groups = self.inner.param_groups
        self.state = self.inner.state

    def add_param_group(self, param_group: Group) -> None:
        """Adds a group, whose clock starts now."""
        _wind_up(param_group)
        if any(param_group is known for known in self.inner.param_groups):
            # The base class calls this while it is built, for groups that are there already.
            super().add_param_group(param_group)
        else:
            self.inner.add_param_group(param_group)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Counts one step for every group and moves those that are due.

        Args:
            closure: computes the loss and its gradients; called once, before anything else.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            group[WAITED] += 1
            if group[PERIOD] > 1:
                self._collect(group)
        due = [group for group in self.param_groups if group[WAITED] >= group[PERIOD]]
        if due:
            with self._only(due), self._means(due):
                self.inner.step()
        for group in due:
            group[WAITED] = 0
            group[UPDATES] += 1
        return loss

    def updates(self) -> dict[str, int]:
        """How often each level has moved."""
        return {group[LEVEL]: group[UPDATES] for group in self.param_groups}

    def state_dict(self) -> dict[str, Any]:
        """The inner optimizer's state, with the gradients that wait for their tick."""
        waiting = {
            index: self._waiting[parameter]
            for index, parameter in enumerate(self._parameters())
            if parameter in self._waiting
        }
        return {**self.inner.state_dict(), "waiting": waiting}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up a state as `state_dict` gave it.

        Raises:
            ValueError: when the state is another kind of optimizer's.
        """
        if "waiting" not in state_dict:
            raise ValueError("this state has no step clocks: it is not a ClockedOptimizer's")
        rest = {key: value for key, value in state_dict.items() if key != "waiting"}
        self.inner.load_state_dict(rest)
        self._share()
        parameters = list(self._parameters())
        self._waiting = {
            parameters[index]: total.detach().to(parameters[index], copy=True)
            for index, total in state_dict["waiting"].items()
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "inner": self.inner, "_waiting": self._waiting}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share()

    def _parameters(self) -> Iterator[Tensor]:
        for group in self.param_groups:
            yield from group["params"]

    def _collect(self, group: Group) -> None:
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            total = self._waiting.get(parameter)
            if total is None:
                self._waiting[parameter] = parameter.grad.detach().clone()
            else:
                total.add_(parameter.grad)

    @contextmanager
    def _only(self, due: list[Group]) -> Iterator[None]:
        """Hides the groups that are not due, so that nothing can happen to them."""
        everything = self.inner.param_groups
        self.inner.param_groups = due
        try:
            yield
        finally:
            self.inner.param_groups = everything

    @contextmanager
    def _means(self, due: list[Group]) -> Iterator[None]:
        """Shows the inner optimizer mean gradients, then puts this step's own ones back."""
        slow = [(group, p) for group in due if group[PERIOD] > 1 for p in group["params"]]
        own = [parameter.grad for _, parameter in slow]
        for group, parameter in slow:
            total = self._waiting.pop(parameter, None)
            parameter.grad = None if total is None else total.div_(group[WAITED])
        try:
            yield
        finally:
            for (_, parameter), gradient in zip(slow, own, strict=True):
                parameter.grad = gradient


def _wind_up(group: Group) -> None:
    """Gives a group a clock that starts now, unless it has one."""
    period = group.setdefault(PERIOD, 1)
    if not isinstance(period, int) or isinstance(period, bool) or period < 1:
        raise ValueError(f"`period` (={period!r}) must be a whole number of steps, 1 or more")
    group.setdefault(LEVEL, "step")
    group.setdefault(WAITED, 0)
    group.setdefault(UPDATES, 0)
