"""What it costs that MLPs learn while they read: `cms-chain` against itself with its MLPs still.

Trained, the other side has the same MLPs on step clocks: their gradients are the optimizer's.
Read, it is the frozen network, without a gradient. Both sides hold the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.steps import FREED, Size, Step
from benchmarks.suites import Comparison, Side
from nestgraph.compiler import compile_model
from nestgraph.compiler.executor.model import CompiledModel
from nestgraph.language.spec import load

APART = 4  # periods of neighbouring levels, when reading
SEGMENT = 512  # the fastest level's period, when training
READ = 128  # the same, when reading
PIECES = (1, 4, 16)  # in which the tokens of a reading come
WINDOW = 64  # of attention when reading, so that what is carried has one size
NET = "{kind: mlp, layers: 2, expansion: $expansion, activation: gelu}"
GOALS = {"first_order": 0.45, "none": 0.6, "reading": 0.25}
SIZES = (Size(batch=2, time=2048), Size(batch=1, time=2048))


def comparisons(
    sizes: tuple[Size, Size] = SIZES, depth: int = 2, segment: int = SEGMENT, read: int = READ
) -> list[Comparison]:
    """Return training in segments, then reading in pieces; each against MLPs that stand still."""
    training, reading = sizes
    still, frozen = _still(training, depth), _frozen(reading, depth)
    clocks = _periods((segment, 2 * segment, 4 * segment))
    moving = {
        kind: {**_sized(training, depth), **clocks, "blocks.layer.memories.F.gradient": kind}
        for kind in ("first_order", "none")
    }
    slow = _periods((read, APART * read, APART**2 * read))
    return [
        Comparison(
            title=f"training in segments of {segment} tokens, three levels in {depth} layers each",
            size=training,
            sides=(
                Side(name="step clocks", build=partial(Training, still, training)),
                *(
                    Side(name=kind, build=partial(Training, settings, training), goal=GOALS[kind])
                    for kind, settings in moving.items()
                ),
            ),
        ),
        *(
            Comparison(
                title=f"reading on in pieces of {reading.time // count} tokens, levels of {read},"
                f" {APART * read} and {APART**2 * read}",
                size=reading,
                sides=(
                    Side(name="frozen", build=partial(Reading, frozen, reading, count)),
                    Side(
                        name="three levels",
                        build=partial(
                            Reading, {**_windowed(reading, depth), **slow}, reading, count
                        ),
                        goal=GOALS["reading"],
                    ),
                ),
                notes=("forward only; the levels' own gradients are part of reading",),
            )
            for count in PIECES
        ),
    ]


class Training(Step):
    """A loss and its gradients, of a whole batch from the first state.

    Args:
        settings: of `cms-chain`.
        size: of the batch.
    """

    def __init__(self, settings: Mapping[str, str], size: Size) -> None:
        self._model = _model(settings)
        tokens = _tokens(self._model, size)
        self._inputs, self._targets = tokens[:, :-1], tokens[:, 1:]
        super().__init__(self._loss, self._model.parameters())

    def _loss(self) -> Tensor:
        return self._model.loss(self._inputs, self._targets)[0]


class Reading(Step):
    """Tokens read behind all tokens before them, without an outer gradient.

    Args:
        settings: of `cms-chain`.
        size: of the tokens.
        count: in how many pieces they come.
    """

    def __init__(self, settings: Mapping[str, str], size: Size, count: int = 1) -> None:
        self._model = _model(settings)
        self._pieces = _tokens(self._model, size)[:, 1:].chunk(count, 1)
        self._state: Mapping[str, Any] | None = None
        # As after a training: the C library then keeps what is freed. Else it depends on where
        # the other side's state lies whether this one asks the system for its pages every time.
        torch.empty(FREED // 4)
        super().__init__(self._read, ())

    def __call__(self) -> None:
        """Read on."""
        self._read()

    def _read(self) -> Tensor:
        logits: list[Tensor] = []
        for piece in self._pieces:
            with torch.no_grad():
                answer = self._model(piece, self._state)
            self._state = answer.state
            logits.append(answer.logits)
        return torch.cat(logits, 1)


def _sized(size: Size, depth: int) -> dict[str, str]:
    wide = {"width": size.width, "heads": size.heads, "depth": depth}
    return {f"vars.{name}": str(value) for name, value in wide.items()}


def _windowed(size: Size, depth: int) -> dict[str, str]:
    attention = {"blocks.layer.memories.A.net": f"{{kind: attention, window: {WINDOW}}}"}
    return {**_sized(size, depth), **attention}


def _periods(periods: tuple[int, int, int]) -> dict[str, str]:
    names = ("fast", "mid", "slow")
    return {f"vars.{name}": str(n) for name, n in zip(names, periods, strict=True)}


def _still(size: Size, depth: int) -> dict[str, str]:
    """Return the same MLPs on step clocks: in a forward pass they are plain nets."""
    steps = {f"levels.{name}": f"{n} steps" for name, n in (("fast", 1), ("mid", 2), ("slow", 4))}
    return {
        **_sized(size, depth),
        **steps,
        "blocks.layer.memories.F": f"{{net: {NET}, level: fast, objective: task}}",
        "model.horizon": "never",
    }


def _frozen(size: Size, depth: int) -> dict[str, str]:
    return {**_still(size, depth), **_windowed(size, depth)}


def _model(settings: Mapping[str, str]) -> CompiledModel:
    return compile_model(load("cms-chain", settings).system, seed=0)


def _tokens(model: CompiledModel, size: Size) -> Tensor:
    source = torch.Generator().manual_seed(0)
    return torch.randint(model.program.vocab, (size.batch, size.time + 1), generator=source)
