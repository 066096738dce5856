"""One mixer of a shipped spec in a model that does nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nestgraph.language.spec import load

VOCAB = 96  # of the parent's bench: one row for each token


@pytest.fixture
def shipped(bench_of: Callable[..., Any]) -> Callable[..., Any]:
    """Return `shipped(name, block, **vars)`: the bench of a block of a spec, at small vars."""

    def build(name: str, block: str, **settings: object) -> Any:
        small: dict[str, object] = {"vocab": VOCAB, "width": 8, "heads": 2, "depth": 1}
        set_vars = {f"vars.{var}": value for var, value in (small | settings).items()}
        model = {"model.stack": f"[{{block: {block}}}]", "model.norm": "none"}
        return bench_of(load(name, {**set_vars, **model, "model.head.tie": False}).system)

    return build
