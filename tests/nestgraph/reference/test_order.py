"""The order of one position comes from what asks for what."""

from __future__ import annotations

import pytest

from nestgraph.reference.order import Write, in_order


def names(system):
    jobs = in_order(system.model.layers[0].block)
    return [f"{j.memory.name}.write" if isinstance(j, Write) else j.name for j in jobs]


BLOCK = """
memories:
  M: {keys: k, values: x, rule: {rate: eta, erase: {rate: rho}}}
nodes:
  out: {read: M, query: q, at: AT}
  q: {op: tanh, in: x}
  rho: {op: mean, in: q, then: [sigmoid]}
  eta: {op: mean, in: k, then: [sigmoid]}
  k: {op: tanh, in: x}
"""


def test_an_after_read_stands_behind_the_write_and_all_that_it_asks_for(make_system):
    order = names(make_system(BLOCK.replace("AT", "after"), 4))
    write = order.index("M.write")
    assert write < order.index("out")
    assert max(order.index(name) for name in ("k", "eta", "rho")) < write


@pytest.mark.parametrize("at", ["before", "boundary"])
def test_other_reads_do_not_wait_for_the_write(make_system, at):
    order = names(make_system(BLOCK.replace("AT", at), 4))
    assert order[:2] == ["q", "out"]
    assert set(order[2:]) == {"k", "eta.base", "eta", "rho.base", "rho", "M.write"}
    assert len(order) == 8


def test_long_chains_need_no_deep_stack(make_system):
    chain = "".join(f"  n{i}: {{op: tanh, in: n{i + 1}}}\n" for i in range(3000))
    text = f"nodes:\n  out: {{op: tanh, in: n0}}\n{chain}  n3000: {{op: tanh, in: x}}\n"
    order = names(make_system(text, 4))
    assert order[0] == "n3000"
    assert order[-1] == "out"
