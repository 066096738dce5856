"""The zoo's table: settings apart, systems by loss, ties where nothing tells them apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.cells import Cell
from benchmarks.zoo_table import System, pooled_deviation, ranks, table


def cell(spec: str, seed: int = 0, nats: float = 1.5, **more: object) -> Cell:
    settings = {
        "key": f"{spec}/{seed}",
        "spec": spec,
        "seed": seed,
        "steps": 2000,
        "whole": 2000,
        "parameters": 800_000,
        "nats": nats,
        "tokens_per_second": 1234.5,
        "state_bytes": 65_536,
        "minutes": 7.5,
        "threads": 1,
    }
    return Cell(**{**settings, **more})  # type: ignore[arg-type]


def of(*nats: float) -> System:
    return System(cells=tuple(cell("dla-tiny", seed, loss) for seed, loss in enumerate(nats)))


def names(part: str) -> list[str]:
    return [line.split("`")[1] for line in part.splitlines() if "`" in line]


def test_each_context_and_each_number_of_steps_has_a_part_of_its_own() -> None:
    short = cell("srwm-tiny", nats=0.5, steps=300)
    long = cell("cms-chain-tiny", nats=1.1)
    good = [cell("hope-tiny", seed, nats=1.5 + seed / 10) for seed in (1, 0)]
    bad = cell("dla-tiny", nats=1.9)

    first, second, third = table([short, long, bad, *good]).split("\n\nContext ")

    assert first.startswith("Context 64, 2,000 steps:")
    assert names(first) == ["hope-tiny", "dla-tiny"]
    assert "| 1 | `hope-tiny` | 800,000 | 1.5500 | 1.5000, 1.6000 |" in first
    assert "fewer steps" not in first
    assert (second.splitlines()[0], names(second)) == ("64, 300 steps:", ["srwm-tiny"])
    assert "| 300\\* |" in second
    assert second.endswith("\\* fewer steps than the spec asks for")
    assert (third.splitlines()[0], names(third)) == ("256, 2,000 steps:", ["cms-chain-tiny"])


def test_systems_within_a_standard_error_of_the_first_are_tied() -> None:
    several = of(1.00, 1.02, 1.04)  # deviation 0.02, error 0.0115
    tied, apart, behind = of(1.04), of(1.06), of(1.062)
    systems = [several, tied, apart, behind]
    assert pooled_deviation(systems) == pytest.approx(0.02)
    # 1.02 and 1.04 are within hypot(0.0115, 0.02); the next is compared with the leader alone.
    assert ranks(systems, 0.02) == [1, 1, 3, 3]


def test_without_a_second_seed_no_rank_is_a_finding() -> None:
    assert pooled_deviation([of(1.0), of(1.1)]) is None
    assert ranks([of(1.0), of(1.1)], None) == [1, 2]
    assert "No system has several seeds" in table([cell("dla-tiny"), cell("hope-tiny", nats=2.0)])


@given(st.lists(st.lists(st.floats(1, 2), min_size=1, max_size=3), min_size=1, max_size=9))
def test_ranks_never_fall_and_a_rank_is_the_place_of_its_first(losses: list[list[float]]) -> None:
    systems = sorted((of(*group) for group in losses), key=lambda system: system.nats)
    found = ranks(systems, pooled_deviation(systems))
    assert found == sorted(found)
    assert all(found[rank - 1] == rank for rank in found)
