"""The speed benchmarks: what is compared, at which sizes, and how fast it should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol, cast

from benchmarks.steps import Move, Numbers, Product, Size, Step


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One of the ways to do a step.

    Attributes:
        name: in the table.
        build: makes the step; its weights and inputs are made there.
        flops: of one step by the written-out formula; 0 if nobody counted.
        goal: how fast it should be, relative to the first side; None for no wish.
    """

    name: str
    build: Callable[[], Step | Product | Move]
    flops: float = 0.0
    goal: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Sides that are timed in turn; the others are measured against the first.

    Attributes:
        title: what is compared.
        size: of one step.
        sides: at least two.
        notes: lines to print below, such as formulas.
        check: shows that the sides compute the same; its answer is a line to print.
    """

    title: str
    size: Size | Numbers
    sides: tuple[Side, ...]
    notes: tuple[str, ...] = ()
    check: Callable[[], str] | None = field(default=None)


class Suite(Protocol):
    """A module of this package."""

    def comparisons(self) -> list[Comparison]:
        """Return what the suite compares."""


_MODULES: Mapping[str, str] = {
    "transformer": "transformer",
    "gated-deltanet": "gated_deltanet",
    "self-modifying-titans": "self_modifying_titans",
    "attention-spans": "attention_spans",
    "selective-scan": "selective_scan",
    "diagonal-delta": "diagonal_delta",
    "optimizers": "optimizers",
    "titans-lmm": "titans_lmm",
    "token-clocks": "token_clocks",
}


def suite(name: str) -> Suite:
    """Return the suite of that name."""
    return cast(Suite, import_module(f"{__name__}.{_MODULES[name]}"))
