"""What `import nestgraph as ng` offers: one short function for each thing to do with a spec.

Wherever a spec is asked for, a `Spec`, a path or the name of a shipped spec will do.
Heavy imports stand in the bodies, so that looking at a spec never costs an import of PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nestgraph.errors import InputError, SpecError
from nestgraph.language.spec import Spec, load

if TYPE_CHECKING:
    import torch

    from nestgraph.comparison.changes import Diff
    from nestgraph.compiler.optimizers import NestedOptimizer
    from nestgraph.compiler.planning import Plan
    from nestgraph.evaluation.results import Results
    from nestgraph.graph.spec_graph import SpecGraph
    from nestgraph.reference import Reference
    from nestgraph.training import NestModule
    from nestgraph.viz.flows.views import ViewName

__all__ = [
    "compile",
    "compile_optimizer",
    "diff",
    "draw",
    "draw_diff",
    "eval",
    "graph",
    "load",
    "load_run",
    "plan",
    "reference",
]

AnySpec = Spec | str | Path


def graph(spec: AnySpec, *, roll: bool = False) -> SpecGraph:
    """Return the graph of a spec, a `networkx.MultiDiGraph`; without its `carry` edges it is
    acyclic.

    Args:
        spec: a spec, its path or its name.
        roll: show equal repeats in a row once.
    """
    from nestgraph.graph.build import build_graph

    return build_graph(loaded(spec).system, roll)


def draw(
    spec: AnySpec,
    path: str | Path | None = None,
    *,
    format: str | None = None,
    view: ViewName = "levels",
    depth: int | None = None,
    focus: str | None = None,
    span: str | None = None,
    theme: str = "light",
) -> str | bytes | Path:
    """Draw a spec.

    Args:
        spec: a spec, its path or its name.
        path: where to write the picture; its ending names the format.
        format: svg, png, pdf, dot, mmd, txt or html; by default the ending of `path`, or svg.
        view: `levels`, `nested` (with those of the optimizer), `block`, `clock`, `optimizer` or
            `system` (the flows of model and optimizer).
        depth: how many blocks inside each other are open, in views of flows; all when None.
        focus: a node, by its path or the end of it; only it and its neighbours are shown.
        span: positions of the clock view: `64`, `100:164`, `64 steps`.
        theme: `light`, `dark` or `print`.

    Returns:
        The path if one was given, else the picture: bytes for png and pdf, else text.
    """
    from nestgraph import viz

    return viz.draw(
        loaded(spec), path, format, view=view, depth=depth, focus=focus, span=span, theme=theme
    )


def draw_diff(
    old: AnySpec,
    new: AnySpec,
    path: str | Path | None = None,
    *,
    format: str | None = None,
    theme: str = "light",
) -> str | bytes | Path:
    """Draw what differs between two specs: added, removed and changed boxes and lines.

    Args:
        old: a spec, its path or its name.
        new: another one.
        path: where to write the picture; its ending names the format.
        format: svg, png, pdf, dot, mmd, txt or html; by default the ending of `path`, or svg.
        theme: `light`, `dark` or `print`.

    Returns:
        The path if one was given, else the picture: bytes for png and pdf, else text.
    """
    from nestgraph import viz

    return viz.draw_diff(loaded(old), loaded(new), path, format, theme=theme)


def diff(old: AnySpec, new: AnySpec) -> Diff:
    """Return what differs between two specs, by node, edge and attribute; false if nothing does.

    Args:
        old: a spec, its path or its name.
        new: what it is compared with.
    """
    from nestgraph.comparison.compare import compare

    return compare(loaded(old).system, loaded(new).system)


def plan(spec: AnySpec) -> Plan:
    """Return what the compiler decides for a spec: kernels, fusions, schedule.

    Raises:
        SpecError: the spec needs what no executor runs yet.
    """
    from nestgraph import compiler

    with sources_of(spec := loaded(spec)):
        return compiler.plan(spec.system)


def reference(
    spec: AnySpec, *, seed: int | None = None, dtype: torch.dtype | None = None
) -> Reference:
    """Return the interpreter of a spec, which defines what it means; slow, and in float64.

    Args:
        spec: a spec, its path or its name.
        seed: of the first parameters; the spec's own when None.
        dtype: of everything; float64 when None.

    Raises:
        SpecError: the spec needs what no executor runs yet.
    """
    import torch

    from nestgraph.reference import Reference

    with sources_of(spec := loaded(spec)):
        seed = spec.system.training.seed if seed is None else seed
        return Reference(spec.system, seed=seed, dtype=dtype or torch.float64)


def compile(spec: AnySpec, *, seed: int | None = None) -> NestModule:
    """Return a `LightningModule` that trains and runs what a spec says.

    Args:
        spec: a spec, its path or its name.
        seed: of the first weights; the spec's own `training.seed` when None.

    Raises:
        SpecError: the spec needs what no executor runs yet.
    """
    from nestgraph import training

    with sources_of(spec := loaded(spec)):
        return training.compile(spec, seed=seed)


def compile_optimizer(
    spec: AnySpec, *, set: Mapping[str, object] | None = None
) -> type[NestedOptimizer]:
    """Return a class of `torch.optim.Optimizer` that moves parameters as an optimizer spec says.

    Args:
        spec: a spec, its path or its name.
        set: overrides, such as `{"vars.beta1": 0.8}`; only for a path or a name.

    Raises:
        SpecError: the spec is no optimizer, or needs what nothing runs.
    """
    from nestgraph.compiler import optimizers

    spec = load(spec, set) if not isinstance(spec, Spec) else spec
    if spec.system.optimizer is None:
        message = f"`{spec.path}` is a model, not an optimizer"
        raise InputError("NG347", message, "`nestgraph list` shows the optimizers")
    with sources_of(spec):
        return optimizers.compile_optimizer(spec.system)


def eval(
    task: str,
    specs: AnySpec | Sequence[AnySpec],
    *,
    seeds: Sequence[int] | None = None,
    steps: int | None = None,
    budget: float | None = None,
    lr: float | Sequence[float] | None = None,
    controls: Literal["none", "static", "rates-off", "baselines", "all"] = "none",
    ablate: Sequence[str] = (),
    match: Literal["none", "parameters", "flops"] = "none",
    smoke: bool = False,
    file: str | Path | None = None,
) -> Results:
    """Train specs on a task, several seeds each, and score them.

    Args:
        task: its name, with settings behind a colon: `mqar:K=16,T=128`.
        specs: one or several: specs, their paths or their names.
        seeds: of weights and rows; 0, 1 and 2 if None.
        steps: of each training; those of the task if None.
        budget: seconds of processor time of each training, in place of steps.
        lr: learning rates, of which the best on rows of its own is taken; those of the task if
            None.
        controls: what to put beside each spec.
        ablate: names of parts to leave out, one at a time.
        match: what every spec is to have as much of as the first one.
        smoke: whether to try the whole way in minutes, on less of everything.
        file: where results are kept; those that are there are not run again.

    Returns:
        Cells and their table.

    Raises:
        InputError: something can't be done as it was asked for.
        SpecError: a spec has errors with the settings of the task.
    """
    from nestgraph.evaluation.results import evaluate

    several = [specs] if isinstance(specs, Spec | str | Path) else specs
    return evaluate(
        task,
        [loaded(spec) for spec in several],
        seeds=seeds,
        steps=steps,
        budget=budget,
        rates=[lr] if isinstance(lr, int | float) else lr,
        controls=controls,
        ablate=ablate,
        match=match,
        smoke=smoke,
        file=None if file is None else Path(file),
    )


def load_run(path: str | Path) -> NestModule:
    """Open a trained model; the spec lies inside its checkpoint.

    Args:
        path: a run folder, of which the newest checkpoint is taken, or a `.ckpt` file.

    Raises:
        InputError: when there is no such run, or its file is cut short or not nestgraph's.
    """
    from nestgraph import training

    return training.load_run(path)


def loaded(spec: AnySpec) -> Spec:
    """Return the spec itself, read from its file where only that is given."""
    return spec if isinstance(spec, Spec) else load(str(spec))


@contextmanager
def sources_of(spec: Spec) -> Iterator[None]:
    """Give findings about a spec the texts that they point into."""
    try:
        yield
    except InputError:
        raise
    except SpecError as error:
        raise SpecError(error.diagnostics, error.sources or spec.sources) from None
