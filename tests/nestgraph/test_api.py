"""What `import nestgraph as ng` offers, as a user of the library calls it."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest
import torch
from torch import nn

import nestgraph as ng

CHANGES = {"vars.width": 16, "vars.depth": 1, "vars.heads": 2}


@pytest.fixture
def spec() -> ng.Spec:
    return ng.load("deltanet-tiny", set=CHANGES)


def tokens(*shape: int) -> torch.Tensor:
    return torch.randint(256, shape)


def test_a_graph_without_its_carry_edges_is_acyclic(spec) -> None:
    graph = ng.graph(spec)
    carried = [edge for edge in graph.edges(keys=True) if graph.edges[edge]["kind"] == "carry"]
    assert carried
    graph.remove_edges_from(carried)
    assert nx.is_directed_acyclic_graph(graph)


def test_a_picture_is_given_back_or_written(spec, tmp_path) -> None:
    assert "<svg" in ng.draw(spec)
    assert ng.draw(spec, format="png")[:4] == b"\x89PNG"
    assert ng.draw(spec, tmp_path / "a.svg") == tmp_path / "a.svg"
    assert (tmp_path / "a.svg").read_text() == ng.draw(spec)


def test_a_name_or_a_path_does_for_a_spec(spec, tmp_path) -> None:
    assert str(ng.plan("deltanet-tiny")).startswith("plan of deltanet-tiny")
    copy = tmp_path / "copy.yaml"
    copy.write_text(spec.resolved_yaml())
    assert str(ng.plan(copy)) == str(ng.plan(spec))


def test_the_reference_and_the_compiled_module_agree(spec) -> None:
    reference, module = ng.reference(spec), ng.compile(spec).double()
    assert isinstance(module, nn.Module)
    inputs = tokens(2, 9)
    module.model.load_state_dict(reference.state_dict())
    difference = (module(inputs).logits - reference(inputs).logits).abs().max()
    assert difference < 1e-9


def test_a_seed_decides_the_first_weights(spec) -> None:
    first, again, other = (ng.compile(spec, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
    assert (
        ng.reference(spec, seed=1, dtype=torch.float32)(tokens(1, 2)).logits.dtype == torch.float32
    )


def test_a_refusal_shows_the_line_that_asks_for_more(tmp_path) -> None:
    path = tmp_path / "later.yaml"
    text = ng.load("deltanet-tiny").resolved_yaml()
    assert "net: linear" in text
    path.write_text(text.replace("net: linear", "net: {kind: mlp, gated: true}"))
    for use in (ng.plan, ng.compile, ng.reference):
        with pytest.raises(ng.SpecError, match="NG902") as caught:
            use(path)
        assert "later.yaml:" in str(caught.value)
        assert "^" in str(caught.value)


@pytest.mark.parametrize("asked", [ng.plan, ng.compile, ng.reference])
def test_an_optimizer_is_no_model(asked) -> None:
    with pytest.raises(ng.SpecError, match="`adamw` is an optimizer, not a model"):
        asked("adamw")


def test_a_missing_run_is_a_spec_error(tmp_path: Path) -> None:
    with pytest.raises(ng.SpecError, match="there is no run"):
        ng.load_run(tmp_path / "nowhere")
