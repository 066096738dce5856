"""Modules go into files and to other processes, whole, and come back the same."""

from __future__ import annotations

import copy
import io
import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from trainers import Loader, trainer

from nestgraph.language.spec import load
from nestgraph.training import NestModule, compile

# Lightning's own use of PyTorch's tree functions.
pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")


def pickled(module: NestModule) -> Any:
    return pickle.loads(pickle.dumps(module))


def saved(module: NestModule) -> Any:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = [pickled, saved, copy.deepcopy]
SPECS = ["hope-tiny", "cms-chain-tiny", "deltanet-tiny", "transformer-swa-tiny"]


@pytest.mark.parametrize("again", COPIES)
@pytest.mark.parametrize("name", SPECS)
def test_a_copy_answers_as_its_original(name: str, again: Callable[[NestModule], Any]) -> None:
    module = compile(load(name))
    tokens = torch.randint(256, (2, 20))

    ours, theirs = module(tokens), again(module)(tokens)

    assert torch.equal(ours.logits, theirs.logits)
    following = torch.randint(256, (2, 3))
    behind = module(following, ours.state).logits
    assert torch.equal(behind, again(module)(following, theirs.state).logits)


@pytest.mark.parametrize("again", COPIES)
@pytest.mark.parametrize("optimizer", ["adamw", "dgd"])
def test_a_copy_of_a_trained_module_trains_on_alone(
    spec_file: Path, tmp_path: Path, optimizer: str, again: Callable[[NestModule], Any]
) -> None:
    module = compile(load(spec_file, set={"training.optimizer": optimizer}))
    data = [torch.randint(256, (3, 9)) for _ in range(3)]
    own = trainer(3, tmp_path)
    own.fit(module, Loader(data), Loader(data))
    before = weights(module)

    twins = [again(module), again(module)]

    for twin in twins:
        trainer(3, tmp_path).fit(twin, Loader(data), Loader(data))
    for name, value in before.items():
        assert torch.equal(module.state_dict()[name], value), name
        assert torch.equal(weights(twins[0])[name], weights(twins[1])[name]), name
    assert pickle.loads(pickle.dumps(own.optimizers[0])).updates() == {
        "step": 3,
        "fast": 1,
        "slow": 0,
    }


def weights(module: NestModule) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def answer(module: NestModule, tokens: Tensor, file: Path) -> None:
    torch.save(module(tokens).logits.detach(), file)


@pytest.mark.slow
def test_a_module_goes_to_a_process_that_starts_afresh(tmp_path: Path) -> None:
    module = compile(load("hope-tiny"))
    tokens, file = torch.randint(256, (2, 20)), tmp_path / "logits.pt"

    process = multiprocessing.get_context("spawn").Process(
        target=answer, args=(module, tokens, file)
    )
    process.start()
    process.join(timeout=300)

    assert process.exitcode == 0
    torch.testing.assert_close(torch.load(file), module(tokens).logits)
