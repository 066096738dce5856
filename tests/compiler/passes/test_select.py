"""The table from axes to kernels: every row is reached by its axes, whatever things are called."""

import pytest
from building import model_of

from nestgraph.compiler import plan, print_ir
from nestgraph.compiler.planning import MemoryPlan

MLP = "{kind: mlp, expansion: 1}"


def decided(memory: str, read: str = "after") -> MemoryPlan:
    body = f"""
memories:
  M: {{heads: 2, keys: k, {memory}}}
nodes:
  k: {{op: l2_norm, in: x, heads: 2}}
  out: {{read: M, query: k, at: {read}}}
"""
    (found,) = plan(model_of(body)).functions[0].memories
    return found


@pytest.mark.parametrize(
    ("memory", "read", "kernel"),
    [
        ("values: x, net: attention", "after", "attention"),
        ("values: x, objective: dot", "after", "chunked_decay"),
        ("values: x, objective: dot, level: chunk", "after", "chunked_decay"),
        ("values: x, objective: dot, level: chunk", "boundary", "anchored_chunk"),
        ("values: x, objective: dot, rule: {erase: key}", "before", "chunked_delta"),
        ("values: x, objective: dot, rule: {momentum: 0.5}", "after", "generic_scan"),
        ("values: x, objective: l2", "after", "chunked_delta"),
        ("values: x, objective: l2", "boundary", "chunked_delta"),
        (
            "values: x, objective: l2, rule: {retain: 0.9, retain_first: true}",
            "after",
            "chunked_delta",
        ),
        ("values: x, objective: l2, rule: {momentum: 0.5}", "after", "generic_scan"),
        ("values: x, objective: l2, level: chunk", "after", "anchored_chunk"),
        ("values: {self: x}, objective: l2", "after", "generic_scan"),
        ("values: {self: x}, objective: l2, level: chunk", "after", "anchored_chunk"),
        (f"values: x, net: {MLP}, level: chunk", "after", "anchored_chunk"),
        (f"values: x, net: {MLP}, level: never", "after", "anchored_chunk"),
        (f"values: x, net: {MLP}, level: token", "after", "generic_scan"),
    ],
)
def test_axes_alone_choose_the_kernel(memory: str, read: str, kernel: str) -> None:
    assert decided(memory, read).kernel == kernel


def test_a_memory_on_steps_is_a_plain_net() -> None:
    body = """
memories:
  M: {net: {kind: mlp, expansion: 1}, level: slow, objective: task}
nodes:
  out: {read: M, query: x}
"""
    (found,) = plan(model_of(body)).functions[0].memories

    assert found.kernel == "static"


def test_a_linear_memory_inside_a_recurrence_leaves_its_closed_form() -> None:
    body = """
memories:
  M: {net: linear, heads: 2, keys: k, values: x, level: chunk, objective: dot, init: learned}
nodes:
  k: {read: M, query: x, at: boundary, then: [{op: l2_norm, heads: 2}]}
  out: {read: M, query: k}
"""
    (found,) = plan(model_of(body)).functions[0].memories

    assert found.kernel == "anchored_chunk"
    assert found.why == "feeds its own keys, values or rates, and commits every 4 tokens"


@pytest.mark.parametrize(
    ("memory", "why"),
    [
        (f"values: x, net: {MLP}, level: token", "a deep memory that commits at every token"),
        ("values: {self: x}, objective: l2", "its own answers are its targets at every token"),
        ("values: x, objective: l2, rule: {momentum: 0.5}", "momentum of gradients that move"),
    ],
)
def test_a_slow_kernel_says_why_and_is_marked(memory: str, why: str) -> None:
    found = decided(memory)

    assert found.slow
    assert why in found.why


GATED = """
memories:
  M: {{heads: 2, keys: x, values: x, rule: {{retain: a}}}}
nodes:
  a: {{op: {op}, in: x, then: [{{op: mean, heads: 2}}]}}
  out: {{read: M, query: x}}
"""


@pytest.mark.parametrize(("op", "signed"), [("sigmoid", False), ("exp", False), ("tanh", True)])
def test_a_retention_that_may_vanish_is_computed_without_logarithms(op: str, signed: bool) -> None:
    assert ("signed=true" in print_ir(model_of(GATED.format(op=op)))) is signed
