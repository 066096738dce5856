"""Parameters of any layout and of 16 bits make the steps that dense ones of float64 make."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from problems import short
from torch import Tensor, nn

from nestgraph.compiler.optimizers import NestedOptimizer, compile_optimizer
from nestgraph.errors import InputError
from nestgraph.language import zoo
from nestgraph.language.groups import Traits
from nestgraph.reference.optimizer import OptimizerReference

OPTIMIZERS = zoo.optimizers()
STEPS = 4
LAYOUTS: dict[str, Callable[[], Tensor]] = {
    "channels last": lambda: wide(4, 3, 2, 2).to(memory_format=torch.channels_last),
    "transposed": lambda: wide(3, 5).mT,
    "every second column": lambda: wide(4, 6)[:, ::2],
    "axes in another order": lambda: wide(2, 3, 4).permute(2, 0, 1),
    "every second number": lambda: wide(8)[::2],
    "one number": lambda: wide(()),
    "one row": lambda: wide(1, 5),
    "no numbers": lambda: wide(0),
    "no rows": lambda: wide(0, 3, 2),
    "no columns": lambda: wide(3, 0),
}


def wide(*shape: Any) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def of(name: str, parameters: list[Tensor], **options: Any) -> NestedOptimizer:
    """Return an optimizer of parameters that are no linear maps."""
    return compile_optimizer(short(name).system)(parameters, lr=1e-2, **options)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_layout_of_a_parameter_or_of_its_gradient_changes_its_steps(name: str):
    first = {kind: make() for kind, make in LAYOUTS.items()}
    given = {kind: x.detach().requires_grad_() for kind, x in first.items()}
    kinds = {kind: Traits(name=kind, axes=x.ndim) for kind, x in given.items()}
    optimizer = of(name, list(given.items()))
    reference = OptimizerReference(optimizer.system, first, traits=kinds)
    strides = {kind: x.stride() for kind, x in given.items()}

    for _ in range(STEPS):
        gradients = {kind: wide(x.shape) for kind, x in given.items()}
        for kind, x in given.items():
            x.grad = gradients[kind].clone()  # contiguous, whatever its parameter is
        optimizer.step()
        reference.step(gradients, lr=1e-2)

    for kind, wanted in reference.parameters.items():
        torch.testing.assert_close(given[kind].detach(), wanted, rtol=1e-9, atol=1e-11)
        assert given[kind].stride() == strides[kind]


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_parameters_of_16_bits_make_steps_in_float32(name: str, kind: torch.dtype):
    layer = nn.Linear(4, 4).to(kind)
    first = {name: p.detach().double() for name, p in layer.named_parameters()}
    optimizer = compile_optimizer(short(name).system).for_module(layer, lr=0.05)
    linear = {
        key: Traits(name=key, axes=p.ndim, linear_map=p.ndim == 2) for key, p in first.items()
    }
    reference = OptimizerReference(optimizer.system, first, traits=linear)
    # Far from singular: a root of what has no rank is another in float64.
    rows, slopes = (torch.eye(4) + 0.1 * torch.randn(4, 4) for _ in range(2))
    rows = rows.to(kind)

    for step in range(STEPS):
        optimizer.zero_grad()
        (layer(rows).float() * slopes * (step + 1)).sum().backward()
        gradients = {
            key: p.grad.clone() for key, p in layer.named_parameters() if p.grad is not None
        }
        optimizer.step()
        reference.step(gradients, lr=0.05, inputs={"weight": rows})

    # A step of 0.05 is rounded to the parameter's last digit: 2**-8 of it in bfloat16.
    room = 2 * STEPS * torch.finfo(kind).eps
    for key, wanted in reference.parameters.items():
        found = dict(layer.named_parameters())[key].detach().double()
        assert not torch.equal(found, first[key])
        torch.testing.assert_close(found, wanted, rtol=room, atol=room)


@pytest.mark.parametrize("period", [1, 3])
def test_states_of_16_bit_parameters_survive_a_file_to_the_last_bit(period: int):
    def fresh() -> tuple[nn.Linear, NestedOptimizer]:
        layer = nn.Linear(5, 4).bfloat16()
        kind = compile_optimizer(short("muon").system)
        groups = [{"params": list(layer.named_parameters()), "period": period}]
        return layer, kind(groups, lr=0.05)

    def go(layer: nn.Linear, optimizer: NestedOptimizer, gradients: list[Tensor]) -> None:
        for one in gradients:
            layer.weight.grad, layer.bias.grad = one.clone(), one[:, 0].clone()
            optimizer.step()

    gradients = [torch.randn(4, 5).bfloat16() for _ in range(8)]
    layer, optimizer = fresh()
    go(layer, optimizer, gradients[:4])
    file = io.BytesIO()
    torch.save([layer.state_dict(), optimizer.state_dict()], file)
    file.seek(0)
    later, resumed = fresh()
    weights, state = torch.load(file, weights_only=True)
    later.load_state_dict(weights)
    resumed.load_state_dict(state)

    go(layer, optimizer, gradients[4:])
    go(later, resumed, gradients[4:])

    assert torch.equal(layer.weight, later.weight)
    assert torch.equal(layer.bias, later.bias)
    tensors = [
        x for state in resumed.state.values() for x in state.values() if isinstance(x, Tensor)
    ]
    assert {x.dtype for x in tensors} == {torch.float32}


def test_a_zero_gradient_in_float16_leaves_a_parameter_where_it_is():
    layer = nn.Linear(5, 4).half()
    before = layer.weight.detach().clone()
    optimizer = compile_optimizer(short("adam").system).for_module(layer, lr=0.05)
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)

    optimizer.step()

    assert torch.equal(layer.weight, before)


REFUSED = {
    "complex64": torch.ones(2, 3, dtype=torch.complex64),
    "float8_e4m3fn": torch.ones(2, 3).to(torch.float8_e4m3fn),
    "sparse_coo": torch.eye(3).to_sparse(),
    "expanded view": torch.ones(1, 3).expand(4, 3),
}


@pytest.mark.parametrize("said", REFUSED)
def test_a_parameter_that_nothing_can_move_is_refused_by_name(said: str):
    parameter = REFUSED[said].requires_grad_()

    with pytest.raises(InputError, match=rf"NG754 `w` is .*{said}"):
        of("sgd", [("w", parameter)])


def test_a_matrix_that_is_said_to_be_a_stack_of_them_is_refused():
    with pytest.raises(InputError, match=r"NG754 `w` has shape \(2, 3\), so it is no stack"):
        of("sgd", [{"params": [("w", torch.ones(2, 3, requires_grad=True))], "stacked": True}])


@pytest.mark.parametrize("apart", [False, True])
def test_a_parameter_that_is_given_twice_is_refused(apart: bool):
    x = torch.ones(2, 3, requires_grad=True)
    groups = [{"params": [("a", x)]}, {"params": [("b", x)]}] if apart else [("a", x), ("b", x)]

    with pytest.raises(InputError, match="NG755 `b` is given twice: it is the same tensor as `a`"):
        of("sgd", groups)


@pytest.mark.parametrize("period", [1, 2])
def test_a_sparse_gradient_is_refused_at_the_step_that_brings_it(period: int):
    x = torch.ones(3, 3, requires_grad=True)
    optimizer = of("sgd", [{"params": [("table", x)], "period": period}])
    x.grad = torch.eye(3).to_sparse()

    with pytest.raises(InputError, match="NG751 the gradient of `table` is sparse_coo"):
        optimizer.step()


def test_a_parameter_without_a_gradient_is_passed_over():
    x, y = (torch.ones(3, 3, requires_grad=True) for _ in range(2))
    optimizer = of("muon", [("x", x), ("y", y)])
    y.grad = torch.randn(3, 3)

    optimizer.step()

    assert torch.equal(x, torch.ones(3, 3))
    assert not torch.equal(y, torch.ones(3, 3))
