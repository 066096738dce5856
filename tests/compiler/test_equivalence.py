"""How long the sequences are on which a compiled model is held against the reference."""

from __future__ import annotations

from dataclasses import replace

import pytest
from building import model_of

from nestgraph.compiler.equivalence import MOST_TOKENS, TOKENS, verify
from nestgraph.compiler.reach import unreached
from nestgraph.language.spec import load

SMALL = {"width": 8, "heads": 2, "depth": 1}


@pytest.mark.parametrize(
    ("name", "values", "tokens"),
    [
        ("transformer-tiny", {}, TOKENS),  # nothing ticks
        ("titans-lmm-tiny", {"chunk": 8}, 64 + 8 + 10),  # runs of whole periods, and one more
        ("titans-lmm-tiny", {"chunk": 32}, 32 + 10),  # one period at a time
        ("cms-chain", {"fast": 12, "mid": 24, "slow": 48}, 2 * 12 + 10),
        ("cms-chain", {"fast": 256, "mid": 512, "slow": 1024}, MOST_TOKENS),
    ],
)
def test_sequences_are_long_enough_for_what_the_kernels_do(
    name: str, values: dict[str, int], tokens: int
) -> None:
    changes: dict[str, object] = {f"vars.{k}": v for k, v in (SMALL | values).items()}

    found = verify(load(name, set=changes).system)

    assert found.tokens == tokens
    assert found.agrees, str(found)


SLOW_THINGS = """
memories:
  F: {level: nine, reset: thirty, keys: x, values: x, rule: {rate: 0.1}}
  G: {net: {kind: mlp, expansion: 1}, level: steps, objective: task}
  A: {net: {kind: attention, window: 12}, keys: x, values: x, reset: thirty}
  T: {net: {kind: mlp, expansion: 1}, level: thirty, objective: task, gradient: none}
nodes:
  f: {read: F, query: x}
  g: {read: G, query: f}
  a: {read: A, query: g}
  t: {read: T, query: a}
  out: {op: sum, in: [x, t]}
"""
SLOW_LEVELS = "{nine: 9 tokens, thirty: 30 tokens, steps: 5 steps}"
TICKS = "ticks of `nine` (every 9 tokens)"
LATER_TICKS = "ticks of `thirty` (every 30 tokens)"
RESETS = tuple(f"resets of `{name}` (every 30 tokens)" for name in "FA")
WINDOW = "events that leave the window of `A` (12 tokens)"
STEPS = "ticks of `steps` (every 5 steps)"


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (8, {TICKS, LATER_TICKS, *RESETS, WINDOW, STEPS}),
        (9, {LATER_TICKS, *RESETS, WINDOW, STEPS}),
        (13, {LATER_TICKS, *RESETS, STEPS}),
        (30, {STEPS}),
    ],
)
def test_a_comparison_names_what_its_tokens_do_not_reach(tokens: int, expected: set[str]) -> None:
    found = verify(model_of(SLOW_THINGS, levels=SLOW_LEVELS), tokens=tokens)
    assert set(found.unreached) == expected
    assert len(found.unreached) == len(expected)
    assert all(f"  not reached: {what}" in str(found).splitlines() for what in expected)
    assert found.agrees, "what is not reached is no disagreement"


def test_cuts_beyond_the_compared_tokens_are_named() -> None:
    text = "{net: {kind: mlp, expansion: 1}, level: nine, objective: task}"
    nodes = "nodes: {y: {read: T, query: x}, out: {op: sum, in: [x, y]}}"
    body = f"memories: {{T: {text}}}\n{nodes}"
    system = model_of(body, levels=SLOW_LEVELS)
    assert system.model is not None
    cut = replace(system.model, horizon=system.clocks["nine"])
    told = "cuts of gradients at `horizon: nine` (every 9 tokens)"
    assert told in unreached(replace(system, model=cut), 9)
    assert told not in unreached(replace(system, model=cut), 10)
