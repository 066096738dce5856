"""Each rule of the IR is enforced, and a breach names the pass that left it."""

import pytest

from nestgraph.compiler.text import parse_program
from nestgraph.compiler.verifier import IRError, verify_program

HEAD = 'program "a" vocab=8 width=4 norm=none tie_head=true\nfunction f0(%x: 4) for "0.a"\n'


def breaches(*lines: str, output: str = "u") -> str:
    program = parse_program("\n".join([HEAD, *lines, f"return %{output}"]))
    with pytest.raises(IRError) as caught:
        verify_program(program, after="some-pass")
    return str(caught.value)


def test_a_valid_program_passes() -> None:
    text = "%u = silu(%x) : 4\n%v = part(%u) {start=2} : 2\nreturn %u"

    verify_program(parse_program(HEAD + text), after="any")


def test_a_breach_names_the_pass() -> None:
    assert breaches("%u = silu(%y) : 4").startswith("after pass some-pass: f0: ")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("%u = silu(%x) : 4", "%u = silu(%x) : 4"), "%u is made twice"),
        (("%u = silu(%v) : 4", "%v = silu(%x) : 4"), "%u uses %v before it is made"),
        (("%v = silu(%x) : 4",), "%u is returned but never made"),
        (("%u = silu(%x)",), "%u has width None, expected at least 1"),
        (("%u = sliu(%x) : 4",), "%u is of unknown kind sliu"),
        (("%v = silu(%x) : 4", "%u = read(%v, %x) : 4"), "%u does not name its memory first"),
        (
            ("%M = memory()", '%w = write(%M, %x) {roles=["memory"]}', "%u = silu(%x) : 4"),
            "%w has 2 inputs and 1 roles",
        ),
        (("%u = silu(%x) {loop=0} : 4",), "loop 0 does not begin with its `loop` op"),
        (
            (
                "%loop0 = loop() {loop=0}",
                "%a = silu(%x) {loop=0} : 4",
                "%b = silu(%x) : 4",
                "%u = silu(%x) {loop=0} : 4",
            ),
            "%u stands outside its loop 0",
        ),
        (("%u = part(%x) {start=2} : 4",), "%u ends at channel 6 of 4"),
    ],
)
def test_a_broken_rule_is_named(lines: tuple[str, ...], message: str) -> None:
    assert message in breaches(*lines)
