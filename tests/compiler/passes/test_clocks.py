"""Each read is told which moment of its memory it waits for."""

from building import model_of

from nestgraph.compiler import print_ir

BODY = """
memories:
  M: {{net: linear, heads: 2, level: {level}, keys: {keys}, values: x, rule: {{rate: 0.1}}}}
nodes:
  z: {{read: M, query: x, at: {at}}}
  k: {{op: l2_norm, in: z, heads: 2}}
  out: {{op: sum, in: [x, z]}}
"""


def read_line(level: str, keys: str, at: str) -> str:
    text = print_ir(model_of(BODY.format(level=level, keys=keys, at=at)), after="clocks")
    return next(line for line in text.splitlines() if "= read(" in line)


def test_an_after_read_waits_for_the_write() -> None:
    assert "read(%M, %x, %M.write)" in read_line("chunk", "x", "after")


def test_a_boundary_read_waits_for_nothing() -> None:
    assert "read(%M, %x)" in read_line("chunk", "x", "boundary")


def test_a_before_read_that_can_wait_is_answered_behind_the_write() -> None:
    assert "read(%M, %x, %M.write)" in read_line("chunk", "x", "before")


def test_a_before_read_that_the_write_needs_is_carried() -> None:
    line = read_line("chunk", "k", "before")

    assert "read(%M, %x)" in line
    assert "carried=true" in line


def test_the_boundary_of_a_memory_on_tokens_is_before() -> None:
    assert 'at="before"' in read_line("token", "x", "boundary")
