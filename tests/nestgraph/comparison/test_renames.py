"""What only goes by another name inside a layer is told as that, and as nothing else."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from building import spec_of

from nestgraph.comparison.changes import Change, Diff
from nestgraph.comparison.compare import compare
from nestgraph.elaborate.flatten import renamed_memory, renamed_node
from nestgraph.language.spec import load
from nestgraph.language.system import FlatBlock
from nestgraph.language.zoo import families

SPEC = """
nestgraph: 1
name: test
levels: {chunk: 4 tokens}
blocks:
  inner:
    memories:
      M: {heads: 2, level: chunk, keys: k, values: {self: v}, rule: {rate: r}}
    nodes:
      k: {read: M, query: x, at: boundary, then: [{op: l2_norm, heads: 2}]}
      v: {op: linear, in: x}
      r: {op: linear, in: x, out: 2, then: [sigmoid]}
      y: {read: M, query: x, at: boundary}
      out: {op: sum, in: [x, y]}
  b:
    nodes:
      u: {op: rms_norm, in: x, then: [silu, tanh]}
      a: {block: inner, in: u}
      out: {op: sum, in: [x, a]}
model:
  embed: {vocab: 16, width: 8}
  stack: [{block: b, repeat: 3}]
"""


def compared(*changes: tuple[str, str], text: str = SPEC) -> Diff:
    """Return a spec and itself with changes, each a pattern and what stands in its place."""
    new = text
    for pattern, instead in changes:
        new, count = re.subn(pattern, instead, new)
        assert count
    return compare(spec_of(text).system, spec_of(new).system)


def names(old: str, new: str) -> Change:
    return Change(name="0.b", old=old, new=new)


def test_an_inner_block_under_another_name_is_one_line() -> None:
    diff = compared(("      a: {block", "      mix: {block"), (r"in: \[x, a\]", "in: [x, mix]"))
    assert diff.renamed == (names("a", "mix"),)
    assert not diff.nodes
    assert not diff.edges
    assert "\nrenamed\n  ~ 0.b: a -> mix\n" in str(diff)


def test_a_node_under_another_name_takes_its_chain_with_it() -> None:
    diff = compared(("      u: {op", "      first: {op"), ("in: u}", "in: first}"))
    assert diff.renamed == (names("u", "first"),)
    assert not diff.nodes
    assert not diff.edges


def test_parts_that_need_each_other_are_known_all_the_same() -> None:
    diff = compared(
        ("M: {heads", "memory: {heads"), ("read: M,", "read: memory,"), (r"\bk\b", "key")
    )
    assert diff.renamed == (names("a.M", "a.memory"), names("a.k", "a.key"))
    assert not diff.nodes
    assert not diff.edges


def test_what_is_changed_as_well_says_what_it_was_called() -> None:
    diff = compared(
        ("      a: {block", "      mix: {block"),
        (r"in: \[x, a\]", "in: [x, mix]"),
        ("out: 2, then: \\[sigmoid", "out: 2, then: [silu"),
    )
    (node,) = diff.nodes
    assert (node.old, node.new) == ("0.b/a.r", "0.b/mix.r")
    assert node.attributes == (Change(name="op", old="sigmoid", new="silu"),)
    assert not diff.edges


def test_what_is_gone_has_the_name_that_it_had() -> None:
    diff = compared(
        ("      a: {block", "      mix: {block"),
        (r"in: \[x, a\]", "in: [x, mix]"),
        ("      y: {read: M, query: x, at: boundary}\n", ""),
        (r"sum, in: \[x, y\]", "sum, in: [x, v]"),
    )
    gone = [node.old for node in diff.nodes if node.change == "removed"]
    assert gone == ["0.b/a.y"]
    assert {edge.source for edge in diff.edges if edge.change == "removed"} <= {
        *("0.b/a.M.write", "0.b/u", "0.b/a.y"),
    }


def test_nodes_of_one_definition_are_taken_in_their_order() -> None:
    alike = "      p: {op: linear, in: x}\n      q: {op: linear, in: x}\n"
    used = "      s: {op: product, in: [p, q]}\n      u: {op"
    text = SPEC.replace("      u: {op", alike + used)
    diff = compared((r"\bp\b", "pp"), (r"\bq\b", "qq"), text=text)
    assert diff.renamed == (names("p", "pp"), names("q", "qq"))
    assert not diff.nodes


def test_another_number_of_nodes_of_one_definition_is_no_renaming() -> None:
    text = SPEC.replace("      u: {op", "      p: {op: linear, in: x}\n      u: {op")
    two = "      one: {op: linear, in: x}\n      two: {op: linear, in: x}\n"
    diff = compared(("      p: {op: linear, in: x}\n", two), text=text)
    assert not diff.renamed
    assert [node.change for node in diff.nodes] == ["removed", "added", "added"]


def test_a_node_that_says_something_else_is_another_one() -> None:
    diff = compared(
        ("      u: {op: rms_norm", "      first: {op: l2_norm"), ("in: u}", "in: first}")
    )
    assert not diff.renamed
    assert {node.change for node in diff.nodes} >= {"removed", "added"}


def underlined(name: str) -> str:
    """Return `a_.q_.then0` for `a.q.then0`."""
    chain = re.compile(r"base|then\d+")
    return ".".join(part if chain.fullmatch(part) else f"{part}_" for part in name.split("."))


def with_other_names(block: FlatBlock) -> FlatBlock:
    """Return a block all of whose parts have other names."""

    def flow(name: str) -> str:
        return name if name in block.inputs else underlined(name)

    nodes = [renamed_node(one, flow, underlined, flow(one.name)) for one in block.nodes.values()]
    memories = [renamed_memory(one, flow, underlined) for one in block.memories.values()]
    return replace(
        block,
        nodes={node.name: node for node in nodes},
        memories={memory.name: memory for memory in memories},
        output=None if block.output is None else flow(block.output),
        regions=tuple(
            replace(one, prefix=one.prefix and flow(one.prefix)) for one in block.regions
        ),
    )


@pytest.mark.parametrize("name", [family.name for family in families()])
def test_a_shipped_spec_whose_every_part_has_another_name_is_the_same(name: str) -> None:
    old = load(name).system
    blocks: dict[int, FlatBlock] = {}
    assert old.model is not None
    layers = tuple(
        replace(layer, block=blocks.setdefault(id(layer.block), with_other_names(layer.block)))
        for layer in old.model.layers
    )
    diff = compare(old, replace(old, model=replace(old.model, layers=layers)))
    assert diff.renamed
    assert not diff.nodes
    assert not diff.edges
    assert not diff.stack
