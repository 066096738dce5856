"""How many pairs one pass of a write rule stores, without any training.

Random keys and values of length 1 are written once each, one after the other, into a memory at its
random start; then each key is asked. A memory that can't answer eight of them will not be taught
to by training what feeds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.failure import BenchmarkError
from benchmarks.lab import Lab, Stored, memories_of
from nestgraph.cli.opening import settings
from nestgraph.display import markdown_text
from nestgraph.language import zoo
from nestgraph.language.spec import Spec, load
from nestgraph.rewriting.document import Values

FAR = 1e3  # times its target: an answer that long has diverged


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to store.

    Attributes:
        specs: names or paths; every system of the zoo that has such a memory if empty.
        set: changes to them, each PATH=VALUE.
        rates: of the writes.
        pairs: after how many pairs to ask.
        width: of keys and values.
        trials: over which to take means.
        seed: of pairs and starts.
    """

    specs: tuple[str, ...]
    set: tuple[str, ...]
    rates: tuple[float, ...]
    pairs: tuple[int, ...]
    width: int
    trials: int
    seed: int


def print_capacity(plan: Plan) -> int:
    """Print a table, a memory as soon as it is measured.

    Raises:
        BenchmarkError: when a spec that was named has no memory that writes matrices.
        SpecError: when one can't be read.
    """
    counts = sorted(set(plan.pairs))
    found = _memories(plan)
    print(
        f"{plan.trials} trials of random pairs of length 1, keys and values {plan.width} wide, "
        f"seed {plan.seed}; after each number of pairs:\n"
        "part of a target that is stored / answers nearest to their own target, of all written, "
        "in % / cosine with the answer before the first write\n"
    )
    head = ["memory", "rate", *(f"{count} pair{'s' * (count > 1)}" for count in counts)]
    print("\n".join(markdown_text.table(head, [])), flush=True)
    for names, memory in found:
        lab = Lab(
            memory,
            rates=plan.rates,
            pairs=counts[-1],
            width=plan.width,
            trials=plan.trials,
            seed=plan.seed,
        )
        print("\n".join(_rows(names, plan.rates, list(lab.passes(counts)))), flush=True)
    return 0


def _memories(plan: Plan) -> list[tuple[str, Values]]:
    """Return all memories to measure with what they are called, equal ones once."""
    found: dict[str, tuple[dict[str, list[str]], Values]] = {}
    for spec in _specs(plan):
        for name, memory in memories_of(spec):
            owners, _ = found.setdefault(repr(memory), ({}, memory))
            owners.setdefault(spec.system.name, []).append(name)
    return [(_told(owners), memory) for owners, memory in found.values()]


def _told(owners: Mapping[str, Sequence[str]]) -> str:
    """Return memories that are alike, spec by spec."""
    return ", ".join(
        f"`{spec}` {first}" + (f" and {len(rest)} like it" if rest else "")
        for spec, (first, *rest) in owners.items()
    )


def _specs(plan: Plan) -> Iterator[Spec]:
    """Yield the specs that were named, or those of the zoo."""
    for name in plan.specs or [family.name for family in zoo.families()]:
        spec = load(name, settings(list(plan.set)))
        if spec.system.model is not None and any(memories_of(spec)):
            yield spec
        elif plan.specs:
            raise BenchmarkError(f"`{name}` has no memory that stores values under keys in a net")


def _rows(names: str, rates: Iterable[float], passes: list[Stored]) -> Iterator[str]:
    for index, rate in enumerate(rates):
        cells = [_cell(stored, index) for stored in passes]
        yield f"| {names if index == 0 else ''} | {rate:g} | {' | '.join(cells)} |"


def _cell(stored: Stored, rate: int) -> str:
    share, right, alike = (x[rate].double() for x in (stored.share, stored.right, stored.alike))
    if not share.isfinite().all() or share.abs().mean() > FAR:
        return "diverges"
    cosine = f"{alike.mean():.2f}" if stored.started else "-"
    return f"{100 * share.mean():.0f} / {100 * right.mean():.0f} / {cosine}"
