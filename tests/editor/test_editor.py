"""What an author sees in an editor, from the server that editors use.

Run by `pytest -m editor`; it needs `npm install yaml-language-server`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from editor.server import Server

from nestgraph.language import zoo
from nestgraph.schema import OPS

pytestmark = pytest.mark.editor

DRAFTS = sorted((Path(__file__).parent.parent / "nestgraph" / "drafts").glob("*.yaml"))
SPEC = """\
nestgraph: 1
name: test
blocks:
  b:
    memories:
      M: {net: linear, keys: k, values: x}
    nodes:
      k: {op: linear, in: x}
      y: {read: M, query: k}
      out: {op: sum, in: [x, y]}
model:
  embed: {vocab: 256, width: 16}
  stack: [{block: b}]
"""


def offered(server: Server, old: str, new: str) -> set[str]:
    assert old in SPEC
    return {item["label"] for item in server.complete(SPEC.replace(old, new, 1))}


def test_the_file_offers_its_sections(server: Server) -> None:
    labels = {item["label"] for item in server.complete("nestgraph: 1\nname: a\n|\n")}
    assert {"blocks", "model", "training", "levels", "vars", "extends", "optimizer"} <= labels


def test_a_memory_offers_its_fields(server: Server) -> None:
    old = "      M: {net: linear, keys: k, values: x}\n"
    labels = offered(server, old, "      M:\n        keys: k\n        |\n")
    assert {"net", "level", "values", "objective", "rule", "init", "reset", "gradient"} <= labels
    assert not {"op", "read", "kind"} & labels


def test_words_are_offered_where_a_word_is_due(server: Server) -> None:
    assert {"linear", "mlp", "attention", "vector"} <= offered(
        server, "      M: {net: linear, ", "      M: {net: |, "
    )
    field = "      M: {keys: k, values: x, gradient: |}\n"
    old = "      M: {net: linear, keys: k, values: x}\n"
    assert {"full", "first_order", "none"} <= offered(server, old, field)


@pytest.mark.parametrize(
    ("kind", "own", "others"),
    [
        (
            "mlp",
            {"layers", "expansion", "activation", "bias", "norm", "residual", "out"},
            {"window"},
        ),
        ("attention", {"window"}, {"layers", "residual", "out"}),
        ("linear", {"out"}, {"layers", "window"}),
    ],
)
def test_a_net_offers_the_fields_of_its_kind_only(
    server: Server, kind: str, own: set[str], others: set[str]
) -> None:
    old = "      M: {net: linear, keys: k, values: x}\n"
    new = f"      M:\n        keys: k\n        net:\n          kind: {kind}\n          |\n"
    labels = offered(server, old, new)
    assert own <= labels
    assert not others & labels


@pytest.mark.parametrize(
    ("kind", "own", "others"),
    [("huber", {"delta", "scale", "window"}, {"p"}), ("lp", {"p", "scale"}, {"delta"})],
)
def test_an_objective_offers_the_fields_of_its_kind_only(
    server: Server, kind: str, own: set[str], others: set[str]
) -> None:
    old = "      M: {net: linear, keys: k, values: x}\n"
    new = f"      M:\n        keys: k\n        objective:\n          kind: {kind}\n          |\n"
    labels = offered(server, old, new)
    assert own <= labels
    assert not others & labels


def test_inside_a_spec_that_extends_another_the_same_is_offered(server: Server) -> None:
    start = "nestgraph: 1\nname: mine\nextends: hope\nblocks:\n  b:\n"
    memory = f"{start}    memories:\n      M:\n        net:\n          kind: mlp\n          |\n"
    labels = {item["label"] for item in server.complete(memory)}
    assert {"layers", "expansion"} <= labels
    assert "window" not in labels
    node = f"{start}    nodes:\n      k:\n        op: conv\n        |\n"
    assert {"width", "in", "then"} <= {item["label"] for item in server.complete(node)}


def test_a_part_of_a_spec_that_extends_another_is_not_underlined(server: Server) -> None:
    start = "nestgraph: 1\nname: mine\nextends: hope\n"
    assert server.problems(f"{start}model: {{embed: {{width: 64}}}}\n") == []
    assert server.problems(f"{start}blocks: {{hope: {{nodes: {{a: {{in: x}}}}}}}}\n") == []
    assert server.problems(f"{start}model: {{embed: {{widht: 64}}}}\n")


def test_every_op_is_offered(server: Server) -> None:
    labels = offered(server, "k: {op: linear, in: x}", "k:\n        op: |")
    assert set(OPS) <= labels


@pytest.mark.parametrize(
    ("op", "own", "others"),
    [
        ("conv", {"width", "in", "then", "tie"}, {"heads", "out", "read"}),
        ("slice", {"heads", "start", "size", "in"}, {"width", "tie"}),
        ("position", {"since"}, {"in", "heads"}),
    ],
)
def test_an_op_offers_its_own_fields_only(
    server: Server, op: str, own: set[str], others: set[str]
) -> None:
    labels = offered(server, "k: {op: linear, in: x}", f"k:\n        op: {op}\n        |")
    assert own <= labels
    assert not others & labels


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("keys: k,", "ke|ys: k,", "What is asked later"),
        ("vocab: 256", "vo|cab: 256", "Number of tokens"),
        ("query: k", "qu|ery: k", "The flow it is asked with"),
        ("op: sum", "o|p: sum", "The sum of flows of one width"),
    ],
)
def test_hovering_tells_what_a_field_means(server: Server, old: str, new: str, said: str) -> None:
    assert said in server.hover(SPEC.replace(old, new, 1))


def test_a_right_spec_is_not_underlined(server: Server) -> None:
    assert server.problems(SPEC) == []


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("net: linear", "net: liner", 5),
        ("query: k", "qeury: k", 8),
        ("vocab: 256", "vocab: many", 11),
        ("op: sum", "op: summ", 9),
    ],
)
def test_a_mistake_is_underlined_in_its_line(server: Server, old: str, new: str, line: int) -> None:
    lines = {found["range"]["start"]["line"] for found in server.problems(SPEC.replace(old, new))}
    assert line in lines


@pytest.mark.parametrize(
    "path", [*sorted(zoo.folder().glob("*.yaml")), *DRAFTS], ids=lambda path: path.stem
)
def test_nothing_is_underlined_in_specs_that_are_right(server: Server, path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("# yaml-language-server:", "#")
    assert server.problems(text) == []
