"""The way from a checked system to a lowered model, with a look in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nestgraph.analysis.support import unsupported
from nestgraph.compiler.check_double_backward import once_only
from nestgraph.compiler.elaborate import elaborate
from nestgraph.compiler.ir import Program
from nestgraph.compiler.passes import PASSES
from nestgraph.compiler.pipeline import AfterPass, Pass, Pipeline, chain, nothing
from nestgraph.compiler.verifier import verify_program
from nestgraph.errors import SpecError
from nestgraph.language.models import model_of
from nestgraph.language.system import System

if TYPE_CHECKING:
    import torch

    from nestgraph.compiler.executor.model import CompiledModel


def build_program(system: System, *, after: AfterPass = nothing) -> Program:
    """Return the scheduled IR of a system; every pass's result is verified.

    Args:
        system: checked, with its widths known.
        after: called with each pass and the program behind it.

    Raises:
        SpecError: the spec needs what the executors do not run yet.
        InputError: it is an optimizer.
    """
    model_of(system)
    refused = unsupported(system)
    if refused:
        raise SpecError(refused)
    program = Pipeline(passes=PASSES, after=chain(_verify, after)).run(elaborate(system))
    if refused := once_only(program):
        raise SpecError(refused)
    return program


def compile_model(
    system: System,
    *,
    seed: int | None = None,
    dtype: torch.dtype | None = None,
    blank: bool = False,
) -> CompiledModel:
    """Return the lowered model of a system, with parameters drawn from a seed or read from files.

    Args:
        system: checked, with its widths known.
        seed: of the first parameters; the spec's own when None.
        dtype: of the parameters; float32 when None.
        blank: whether they stay without numbers, because others are about to take their place.

    Raises:
        SpecError: the spec needs what the executors do not run yet, or a file that isn't there.
    """
    import torch

    from nestgraph.compiler.emit.source import python_source
    from nestgraph.compiler.executor.model import CompiledModel
    from nestgraph.runtime.weights import Weights

    program = build_program(system)
    seed = system.training.seed if seed is None else seed
    weights = Weights.of(system, seed, dtype=dtype or torch.float32, blank=blank)
    return CompiledModel(program, weights, python_source(program))


def _verify(step: Pass, program: Program) -> None:
    verify_program(program, after=step.name)
