"""Each change of a tree, made where its place says and nowhere else."""

from __future__ import annotations

from mistakes import FILE, GOOD

from nestgraph.findings import Findings, near_names
from nestgraph.recovery.fixes import (
    Add,
    Change,
    Define,
    Drop,
    Known,
    Put,
    Rename,
    as_meant,
    cured,
    either,
)
from nestgraph.text.source import parse
from nestgraph.text.tree import Entry, Items, Scalar, Table, Tree, plain


def tree() -> Table:
    found = parse(GOOD, FILE, Findings())
    assert isinstance(found, Table)
    return found


def at(*path: str | int) -> tuple[Entry | None, Tree]:
    """Return the entry and the value at a path of the good spec."""
    entry, found = None, tree()
    for part in path:
        if isinstance(found, Items):
            entry, found = None, found.items[int(part)]  # type: ignore[assignment]
        else:
            entry = found.entries[str(part)]
            found = entry.value  # type: ignore[assignment]
    return entry, found


def key_span(*path: str | int):
    entry = at(*path)[0]
    assert entry is not None
    return entry.key


def after(*changes: Change) -> dict[str, object]:
    found = plain(cured(tree(), [changes]))
    assert isinstance(found, dict)
    return found


MEMORY = ("blocks", "b", "memories", "M")


def expected(old: str, new: str) -> object:
    changed = parse(GOOD.replace(old, new, 1), FILE, Findings())
    assert changed is not None
    return plain(changed)


def test_without_changes_the_tree_is_the_same():
    whole = tree()

    assert cured(whole, []) is whole


def test_a_value_is_put_in_place_of_another():
    span = at(*MEMORY, "net")[1].span

    assert after(Put(span, {"kind": "mlp"})) == expected("net: linear", "net: {kind: mlp}")


def test_a_known_name_is_one_of_its_block():
    span = at(*MEMORY, "keys")[1].span

    assert after(Put(span, Known("flow", 2))) == expected("keys: k", "keys: v")
    assert after(Put(span, Known("memory", 5))) == expected("keys: k", "keys: M")


def test_a_key_is_renamed_alone_or_with_all_that_name_it():
    span = key_span("blocks", "b", "nodes", "k")

    assert after(Rename(span, "q")) == expected("k: {op", "q: {op")
    assert "q" in str(after(Rename(span, "q", throughout=True))["blocks"])
    assert "'k'" not in str(after(Rename(span, "q", throughout=True))["blocks"])


def test_a_key_never_takes_the_name_of_one_that_the_author_wrote_beside_it():
    assert after(Rename(key_span(*MEMORY, "net"), "keys")) == plain(tree())


def test_an_entry_is_dropped_by_its_key_or_by_its_value():
    entry, value = at(*MEMORY, "net")
    assert entry is not None

    assert after(Drop(entry.key)) == after(Drop(value.span)) == expected("net: linear, ", "")


def test_a_key_is_added_where_there_is_none_of_its_name():
    span = at(*MEMORY)[1].span

    assert after(Add(span, "heads", 2)) == expected("net: linear", "net: linear, heads: 2")
    assert after(Add(span, "net", "mlp")) == plain(tree())


def test_what_is_named_and_not_there_is_defined():
    span = at(*MEMORY, "keys")[1].span
    path = ("blocks", "b", "nodes")

    assert after(Define(span, path, "q", "tanh")) == expected("nodes:\n", "nodes:\n      q: tanh\n")
    assert after(Define(span, path, "k", "tanh")) == plain(tree())


def test_only_words_that_are_much_alike_are_read_as_meant():
    change = Put(at(*MEMORY, "net")[1].span, "linear")

    assert as_meant(change, "linaer", "linear").meant
    assert as_meant(change, "keyz", "keys").meant
    assert not as_meant(change, "concat", "conv").meant


def test_only_a_slip_makes_one_name_of_another():
    span = at(*MEMORY, "keys")[1].span

    def meant(name: str, known: str) -> bool:
        return near_names(span, name, [known]).meant

    assert meant("hiden", "hidden")
    assert meant("gate_porj", "gate_proj")
    assert not meant("keys_2", "keys_1")
    assert not meant("c_k_norm", "c_v_norm")
    assert not meant("q", "k")


def test_cures_of_one_change_each_keep_their_order():
    span = at("name")[1].span

    assert either([Put(span, "a"), Drop(span)]).choices == ((Put(span, "a"),), (Drop(span),))
    assert isinstance(at("name")[1], Scalar)
