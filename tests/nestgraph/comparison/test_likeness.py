"""Parts of two blocks are told apart as far as what they say, and nothing further."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from building import block_of

from nestgraph.comparison.align_layers import Said, said
from nestgraph.comparison.likeness import Names, kinds, renamed
from nestgraph.display.fields import Part, kind


def again_and_again(*sides: Sequence[Part]) -> list[Names]:
    """Return every part read in the words of the reading before, until they tell no more apart."""
    names = [{part.name: kind(part) for part in parts} for parts in sides]
    told = 0
    while (count := len({one for side in names for one in side.values()})) > told:
        told, seen = count, dict[object, str]()
        names = [
            {part.name: seen.setdefault(said(renamed(part, side)), f"#{len(seen)}") for part in ps}
            for ps, side in zip(sides, names, strict=True)
        ]
    return list(names)


def apart(sides: Sequence[Names]) -> list[list[tuple[int, str]]]:
    found: dict[str, list[tuple[int, str]]] = {}
    for at, names in enumerate(sides):
        for name, number in names.items():
            found.setdefault(number, []).append((at, name))
    return sorted(sorted(group) for group in found.values())


def drawn(rng: random.Random, prefix: str) -> list[Part]:
    """Return the parts of a block of few kinds, many of which say the same."""
    flows, body, memories = ["x"], [], []
    for at in range(rng.randrange(4, 14)):
        name, source = f"{prefix}{at}", rng.choice(flows[-3:])
        match rng.randrange(4):
            case 0:
                body.append(f"{name}: {{op: sum, in: [{source}, {rng.choice(flows)}]}}")
            case 1:
                memories.append(f"M{name}: {{keys: {source}, values: x, rule: {{rate: 0.1}}}}")
                body.append(f"{name}: {{read: M{name}, query: {rng.choice(flows)}}}")
            case _:
                chain = ", ".join(["silu"] * rng.randrange(1, 4))
                body.append(f"{name}: {{op: linear, in: {source}, out: 8, then: [{chain}]}}")
        flows.append(name)
    body.append(f"out: {{op: sum, in: [{', '.join(flows)}]}}")
    lines = ["memories:", *(f"  {one}" for one in memories)] if memories else []
    return list(
        block_of("\n".join([*lines, "nodes:", *(f"  {one}" for one in body)])).parts.values()
    )


@pytest.mark.parametrize("_", range(6))
def test_parts_are_told_apart_as_by_reading_all_of_them_again_and_again(_: int) -> None:
    rng = random.Random()
    sides = drawn(rng, "a"), drawn(rng, "b")
    assert apart(kinds(*sides)) == apart(again_and_again(*sides))


def test_a_long_chain_is_read_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    def chain(name: str) -> list[Part]:
        body = f"nodes: {{{name}: {{op: linear, in: x, then: [{'silu, ' * 200}]}}, out: {name}}}"
        body = body.replace(f"out: {name}", f"out: {{op: sum, in: [{name}]}}")
        return list(block_of(body).parts.values())

    read: list[str] = []

    def noted(part: Part) -> Said:
        read.append(part.name)
        return said(part)

    monkeypatch.setattr("nestgraph.comparison.likeness.said", noted)
    sides = chain("a"), chain("b")
    old, new = kinds(*sides)
    assert list(old.values()) == list(new.values())
    assert len(set(old.values())) == 202
    assert len(read) < 3 * 404
