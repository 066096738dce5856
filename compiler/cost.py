"""What the compiled kernels of a model cost, from one pass over shapes alone.

The model runs on PyTorch's `meta` device, where tensors have shapes and no numbers, so that a
model of any size is measured in a moment and in little memory. Kernels that choose by device run
as on an accelerator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nestgraph.system import System


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredCost:
    """FLOPs of the matrix products that one training sequence takes, and what has to be kept.

    Attributes:
        tokens: in the sequence.
        forward: FLOPs of the forward pass.
        backward: FLOPs of the backward pass.
        parameter_bytes: of all parameters.
        state_bytes: of the state behind the sequence, by the name that both executors use.
        kept_bytes: of what the forward pass keeps for the backward pass, without parameters.
    """

    tokens: int
    forward: int
    backward: int
    parameter_bytes: int
    state_bytes: dict[str, int]
    kept_bytes: int


def measure(system: System, *, tokens: int | None = None) -> MeasuredCost:
    """Counts one sequence, forward and backward.

    Args:
        system: of a model.
        tokens: in the sequence; the spec's `training.context` when None.

    Raises:
        SpecError: the spec needs what the executors do not run yet.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from nestgraph.compiler.build import compile_model

    time = system.training.context if tokens is None else tokens
    model = compile_model(system, blank=True).to("meta")
    sequence = torch.zeros(1, time, dtype=torch.long, device="meta")
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            storage = tensor.untyped_storage()
            kept[storage._cdata] = storage.nbytes()  # on `meta` all have the address 0
        return tensor

    with FlopCounterMode(display=False) as counter:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            output = model(sequence)
        forward = counter.get_total_flops()
        output.logits.sum().backward()
    return MeasuredCost(
        tokens=time,
        forward=forward,
        backward=counter.get_total_flops() - forward,
        parameter_bytes=sum(p.nbytes for p in model.parameters()),
        state_bytes={n: t.nbytes for n, t in model.flat_state(output.state).items()},
        kept_bytes=sum(kept.values()),
    )
