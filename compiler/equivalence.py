"""Hold a compiled model against the reference interpreter, number by number, in float64."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nestgraph.compiler.build import build_program, compile_model
from nestgraph.compiler.executor.model import CompiledModel
from nestgraph.compiler.planning import plan_of
from nestgraph.compiler.reach import unreached
from nestgraph.language.system import System
from nestgraph.reference import Reference
from nestgraph.runtime.labels import IGNORED

TOKENS, MOST_TOKENS = 20, 270  # of the sequences that are compared
UNTOLD = 0.25  # of positions of the second sequences: those without a label or without a write
MOST_TOLD = 96  # tokens of these
TOLERANCE = 1e-8  # ‖a - b‖ <= TOLERANCE · max(‖b‖, 1): float64 rounding over a short sequence


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One tensor of both executors."""

    name: str
    error: float  # ‖compiled - reference‖ / max(‖reference‖, 1)

    @property
    def agrees(self) -> bool:
        """Return whether the error is rounding."""
        return self.error <= TOLERANCE


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """All tensors that were compared; `str()` is what the command line prints.

    Attributes:
        name: of the spec.
        tokens: that both executors read.
        comparisons: one for each tensor.
        unreached: ticks, resets and the like that so few tokens do not come to.
    """

    name: str
    tokens: int
    comparisons: tuple[Comparison, ...]
    unreached: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Return whether every tensor agrees."""
        return all(c.agrees for c in self.comparisons)

    def __str__(self) -> str:
        worst = max(self.comparisons, key=lambda c: c.error)
        head = (
            f"{self.name}: {len(self.comparisons)} tensors over {self.tokens} tokens,"
            f" largest error {worst.error:.1e} at {worst.name} (allowed {TOLERANCE:.0e})"
        )
        wrong = [f"  differs: {c.name} by {c.error:.1e}" for c in self.comparisons if not c.agrees]
        unseen = [f"  not reached: {what}" for what in self.unreached]
        return "\n".join([head, *wrong, *unseen])


def verify(
    system: System, *, tokens: int | None = None, batch: int = 2, seed: int = 0, spread: float = 0.0
) -> Verification:
    """Compare outputs, final states and the gradient of every parameter.

    Then outputs and states once more, where labels are others than the next tokens and some
    positions are not written.

    Args:
        system: checked, with its widths known.
        tokens: length of the random sequences; if None, `tokens_to_compare`.
        batch: how many of them.
        seed: of the parameters and the tokens.
        spread: standard deviation of noise on all parameters, so that none stays at 0 or 1.

    Raises:
        SpecError: the spec needs what the executors do not run yet.
    """
    compiled = compile_model(system, seed=seed, dtype=torch.float64)
    reference = Reference(system, seed=seed, dtype=torch.float64)
    source = torch.Generator().manual_seed(seed)
    _disturb((compiled.weights, reference.weights), spread, seed)
    assert system.model is not None
    tokens = tokens_to_compare(system) if tokens is None else tokens
    inputs = torch.randint(system.model.vocab, (batch, tokens), generator=source)
    ours, theirs = compiled(inputs), reference(inputs)
    pull = torch.randn(theirs.logits.shape, generator=source, dtype=torch.float64)
    (ours.logits * pull).sum().backward()
    (theirs.logits * pull).sum().backward()
    tensors = {"logits": (ours.logits, theirs.logits)}
    tensors |= _states(compiled.flat_state(ours.state), theirs.state)
    tensors |= _gradients(compiled.weights.named(), reference.weights.named())
    tensors |= _told(compiled, reference, inputs, source)
    comparisons = tuple(_comparisons(tensors))
    unseen = unreached(system, tokens)
    return Verification(name=system.name, tokens=tokens, comparisons=comparisons, unreached=unseen)


def _told(
    compiled: CompiledModel, reference: Reference, inputs: Tensor, source: torch.Generator
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return outputs and states, where something lies beside the tokens."""
    inputs = inputs[:, :MOST_TOLD]
    chance = torch.rand(2, *inputs.shape, generator=source)
    targets = torch.randint(compiled.program.classes, inputs.shape, generator=source)
    targets = torch.where(chance[0] < UNTOLD, IGNORED, targets)
    mask = chance[1] > UNTOLD
    with torch.no_grad():
        ours, theirs = (m(inputs, targets=targets, write_mask=mask) for m in (compiled, reference))
    states = _states(compiled.flat_state(ours.state), theirs.state)
    return {
        "told logits": (ours.logits, theirs.logits),
        **{f"told {name}": pair for name, pair in states},
    }


def tokens_to_compare(system: System) -> int:
    """Return enough that every kernel does what it does on long sequences, but at most 270.

    Two ticks of the fastest level that the task moves, one of each loop's fastest, and a run of
    whole periods with a part of the next.

    Raises:
        SpecError: the spec needs what the executors do not run yet.
    """
    plan = plan_of(build_program(system))
    some = TOKENS // 2
    wanted = [TOKENS, 2 * min((s.period for s in plan.segments), default=0) + some]
    for loop in (loop for function in plan.functions for loop in function.loops):
        tick = min(loop.periods, default=0)
        wanted.append((loop.longest + tick if loop.whole else tick) + some)
    return min(max(wanted), MOST_TOKENS)


def _disturb(modules: tuple[torch.nn.Module, ...], spread: float, seed: int) -> None:
    for module in modules:
        source = torch.Generator().manual_seed(seed + 1)
        with torch.no_grad():
            for _, parameter in sorted(module.named_parameters()):
                noise = torch.randn(parameter.shape, generator=source, dtype=torch.float64)
                parameter.add_(spread * noise)


def _states(
    ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]
) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    """Return states that both keep; the compiler drops those that nothing can read."""
    return ((f"state {name}", (ours[name], theirs[name])) for name in ours)


def _gradients(
    ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]
) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    for name, parameter in theirs.items():
        pair = (ours[name].grad, parameter.grad)
        zeros = torch.zeros_like(parameter)
        yield f"gradient {name}", tuple(zeros if g is None else g for g in pair)  # type: ignore[misc]


def _comparisons(tensors: Mapping[str, tuple[Tensor, Tensor]]) -> Iterator[Comparison]:
    for name, (one, other) in tensors.items():
        distance = (one.detach().double() - other.detach().double()).norm()
        size = other.detach().double().norm().clamp(min=1)
        yield Comparison(name=name, error=float(distance / size))
