"""What an optimizer and its groups are told is taken, or refused by its name."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch
from torch import nn

import nestgraph as ng
from nestgraph.errors import InputError

AdamW = ng.compile_optimizer("adamw")


def parameter() -> nn.Parameter:
    return nn.Parameter(torch.randn(3, 2))


WRONG = [
    ({"lr": "1e-3"}, r"`lr` \(='1e-3'\) must be a number; write it without quotes"),
    ({"lr": True}, r"`lr` \(=True\) must be a number"),
    ({"lr": None}, r"`lr` \(=None\) must be a number"),
    ({"lr": torch.ones(2)}, r"`lr` .* must be a number"),
    ({"lr": float("nan")}, r"`lr` \(=nan\) must be a number from 0"),
    ({"lr": float("inf")}, r"`lr` \(=inf\) must be a number from 0"),
    ({"lr": -1.0}, r"`lr` \(=-1\.0\) must be a number from 0"),
    ({"maximize": "False"}, r"`maximize` \(='False'\) must be True or False; write it without"),
    ({"foreach": 0}, r"`foreach` \(=0\) must be True or False"),
]
OF_GROUPS = [
    ({"initial_lr": "1e-3"}, r"`initial_lr` \(='1e-3'\) must be a number"),
    ({"period": "2"}, r"`period` \(='2'\) must be a whole number of steps"),
    ({"level": 3}, r"`level` \(=3\) must be the name of a level"),
    ({"kind": "embedding"}, r"`kind` \(='embedding'\) must be one of .*embeddings"),
    ({"stacked": "no"}, r"`stacked` \(='no'\) must be True or False"),
]


@pytest.mark.parametrize(("options", "said"), WRONG)
def test_an_option_of_another_sort_is_refused_by_its_name(
    options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=f"NG751 {said}"):
        AdamW([parameter()], **options)
    with pytest.raises(InputError, match=f"NG751 {said}"):
        AdamW.for_module(nn.Linear(3, 2), **options)


@pytest.mark.parametrize(("options", "said"), [*WRONG, *OF_GROUPS])
def test_so_is_one_of_a_group_first_or_added(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=f"NG751 {said}"):
        AdamW([{"params": [parameter()], **options}])
    optimizer = AdamW([parameter()])
    with pytest.raises(InputError, match=f"NG751 {said}"):
        optimizer.add_param_group({"params": [parameter()], **options})


@pytest.mark.parametrize("lr", [1, 0.5, torch.tensor(0.5), numpy.float64(0.5)])
def test_numbers_of_any_kind_are_rates_that_schedulers_take(lr: Any) -> None:
    optimizer = AdamW([parameter()], lr=lr)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.param_groups[0]["params"][0].grad = torch.ones(3, 2)

    optimizer.step()
    schedule.step()

    assert float(optimizer.param_groups[0]["lr"]) == float(lr) / 2


def test_a_rate_in_quotes_on_the_way_to_a_module_is_a_number_or_refused() -> None:
    spec = ng.load("deltanet-tiny", set={"training.lr": "1e-3"})

    assert spec.system.training.lr == 1e-3
    with pytest.raises(ng.SpecError, match="expected a number"):
        ng.load("deltanet-tiny", set={"training.lr": "'1e-3'"})
