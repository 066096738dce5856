"""Cost of a model's compiled kernels, from one pass over shapes alone.

The model runs on PyTorch's `meta` device, where tensors have shapes and no numbers, so that a
model of any size is measured in a moment and in little memory. Kernels that choose by device run
as on an accelerator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakSet

from nestgraph.compiler.build import build_program
from nestgraph.compiler.repeats import Counted, Kind, adds_up, counted, kinds_of_layers
from nestgraph.language.system import System

if TYPE_CHECKING:
    from torch import Tensor

    from nestgraph.compiler.work import Work


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
    """Count one sequence, forward and backward.

    Layers of one kind are counted once, and so are equal segments of a sequence (`repeats.py`).

    Args:
        system: of a model.
        tokens: in the sequence; the spec's `training.context` when None.

    Raises:
        SpecError: the spec needs what the executors do not run yet.
        InputError: it takes too many operations on tensors (`work.py`).
    """
    from nestgraph.compiler.work import Work

    program = build_program(system)  # what can't run is refused of the whole model
    tokens = system.training.context if tokens is None else tokens
    work = Work()
    if not adds_up(system):
        return measure_whole(system, tokens=tokens, work=work)
    kinds, states = kinds_of_layers(system, program), dict[str, int]()

    def count(model: System, time: int, group: int | None) -> Counted:
        cost = measure_whole(model, tokens=time, group=group, work=work)
        states.update(cost.state_bytes)
        return Counted(
            forward=cost.forward,
            backward=cost.backward,
            parameter_bytes=cost.parameter_bytes,
            kept_bytes=cost.kept_bytes,
        )

    cost = counted(system, kinds, tokens, count)
    return MeasuredCost(
        tokens=tokens,
        forward=cost.forward,
        backward=cost.backward,
        parameter_bytes=cost.parameter_bytes,
        state_bytes=dict(_of_all_layers(kinds, states)),
        kept_bytes=cost.kept_bytes,
    )


def _of_all_layers(kinds: Sequence[Kind], states: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Yield the states of one layer of each kind, under the names of all that are like it."""
    alike = {kind.layers[0].path: kind.layers for kind in kinds}
    for name, size in states.items():
        path = ".".join(name.split(".", 2)[:2])  # place and name of a layer
        if path not in alike:
            yield name, size
            continue
        for layer in alike[path]:
            yield layer.path + name.removeprefix(path), size


class _Saved:
    """A tensor that waits for the backward pass."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def measure_whole(
    system: System,
    *,
    tokens: int | None = None,
    group: int | None = None,
    work: Work | None = None,
) -> MeasuredCost:
    """Count one sequence through every layer and segment.

    Args:
        system: of a model.
        tokens: in the sequence; the spec's `training.context` when None.
        group: segments that run again together for the backward pass; None for as many as ever.
        work: what has been carried out before, and may become too much; no bound when None.

    Raises:
        SpecError: the spec needs what the executors do not run yet.
        InputError: the work becomes too much.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from nestgraph.compiler.build import compile_model
    from nestgraph.ops.scan.checkpointed_loop import in_groups_of

    time = system.training.context if tokens is None else tokens
    model = compile_model(system, blank=True).to("meta")
    sequence = torch.zeros(1, time, dtype=torch.long, device="meta")
    saved: WeakSet[_Saved] = WeakSet()  # what a graph that is dropped has saved is gone by itself

    def keep(tensor: torch.Tensor) -> _Saved:
        one = _Saved(tensor)
        saved.add(one)
        return one

    grouped = nullcontext() if group is None else in_groups_of(group)
    with grouped, FlopCounterMode(display=False) as counter, work or nullcontext():
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda one: one.tensor):
            output = model(sequence)
        forward = counter.get_total_flops()
        tensors = [one.tensor for one in saved if not isinstance(one.tensor, torch.nn.Parameter)]
        storages = [tensor.untyped_storage() for tensor in tensors]
        kept = {one._cdata: one.nbytes() for one in storages}  # on `meta` all have the address 0
        output.logits.sum().backward()
    return MeasuredCost(
        tokens=time,
        forward=forward,
        backward=counter.get_total_flops() - forward,
        parameter_bytes=sum(p.nbytes for p in model.parameters()),
        state_bytes={n: t.nbytes for n, t in model.flat_state(output.state).items()},
        kept_bytes=sum(kept.values()),
    )
