"""Tasks: what is asked of a model, how it is scored, and what others have reached.

A task is a function of its settings, registered by name:

    @task("mqar")
    def mqar(*, T: int = 64, K: int = 4) -> Task:
        require(4 * K <= T, f"`K` (={K}) must be at most T / 4 (={T // 4})")
        return Task(...)

`nestgraph.evaluation.choosing` finds it by a text such as `mqar:K=16,T=128`.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from nestgraph.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Kind = Literal["recall", "state", "text", "long", "continual", "context", "optimizer"]
Value: TypeAlias = int | float | bool | str


class Split(StrEnum):
    """Which rows are drawn: those to train on, to choose rates by, or to score."""

    TRAIN = "train"
    TUNE = "tune"
    TEST = "test"


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows of equal length.

    Attributes:
        tokens: (B, T) int64; -1 behind the end of a row that is shorter than others.
        targets: (B, T) int64, the label at the position that must predict it; `labels.IGNORED`
            elsewhere.
    """

    tokens: Tensor
    targets: Tensor


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What a model is known to reach.

    Attributes:
        model: its name, as its authors call it.
        value: in the metric of the task.
        source: who measured it, and where it stands.
    """

    model: str
    value: float
    source: str


Draw: TypeAlias = Callable[[Split, int, int], Batch]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task with its settings filled in.

    Attributes:
        name: by which it is registered.
        kind: what it asks for; kinds may have a procedure of their own.
        doc: one sentence on what a row is and what must be answered.
        vocab: tokens and labels are below it.
        context: tokens of a row to train on.
        metric: a registered metric.
        higher: whether more of it is better.
        chance: what guessing gets; None where that isn't known.
        floor: the best that is possible; None where that isn't known.
        stop: training ends when the tuning rows reach it; None to train to the end.
        steps: of a training, unless others are asked for.
        batch: rows of a step.
        rates: learning rates to choose from, unless others are asked for.
        references: what others have reached.
        draw: that many rows of a split by a seed; equal rows for equal arguments.
        rows: how many are scored.
        parts: rows that are scored apart from those of `draw`, such as longer ones, by name.
        settings: those that the task was made with; filled in by whoever makes it.
    """

    name: str
    kind: Kind
    doc: str
    vocab: int
    context: int
    metric: str
    higher: bool
    chance: float | None
    floor: float | None
    stop: float | None
    steps: int
    batch: int
    rates: tuple[float, ...]
    references: tuple[Reference, ...]
    draw: Draw
    rows: int = 1024
    parts: Mapping[str, Draw] = field(default_factory=dict)
    settings: Mapping[str, Value] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Its name with all its settings, by which it is found again."""
        told = ",".join(f"{name}={_shown(value)}" for name, value in self.settings.items())
        return f"{self.name}:{told}" if told else self.name


Maker: TypeAlias = Callable[..., Task]
_MAKERS: dict[str, Maker] = {}


def task(name: str) -> Callable[[Maker], Maker]:
    """Register a function that makes a task of its settings, all of which have defaults.

    Args:
        name: that nobody else has taken.
    """

    def register(maker: Maker) -> Maker:
        assert name not in _MAKERS, f"two tasks are called {name}"
        for setting in inspect.signature(maker, eval_str=True).parameters.values():
            assert setting.kind is setting.KEYWORD_ONLY, f"{name}: {setting.name} is positional"
            assert isinstance(setting.default, get_args(Value)), f"{name}: {setting.name}"
        _MAKERS[name] = maker
        return maker

    return register


def makers() -> Mapping[str, Maker]:
    """Return the functions that make tasks, by name, as far as their modules were imported."""
    return MappingProxyType(_MAKERS)


def require(fits: bool, said: str, hint: str = "") -> None:
    """Refuse a setting of a task.

    Args:
        fits: whether it can be taken.
        said: what is wrong with its value, and what was expected.
        hint: what to do.

    Raises:
        InputError: it doesn't fit (NG931).
    """
    if not fits:
        raise InputError("NG931", said, hint)


def generator(*key: object) -> torch.Generator:
    """Return a source of random numbers for a key, such as the name of a task, a split and a
    seed.
    """
    import torch

    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    source = torch.Generator()
    source.manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    return source


def _shown(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"
