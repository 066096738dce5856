"""Seeds: whole numbers of 63 bits, whoever gives them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

import nestgraph as ng
from nestgraph.errors import InputError
from nestgraph.runtime.seeds import LARGEST, checked_seed

WRONG = (-1, -(2**70), 2**63, 2**64, 10**40, 1.5, "7", None, True, float("nan"))


def test_every_whole_number_of_63_bits_is_a_seed() -> None:
    source = random.Random(4)
    for seed in (0, LARGEST, *(source.getrandbits(63) for _ in range(50))):
        assert checked_seed(seed) == seed
        torch.Generator().manual_seed(seed)
    assert checked_seed(torch.tensor(5)) == 5


@pytest.mark.parametrize("seed", WRONG)
def test_anything_else_is_refused_with_its_value(seed: object) -> None:
    with pytest.raises(InputError, match=r"NG749 `seed` \(=.*\) must be a whole number") as caught:
        checked_seed(seed)
    assert repr(seed) in str(caught.value)


@pytest.mark.parametrize("seed", [2**63, -1])
def test_models_and_optimizers_refuse_such_seeds(seed: int) -> None:
    for build in (ng.compile, ng.reference):
        with pytest.raises(InputError, match="NG749"):
            build("hope-tiny", seed=seed)
    parameter = torch.nn.Parameter(torch.zeros(3))
    with pytest.raises(InputError, match="NG749"):
        ng.compile_optimizer("adamw")([parameter], seed=seed)


def test_a_spec_names_a_seed_that_is_too_large(tmp_path: Path) -> None:
    for seed in (2**32, 2**63, 2**64):
        with pytest.raises(
            ng.SpecError, match=rf"`training\.seed` .* is {seed}; expected at most 4294967295"
        ):
            ng.load("hope-tiny", set={"training.seed": seed})
