"""Coefficients of an optimizer are numbers; what is none is refused where it is named."""

from __future__ import annotations

import pytest
import torch
from building import spec_of, system_of

from nestgraph.compiler.optimizers import compile_optimizer
from nestgraph.errors import SpecError
from nestgraph.reference.optimizer import OptimizerReference

SPEC = """
nestgraph: 1
name: a
blocks:
  b:
    inputs: [grad, lr]
    memories:
      m: {net: vector, level: step, values: grad, objective: %s, rule: %s, init: zero}
      param: {net: vector, level: step, objective: {kind: task, through: u}, rule: {rate: lr}, init: given}
    nodes:
      squared: {op: power, in: grad, exponent: 2}
      %s
      u: {read: m}
optimizer: [{for: all, block: b}]
"""  # noqa: E501 - YAML


@pytest.mark.parametrize("field", ["rate", "momentum", "retain", "step"])
def test_a_matrix_as_a_coefficient_is_refused_at_its_place(field: str):
    with pytest.raises(SpecError) as caught:
        spec_of(SPEC % ("dot", f"{{{field}: squared}}", ""))

    (found,) = [one for one in caught.value.diagnostics if one.code == "NG221"]
    assert found.message == f"`{field}: squared` is rows x channels, but `m` takes one number"
    assert found.span is not None
    assert found.span.line == 8


def test_a_matrix_as_a_threshold_is_refused_at_its_place():
    with pytest.raises(SpecError, match="NG221 `delta: squared` is rows x channels"):
        spec_of(SPEC % ("{kind: huber, delta: squared}", "{rate: 0.1}", ""))


def test_a_memory_that_a_coefficient_reads_is_no_number_either():
    with pytest.raises(SpecError, match="NG221 `retain: past` is rows x channels"):
        spec_of(SPEC % ("dot", "{retain: past}", "past: {read: m, at: before}"))


@pytest.mark.parametrize("lr", [0.0, 0.3])
@pytest.mark.parametrize(
    "number",
    [
        "{op: divide, in: [lr, lr]}",
        "{op: power, in: lr, exponent: -1}",
        "{op: affine, in: lr, shift: -1, then: [{op: power, exponent: 0.5}]}",
        "{op: affine, in: lr, scale: 1e3, then: [exp, exp]}",
        "{op: affine, in: lr, scale: 1e38, then: [{op: affine, scale: 1e38}]}",
        "{op: max, in: [lr, lr]}",
    ],
)
def test_a_number_is_what_its_op_makes_of_a_cell_even_where_it_is_infinite(number: str, lr: float):
    system = system_of(SPEC % ("dot", "{rate: n}", f"n: {number}"))
    parameter = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    reference = OptimizerReference(system, {"p": parameter})
    optimizer = compile_optimizer(system)([("p", parameter)], lr=lr)

    for _ in range(2):
        parameter.grad = torch.randn(2, 3, dtype=torch.float64)
        optimizer.step()
        reference.step({"p": parameter.grad}, lr=lr)

    wanted = reference.parameters["p"]
    finite = wanted.isfinite()
    assert finite.all() or "power" in number or "exp" in number or lr == 0.0
    torch.testing.assert_close(parameter.detach()[finite], wanted[finite])


def test_factors_beyond_float32_are_infinite_there_and_raise_nothing():
    twice = "{op: affine, in: grad, scale: 1e30, then: [{op: affine, scale: 1e30, shift: 1}]}"
    text = SPEC % ("dot", "{rate: 3e38, step: 3e38}", f"big: {twice}")
    system = system_of(text.replace("values: grad", "values: big"))
    parameter = torch.ones(2, 3, requires_grad=True)
    optimizer = compile_optimizer(system)([parameter], lr=1.0)
    parameter.grad = torch.ones(2, 3)

    optimizer.step()

    assert not parameter.isfinite().any()


def test_a_rate_of_zero_leaves_what_an_implicit_step_would_move():
    system = system_of(
        """
        nestgraph: 1
        name: a
        blocks:
          b:
            inputs: [grad, lr, input]
            memories:
              param:
                net: linear
                level: step
                keys: input
                objective: task
                rule: {rate: lr, erase: key, implicit: true}
                init: given
        optimizer: [{for: linear_maps, block: b}, {for: rest, spec: sgd}]
        """
    )
    layer = torch.nn.Linear(3, 2).double()
    first = {name: x.detach().clone() for name, x in layer.named_parameters()}
    optimizer = compile_optimizer(system).for_module(layer, lr=0.0)
    layer(torch.randn(4, 3, dtype=torch.float64)).sum().backward()

    optimizer.step()

    assert all(torch.equal(x, first[name]) for name, x in layer.named_parameters())
