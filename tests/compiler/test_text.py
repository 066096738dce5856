"""The IR prints, and parses back to what it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestgraph.compiler.ir import Function, Op, Program
from nestgraph.compiler.text import IRSyntaxError, parse_program, print_op, print_program
from nestgraph.language.system import Clock

names = st.from_regex(r"[a-z][a-z0-9_]{0,4}(\.[a-z]{1,3})?", fullmatch=True)
numbers = st.one_of(
    st.integers(-(10**6), 10**6), st.floats(allow_nan=False, allow_infinity=False, width=64)
)
scalars = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=8))
attrs = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)
keys = st.from_regex(r"[a-z_]{1,6}", fullmatch=True)


@st.composite
def ops(draw: st.DrawFn) -> Op:
    return Op(
        name=draw(names),
        kind=draw(st.from_regex(r"[a-z0-9_-]{1,8}", fullmatch=True)),
        inputs=tuple(draw(st.lists(names, max_size=3))),
        attrs=draw(st.dictionaries(keys, attrs, max_size=3)),
        width=draw(st.one_of(st.none(), st.integers(1, 512))),
    )


@st.composite
def programs(draw: st.DrawFn) -> Program:
    functions = st.builds(
        Function,
        name=st.from_regex(r"f[0-9]{1,2}", fullmatch=True),
        paths=st.lists(names, min_size=1, max_size=3).map(tuple),
        input=names,
        width=st.integers(1, 99),
        ops=st.lists(ops(), max_size=4).map(tuple),
        output=names,
    )
    clocks = st.one_of(
        st.builds(
            Clock, name=names, unit=st.sampled_from(["tokens", "steps"]), period=st.integers(1, 99)
        ),
        st.builds(Clock, name=names, unit=st.just("never"), period=st.just(0)),
    )
    return Program(
        name=draw(st.text(max_size=10)),
        vocab=draw(st.integers(1, 999)),
        width=draw(st.integers(1, 999)),
        norm=draw(st.sampled_from([None, "rms_norm"])),
        tie_head=draw(st.booleans()),
        classes=draw(st.integers(1, 999)),
        clocks=tuple(draw(st.lists(clocks, max_size=3))),
        functions=tuple(draw(st.lists(functions, max_size=2))),
    )


@given(programs())
def test_a_printed_program_parses_back_to_itself(program: Program) -> None:
    assert parse_program(print_program(program)) == program


def test_an_op_prints_on_one_line_with_sorted_attributes() -> None:
    op = Op(
        name="k", kind="read", inputs=("M", "c"), attrs={"z": (0, 1), "at": "boundary"}, width=8
    )

    assert print_op(op) == '%k = read(%M, %c) {at="boundary", z=[0, 1]} : 8'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected `program`"),
        ("nonsense", "line 1: expected `program`, got: nonsense"),
        (
            'program "a" vocab=1 width=1 norm=none tie_head=true\nfunction f(%x: 1) for "0.a"\n'
            "  %u = \n  return %u",
            "line 3: expected `%value = kind(%input, ...)`, got: %u =",
        ),
        (
            'program "a" vocab=1 width=1 norm=none tie_head=true\nfunction f(%x: 1) for "0.a"\n',
            "line 2: function f has no return",
        ),
        (
            'program "a" vocab=1 width=1 norm=none tie_head=true\nfunction f(%x: 1) for "0.a"\n'
            '  %u = silu(%x) {k="open} : 1\n  return %u',
            "line 3: a text is not closed",
        ),
    ],
)
def test_what_is_no_ir_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(IRSyntaxError, match=r"line \d") as caught:
        parse_program(text)

    assert message in str(caught.value)
