"""What the layers of any module say about its parameters."""

from __future__ import annotations

from torch import nn

from nestgraph.compiler.optimizers.discover import discover


class Shared(nn.Module):
    """An embedding that is the head too, two layers with one weight, a map, a kernel, a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.one, self.two = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.two.weight = self.one.weight
        self.map = nn.Linear(4, 3)
        self.kernel = nn.Conv1d(4, 4, 2, bias=False)
        self.norm = nn.LayerNorm(4)
        self.lm_head = nn.Linear(4, 5, bias=False)
        self.lm_head.weight = self.embed.weight
        self.frozen = nn.Linear(4, 4).requires_grad_(False)


def test_only_the_weight_of_one_layer_is_a_linear_map() -> None:
    known = {
        name: (group["kind"], group["linear_map"])
        for group in discover(Shared())
        for name, _ in group["params"]
    }

    assert known == {
        "embed.weight": ("embeddings", False),
        "one.weight": (None, False),
        "map.weight": (None, True),
        "map.bias": (None, False),
        "kernel.weight": (None, False),
        "norm.weight": (None, False),
        "norm.bias": (None, False),
    }


def test_a_head_of_its_own_is_a_linear_map() -> None:
    model = nn.ModuleDict(
        {"body": nn.Linear(4, 4, bias=False), "head": nn.Linear(4, 5, bias=False)}
    )
    known = {group["params"][0][0]: group for group in discover(model)}

    assert known["head.weight"]["kind"] == "head"
    assert known["head.weight"]["linear_map"]
    assert known["body.weight"]["kind"] is None
