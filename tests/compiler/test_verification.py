"""How long the sequences are on which a compiled model is held against the reference."""

from __future__ import annotations

import pytest

from nestgraph.compiler.verification import MOST_TOKENS, TOKENS, verify
from nestgraph.spec import load

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
