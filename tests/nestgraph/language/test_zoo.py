"""The specs that ship with nestgraph: families of sizes, and how large each is."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from nestgraph.analysis.parameters import parameter_table
from nestgraph.language import zoo
from nestgraph.language.spec import load
from nestgraph.language.system import Net, Node
from nestgraph.rewriting import Measure, as_large

MODELS = [family for family in zoo.families() if load(family.name).system.model is not None]
SIZED = [f"{family.name}-{size}" for family in MODELS for size in family.sizes if size != "tiny"]
PAPER_SIZES = ("340m", "760m", "1.3b")
IN_PAPER_SIZES = {"hope", "titans-lmm", "transformer", "samba", "deltanet", "ttt-linear"}


def parameters(name: str) -> int:
    return sum(spec.size for spec in parameter_table(load(name).system))


def test_families_say_what_each_system_is_and_which_sizes_it_has():
    families = {family.name: family for family in zoo.families()}

    assert families["hope"].sizes == ("tiny", *PAPER_SIZES)
    assert families["retnet"].sizes == ("tiny",)
    assert all(family.doc for family in families.values())
    listed = [f"{f.name}-{size}" for f in families.values() for size in f.sizes]
    assert sorted([*families, *listed]) == list(zoo.names())


def test_a_name_is_split_at_its_size():
    assert zoo.split("hope-1.3b") == ("hope", "1.3b")
    assert zoo.split("mamba-2-tiny") == ("mamba-2", "tiny")
    assert zoo.split("mamba-2") == ("mamba-2", None)


def test_every_model_has_a_tiny_size():
    assert {family.name for family in MODELS if "tiny" not in family.sizes} == set()


def test_the_systems_of_the_literature_are_there():
    whole = {family.name for family in MODELS}

    assert whole >= {
        *("hope", "hope-attention", "self-modifying-titans", "titans-lmm", "titans-mac"),
        *("titans-mag", "titans-mal", "ttt-linear", "ttt-mlp", "linear-attention"),
        *("ada-transformer", "retnet", "mamba-2", "samba", "deltanet", "gated-deltanet"),
        *("gdn-swa", "comba", "rwkv-7", "srwm", "moneta", "yaad", "memora", "omeganet"),
        *("atlas", "dla", "transformer", "transformer-swa"),
    }


@pytest.mark.parametrize("name", [family.name for family in MODELS])
def test_tiny_models_are_as_large_as_the_tiny_transformer(name: str):
    assert parameters(f"{name}-tiny") == pytest.approx(parameters("transformer-tiny"), rel=0.03)


def test_the_transformer_that_controls_hope_differs_in_convolutions_and_clocks_alone():
    layers = {
        name: load(name).system.model.layers[0].block
        for name in ("hope-attention", "transformer-conv")
    }
    whole, control = layers.values()
    convolutions = {
        node.inputs[0].removesuffix(".base"): node.fields["width"]
        for node in control.nodes.values()
        if isinstance(node, Node) and node.op == "conv"
    }

    assert convolutions == {"a.q": 4, "a.k": 4, "a.v": 4}
    assert {name: _plain(memory.net) for name, memory in control.memories.items()} == {
        name: _plain(memory.net) for name, memory in whole.memories.items()
    }
    assert {one.period for one in parameter_table(load("transformer-conv").system)} == {1}
    clocks = {"vars.mid": 4, "vars.slow": 16}
    assert {one.period for one in parameter_table(load("transformer-conv", clocks).system)} == {
        one.period for one in parameter_table(load("hope-attention").system)
    }


def _plain(net: Net) -> Net:
    return replace(net, span=None)


@pytest.mark.parametrize("measure", Measure)
def test_the_transformer_that_controls_hope_can_be_made_as_large(measure: Measure):
    control, hope = load("transformer-conv-tiny"), load("hope-tiny")

    sized = as_large(control, hope, measure)

    assert sized.found == pytest.approx(sized.wanted, rel=0.01)
    assert {*sized.spec.overrides} <= {"vars.expansion"}


def test_the_paper_sizes_of_six_systems_ship():
    assert {
        name for name in IN_PAPER_SIZES for size in PAPER_SIZES if zoo.path(f"{name}-{size}")
    } == (IN_PAPER_SIZES)
    assert {zoo.split(name)[0] for name in SIZED} == IN_PAPER_SIZES


@pytest.mark.parametrize("name", SIZED)
def test_a_paper_size_has_the_parameters_that_its_name_says(name: str):
    size = zoo.split(name)[1]
    assert size is not None
    named = float(size[:-1]) * {"m": 1e6, "b": 1e9}[size[-1]]

    assert parameters(name) == pytest.approx(named, rel=0.05)


@pytest.mark.parametrize("name", SIZED)
def test_the_head_of_a_paper_size_tells_how_many_parameters_it_has(name: str):
    path = zoo.path(name)
    assert path is not None
    told = re.search(r"\(([\d,.]+) million parameters", path.read_text())
    assert told is not None
    assert told[1] == f"{parameters(name) / 1e6:,.1f}"


def test_a_name_that_does_not_ship_has_no_path():
    assert zoo.path("hope") == zoo.folder() / "hope.yaml"
    assert zoo.path("hoe") is None
    assert zoo.path("schema") is None
    assert zoo.path("../pyproject") is None
