"""Numbers that float32 can't hold are refused where they stand, whatever they are for."""

from __future__ import annotations

import pytest
from building import FILE, SGD, model_text, spec_of

from nestgraph.errors import SpecError
from nestgraph.schema.ranges import LARGEST, SMALLEST

OPTIMIZER = SGD.replace("{rate: lr}", "{rate: lr, retain: %s}")
MODEL = model_text(
    """
    memories:
      M: {net: linear, keys: x, values: x, rule: {rate: %s}}
    nodes:
      out: {read: M, query: x}
    """,
    4,
    "{}",
)


def refusals(text: str, overrides: dict[str, object] | None = None) -> list[str]:
    with pytest.raises(SpecError) as caught:
        spec_of(text, overrides)
    return [str(one).replace(f"{FILE}:", "") for one in caught.value.diagnostics]


@pytest.mark.parametrize("number", ["1e308", "-3.5e38", "1" + "0" * 40])
def test_a_number_that_would_be_infinite_is_refused_at_its_place(number: str):
    (found,) = refusals(OPTIMIZER % number)

    assert found.startswith("12:34: NG104 `rule.retain` of memory `p` is ")
    assert "at most 3.4e+38 in size" in found


@pytest.mark.parametrize("number", ["1e-60", "-1e-46"])
def test_a_number_that_would_become_zero_is_refused_at_its_place(number: str):
    (found,) = refusals(MODEL % number)

    assert "NG104 `rule.rate` of memory `M` is " in found
    assert "0, or at least 1.4e-45 in size" in found


def test_what_a_var_or_arithmetic_makes_is_held_to_the_same_range():
    text = (OPTIMIZER % "$much").replace("blocks:", "vars: {much: 1e300}\nblocks:")
    tiny = (MODEL % "$little ^ 3").replace("blocks:", "vars: {little: 1e-20}\nblocks:")

    assert "is 1e+300; expected at most" in refusals(text)[0]
    assert "is 1e-60; expected 0, or" in refusals(tiny)[0]


@pytest.mark.parametrize(
    "place", ["training.lr", "training.clip", "training.weight_decay", "training.steps"]
)
def test_training_is_held_to_the_same_range(place: str):
    (found,) = refusals(MODEL % 0.1, {place: 1e308})

    assert f"`{place}` of the spec is 1e+308" in found


def test_a_number_in_a_list_a_chain_or_a_with_is_found_too():
    inner = "blocks:\n  i: {vars: {a: 1}, nodes: {out: {op: affine, in: x, scale: $a}}}"
    nodes = """      s: {op: sum, in: [x, x], weights: [1, 1e39]}
      c: {op: tanh, in: s, then: [{op: affine, shift: 1e40}]}
      b: {block: i, in: c, with: {a: 1e41}}
      out: {read: M, query: b}"""
    text = (MODEL % 0.1).replace("blocks:", inner, 1)
    text = text.replace("      out: {read: M, query: x}", nodes)

    found = " ".join(refusals(text))

    assert all(f"is 1e+{exponent}" in found for exponent in (39, 40, 41)), found


@pytest.mark.parametrize("number", [LARGEST, -LARGEST, SMALLEST, 0.0])
def test_what_float32_just_holds_is_taken(number: float):
    text = (MODEL % 0.1).replace(
        "out: {read: M, query: x}",
        f"out: {{op: affine, in: r, shift: {number!r}}}\n      r: {{read: M, query: x}}",
    )

    assert spec_of(text)
