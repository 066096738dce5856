"""Levels are clocks, ranked by how often they tick."""

from __future__ import annotations

from itertools import pairwise

import pytest
from building import model_of, spec_of

from nestgraph.analysis.levels import LevelRow, instances, levels
from nestgraph.language import zoo
from nestgraph.language.spec import load
from nestgraph.language.system import System

CLOCKS = "{fast: 2 tokens, slow: 7 tokens, seldom: 9 steps, often: 3 steps, again: 2 tokens}"
MEMORY = "{level: %s, keys: x, values: x}"
GROUP = "{net: mlp, level: %s, objective: task}"


def model_with(**memories: str) -> System:
    lines = ["memories:", *(f"  {name}: {text}" for name, text in memories.items()), "nodes:"]
    lines += [f"  y_{name}: {{read: {name}, query: x}}" for name in memories]
    lines += [f"  out: {{op: sum, in: [{', '.join(f'y_{name}' for name in memories)}]}}"]
    return model_of("\n".join(lines), levels=CLOCKS)


def names(system: System) -> list[str]:
    return [row.name for row in levels(system)]


def row_of(system: System, name: str) -> LevelRow:
    return next(row for row in levels(system) if row.name == name)


def test_rows_go_from_the_slowest_clock_to_the_fastest() -> None:
    system = model_with(
        A="{net: attention, keys: x, values: x}",
        T=MEMORY % "token",
        F=MEMORY % "fast",
        S=MEMORY % "slow",
        N=MEMORY % "never",
        O=GROUP % "often",
        R=GROUP % "seldom",
    )
    expected = ["never", "seldom", "often", "step", "slow", "fast", "token", "attention"]
    assert names(system) == expected
    assert [row.rank for row in levels(system)] == list(range(1, 9))


def test_the_step_level_exists_without_any_memory_on_it() -> None:
    row = row_of(model_with(T=MEMORY % "token"), "step")
    assert row.trains
    assert row.memories == ()


def test_names_of_one_clock_share_a_row() -> None:
    system = model_with(F=MEMORY % "fast", G=MEMORY % "again")
    assert names(system) == ["step", "fast, again"]


def test_a_group_that_moves_every_step_lives_with_what_trains() -> None:
    row = row_of(model_with(G=GROUP % "step"), "step")
    assert row.memories == ("0.b/G",)
    assert row.trains


@pytest.mark.parametrize(
    ("name", "frequency", "period"),
    [
        ("never", "0", "never, frozen"),
        ("seldom", "1/9 per step", "every 9 steps"),
        ("step", "1 per step", "every step"),
        ("slow", "1/7 per token", "every 7 tokens"),
        ("token", "1 per token", "every token"),
        ("attention", "∞", "recomputed at every token"),
    ],
)
def test_a_row_says_how_often_it_ticks(name: str, frequency: str, period: str) -> None:
    system = model_with(
        A="{net: attention, keys: x, values: x}",
        T=MEMORY % "token",
        S=MEMORY % "slow",
        N=MEMORY % "never",
        R=GROUP % "seldom",
    )
    row = row_of(system, name)
    assert (row.frequency, row.period) == (frequency, period)


def test_repeats_of_a_block_each_have_their_memories() -> None:
    system = load("hope-tiny", {"depth": 3}).system
    context = row_of(system, "context")
    assert len(context.memories) == 3 * 5
    assert context.memories[0] == "0.hope/a.M_k"
    assert context.memories[-1] == "2.hope/a.M_memory"


def test_an_optimizer_has_levels_too() -> None:
    system = spec_of(
        """
        nestgraph: 1
        name: two
        levels: {slow: 10 steps}
        blocks:
          b:
            inputs: [grad, lr]
            memories:
              m: {net: vector, level: slow, values: grad, init: zero}
              p:
                net: vector
                level: step
                objective: {kind: task, through: u}
                rule: {rate: lr}
                init: given
            nodes:
              u: {read: m}
        optimizer: [{for: all, block: b}]
        """
    ).system
    assert [(row.name, row.memories) for row in levels(system)] == [
        ("slow", ("0.b/m",)),
        ("step", ("0.b/p",)),
    ]


@pytest.mark.parametrize("name", zoo.names())
def test_every_memory_of_a_shipped_spec_has_exactly_one_level(name: str) -> None:
    system = load(name).system
    rows = levels(system)
    ranked = [memory for row in rows for memory in row.memories]
    assert sorted(ranked) == sorted(
        f"{path}/{memory}" for path, block in instances(system) for memory in block.memories
    )
    assert all(a.rank + 1 == b.rank for a, b in pairwise(rows))
    assert sum(row.trains for row in rows) == 1
