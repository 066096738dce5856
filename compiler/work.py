"""A bound on the operations on tensors that a measurement takes, the same on every machine."""

from __future__ import annotations

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from nestgraph.errors import InputError

MOST_STEPS = 60_000  # seconds


class Work(TorchDispatchMode):
    """Counts the operations on tensors that are carried out in it, each time that it is entered.

    Raises:
        InputError: from within an operation, when there are more than `MOST_STEPS`.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.steps = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.steps += 1
        if self.steps > MOST_STEPS:
            message = f"to measure this model takes more than {MOST_STEPS:,} operations on tensors"
            hint = "leave out `--costs`, since costs by formula are shown without it, or measure "
            raise InputError("NG912", message, f"{hint}fewer different layers, memories or tokens")
        return func(*args, **(kwargs or {}))
