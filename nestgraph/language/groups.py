"""Which group of an optimizer moves which parameter: the first that matches.

A group hands a parameter to a block of its own, or to another optimizer, whose groups are then
tried in turn. Shapes alone tell vectors from matrices; what only a model knows about a parameter
(that it is an embedding, say) comes with it as `Traits`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from nestgraph.analysis.parameters import ParameterSpec
from nestgraph.errors import Span
from nestgraph.language.system import Clock, FlatBlock, Group, System


@dataclass(frozen=True, kw_only=True, slots=True)
class Traits:
    """What groups choose a parameter by.

    Attributes:
        name: its path in the model; the pattern of `{names: ...}` is held against it.
        axes: number of its axes.
        kind: `embeddings`, `head`, `vectors` or `hidden_matrices`; by its axes where None.
        linear_map: whether it is the weight of one linear map, whose input can be watched.
        stacked: whether its leading axis counts matrices, as the heads of a memory's state do;
            each of them is then moved as a parameter of its own.
    """

    name: str
    axes: int
    kind: str | None = None
    linear_map: bool = False
    stacked: bool = False

    @property
    def sort(self) -> str:
        """The narrowest kind that holds it."""
        return self.kind or ("vectors" if self.axes < 2 else "hidden_matrices")


_KINDS = {"embedding": "embeddings", "head": "head", "vector": "vectors"}


def traits_of(spec: ParameterSpec) -> Traits:
    """Return what groups choose a parameter of a model by; biases of memories are vectors.

    A matrix that several ops share is no linear map: it has more inputs than one.
    """
    bias = spec.role == "state" and len(spec.shape) < 3
    kind = "vectors" if bias else _KINDS.get(spec.role, "hidden_matrices")
    return Traits(
        name=spec.name,
        axes=len(spec.shape),
        kind=kind,
        linear_map=spec.role == "matrix" and not spec.tied,
        stacked=spec.role == "state" and kind == "hidden_matrices",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A block with all that it needs to run.

    Attributes:
        path: prefix of its nodes in the graph, `0.adamw` or `1.adamw/0.adamw`.
        block: what updates a parameter.
        clocks: the levels of its optimizer.
        lr: factor of the learning rate.
        span: the group in the file.
        tests: the kinds (and, for `names`, patterns) that must all match.
    """

    path: str
    block: FlatBlock
    clocks: Mapping[str, Clock]
    lr: float
    span: Span | None
    tests: tuple[tuple[str, str | None], ...]

    def takes(self, traits: Traits) -> bool:
        """Return whether all conditions on the way to this block hold."""
        return all(matches(kind, names, traits) for kind, names in self.tests)


def matches(kind: str, names: str | None, traits: Traits) -> bool:
    """Return whether one group matches a parameter, whatever came before it."""
    if kind in ("all", "rest"):
        return True
    if kind == "names":
        return fnmatchcase(traits.name, names or "")
    if kind == "matrices":
        return traits.sort != "vectors"
    if kind == "linear_maps":
        return traits.linear_map and traits.sort == "hidden_matrices"
    return traits.sort == kind


def rules(system: System) -> tuple[Rule, ...]:
    """Return all blocks of an optimizer in the order in which they are tried."""
    return tuple(_rules(system))


def _rules(system: System) -> Iterator[Rule]:
    for index, group in enumerate(system.optimizer or ()):
        test = (group.kind, group.names)
        if group.block is not None:
            yield Rule(
                path=f"{index}.{group.block.name}",
                block=group.block,
                clocks=system.clocks,
                lr=group.lr,
                span=group.span,
                tests=(test,),
            )
        elif group.system is not None:
            for rule in _rules(group.system):
                yield _inside(rule, index, group, test)


def _inside(rule: Rule, index: int, group: Group, test: tuple[str, str | None]) -> Rule:
    return replace(
        rule,
        path=f"{index}.{group.spec}/{rule.path}",
        lr=group.lr * rule.lr,
        tests=(test, *rule.tests),
    )


def choose(among: tuple[Rule, ...], traits: Traits) -> int | None:
    """Return the place of the first rule that takes a parameter; None if nothing does."""
    return next((i for i, rule in enumerate(among) if rule.takes(traits)), None)


def labels(name: str, stack: int | None) -> tuple[str, ...]:
    """Return names of a parameter's matrices, which numbers that are drawn for them depend on."""
    return (name,) if stack is None else tuple(f"{name}.{i}" for i in range(stack))
