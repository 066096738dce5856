"""From an optimizer spec to a `torch.optim.Optimizer`.

A block becomes a program: the order and the clocks of its flows are worked out once, and each step
runs it for all parameters of a group together, on lists (`torch._foreach_*`) where cells are
enough and on stacks of matrices of one shape where they are not.
"""

from __future__ import annotations

from nestgraph.analysis.support import unsupported
from nestgraph.compiler.optimizers.optimizer import NestedOptimizer
from nestgraph.compiler.optimizers.program import build_program
from nestgraph.errors import SpecError
from nestgraph.language.groups import rules
from nestgraph.language.system import System

__all__ = ["NestedOptimizer", "compile_optimizer"]


def compile_optimizer(system: System) -> type[NestedOptimizer]:
    """Return a class of optimizers that move parameters as a spec says.

    Args:
        system: of an optimizer (`Spec.system`), checked.

    Raises:
        SpecError: the spec asks for something that can't be run.
    """
    if refused := unsupported(system):
        raise SpecError(refused)
    among = rules(system)
    programs = tuple(build_program(rule.block, rule.clocks) for rule in among)
    name = "".join(part.capitalize() for part in system.name.replace("_", "-").split("-"))
    attributes = {
        "__doc__": system.doc or None,
        "__module__": __name__,
        "spec_name": system.name,
        "system": system,
        "blank": staticmethod(_blank),
        "rules": among,
        "programs": programs,
    }
    return type(name, (NestedOptimizer,), attributes)


def _blank(system: System) -> NestedOptimizer:
    kind = compile_optimizer(system)
    return kind.__new__(kind)
