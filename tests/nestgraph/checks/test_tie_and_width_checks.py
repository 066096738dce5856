"""Where ops meet: shared parameters."""

from __future__ import annotations

from mistakes import GOOD, errors


def test_an_op_that_shares_parameters_behind_a_mismatch_leaves_it_at_that():
    text = GOOD.replace(
        "      v: {op: linear, in: x}\n",
        "      v: {op: linear, in: x}\n"
        "      narrow: {op: linear, in: x, out: 3}\n"
        "      uneven: {op: sum, in: [x, narrow]}\n"
        "      shared: {op: linear, in: uneven, out: 8, tie: v}\n",
    )

    found = errors(text)

    assert [line.split()[1] for line in found] == ["NG224"]
