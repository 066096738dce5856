"""The memories of an optimizer move when their parameters do, in the table as in a training."""

from __future__ import annotations

import pytest
import torch

import nestgraph as ng
from nestgraph.analysis.levels import nested_levels
from nestgraph.analysis.moving import moving
from nestgraph.language.spec import load

CLOCKS = {"vars.depth": 1, "vars.width": 16, "vars.mid": 2, "vars.slow": 3}
SMALL = {**CLOCKS, "training.warmup": 0, "training.lr": 1e-6, "training.min_lr": 1e-6}
STEPS = 14


def test_the_table_says_when_memories_move_in_a_training() -> None:
    inline = "{extends: m3, vars: {period: 2}}"
    spec = load("hope-tiny", {**SMALL, "training.optimizer": inline})
    told = {
        memory: row.clock.period for row in nested_levels(spec.system) for memory in row.optimizer
    }
    trained = moving(spec.system)
    assert trained is not None
    assert trained.system.optimizer is not None
    module = ng.compile(spec).double()
    optimizer = module.configure_optimizers()["optimizer"]
    weights = module.model.weights.named()
    for weight in weights.values():  # what starts at 0 would hide the gradients before it
        weight.data += 0.02 * torch.randn_like(weight)
    seen: dict[str, dict[str, list[int]]] = {}
    before: dict[str, dict[str, torch.Tensor]] = {name: {} for name in weights}
    for step in range(1, STEPS + 1):
        tokens = torch.randint(256, (2, 33))  # four chunks: keys learn from the third on
        optimizer.zero_grad()
        module.model.loss(tokens[:, :-1], tokens[:, 1:])[0].backward()
        optimizer.step()
        for name, weight in weights.items():
            now = {k: v.clone() for k, v in optimizer.state[weight].items() if "." in k}
            for key, value in now.items():
                old = before[name].get(key, torch.zeros_like(value))
                if not torch.equal(old, value):
                    seen.setdefault(name, {}).setdefault(key, []).append(step)
            before[name] = now
    kept = {"M1": "A0", "V": "A0", "M2": "anchor0", "first": "A0", "second": "A0"}
    for place, (group, held) in enumerate(
        zip(trained.system.optimizer, trained.moved, strict=True)
    ):
        assert group.block is not None
        for parameter in held:
            for memory in group.block.memories:
                if memory not in kept:
                    continue
                period = told[f"optimizer/{place}.{group.block.name}/{memory}"]
                moved = seen[parameter.name][f"{memory}.{kept[memory]}"]
                assert moved == list(range(period, STEPS + 1, period)), (parameter.name, memory)


@pytest.mark.parametrize("optimizer", ["adamw", "m3", "dgd", "muon"])
def test_every_parameter_is_moved_by_one_group(optimizer: str) -> None:
    system = load("hope-tiny", {"training.optimizer": optimizer}).system
    trained = moving(system)
    assert trained is not None
    names = [parameter.name for held in trained.moved for parameter in held]
    assert sorted(names) == sorted(ng.compile(load("hope-tiny")).model.weights.named())


def test_a_group_that_holds_nothing_keeps_no_memories() -> None:
    """`transformer-tiny` has no head of its own."""
    inline = "{extends: sgd, optimizer: [{for: head, spec: adamw}, {for: rest, spec: sgd}]}"
    system = load("transformer-tiny", {"training.optimizer": inline}).system
    assert {name for row in nested_levels(system) for name in row.optimizer} == {
        "optimizer/2.sgd/param"
    }
