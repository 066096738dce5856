"""Specs made wrong, or merely other, by chance: every shipped spec with a few edits.

Trees are mappings, lists and the words of YAML as they are written; edits replace words by words
that stand under the same key somewhere in the zoo, move parts between specs, change numbers, and
drop, add and rename keys. Some break the text itself.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

import nestgraph as ng
from nestgraph.errors import SpecError
from nestgraph.language import zoo

Tree = Any
Step = str | int
SMALL = {"width": "16", "depth": "1", "heads": "2", "chunk": "4", "expansion": "2"}
SIZED = re.compile(r"-\d")
NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?\Z")
ODD_NUMBERS = ["0", "1", "2", "3", "4", "8", "16", "0.5", "0.0", "-1", "1e-3", "1e3", "7", "64"]
WILD_NUMBERS = ["1e308", "-0.0", "1e-320", "65536", "1e400", "99999999999999999999", "nan", "inf"]
WILD_WORDS = ["$", "$x", "null", "true", "''", "x", "y", "0x10", "~", "é", "a b", "[]", "{}", "$w"]
WILD_TEXT = ["\t", "\x00", "{", "}", "[", "]", ": ", "- ", "#", "&a ", "*a ", "!!str ", "'", '"']


class _Plain(
    yaml.emitter.Emitter,
    yaml.serializer.Serializer,
    yaml.representer.Representer,
    yaml.resolver.BaseResolver,
):
    """Writes words as they were read: `4` stays a number, `'4'` becomes one."""

    def __init__(self, stream: Any, **_: Any) -> None:
        yaml.emitter.Emitter.__init__(self, stream, allow_unicode=True, width=10_000)
        yaml.serializer.Serializer.__init__(self)
        yaml.representer.Representer.__init__(self, sort_keys=False)
        yaml.resolver.BaseResolver.__init__(self)

    def ignore_aliases(self, data: Any) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class Base:
    """A sound spec to start from."""

    name: str
    tree: Tree


@dataclass(frozen=True, kw_only=True)
class Zoo:
    """The bases, and what stands in them under each key."""

    bases: tuple[Base, ...]
    under: dict[str, list[Tree]]  # values by the key that holds them
    beside: dict[str, list[tuple[str, Tree]]]  # entries of mappings by the key that holds them
    names: tuple[str, ...]  # every key


def read(text: str) -> Tree:
    """Return a text as a tree of mappings, lists and words."""
    return yaml.load(text, Loader=yaml.BaseLoader)  # words only


def write(tree: Tree) -> str:
    """Return a tree as text."""
    return yaml.dump(tree, Dumper=_Plain)  # type: ignore[arg-type]


@cache
def the_zoo() -> Zoo:
    """Return shipped specs as they are written, and resolved and small."""
    bases = [*_written(), *_resolved()]
    under: dict[str, list[Tree]] = defaultdict(list)
    beside: dict[str, list[tuple[str, Tree]]] = defaultdict(list)
    for base in bases:
        for path in places(base.tree):
            value = at(base.tree, path)
            if path and isinstance(path[-1], str):
                under[path[-1]].append(value)
                beside[_kind(base.tree, path[:-1])].append((path[-1], value))
    return Zoo(bases=tuple(bases), under=under, beside=beside, names=tuple(sorted(under)))


def mutate(chance: random.Random) -> tuple[str, str]:
    """Return a name that tells where it comes from, and the text of a spec."""
    zoo_ = the_zoo()
    base = chance.choice(zoo_.bases)
    tree, edits = read(write(base.tree)), []
    wild = chance.random() < 0.2
    for _ in range(chance.choice([1, 1, 1, 1, 2, 3] if not wild else [1, 2, 4, 8])):
        edit = chance.choice(ROUGH if wild else GENTLE)
        edits.append(edit.__name__)
        tree = edit(tree, zoo_, chance)
    text = write(tree)
    if wild and chance.random() < 0.4:
        edits.append("torn")
        text = _torn(text, chance)
    return f"{base.name}: {', '.join(edits)}", text


def places(tree: Tree, path: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """Yield the paths of all parts of a tree, its own first."""
    yield path
    parts: Any = tree.items() if isinstance(tree, dict) else ()
    parts = enumerate(tree) if isinstance(tree, list) else parts
    for step, below in parts:
        yield from places(below, (*path, step))


def at(tree: Tree, path: tuple[Step, ...]) -> Tree:
    """Return the part of a tree at a path."""
    for step in path:
        tree = tree[step]
    return tree


def _written() -> Iterator[Base]:
    for name in (*zoo.names(), *zoo.optimizers()):
        if not SIZED.search(name):
            path = zoo.path(name)
            assert path is not None
            yield Base(name=name, tree=read(path.read_text(encoding="utf-8")))


def _resolved() -> Iterator[Base]:
    for name in (*zoo.names(), *zoo.optimizers()):
        if SIZED.search(name) or (name in zoo.names() and not name.endswith("-tiny")):
            continue
        spec = ng.load(name)
        wanted = {f"vars.{v.name}": SMALL[v.name] for v in spec.variables() if v.name in SMALL}
        try:
            spec = ng.load(name, set=wanted)
        except SpecError:
            spec = ng.load(name)
        yield Base(name=f"{name}, resolved", tree=read(spec.resolved_yaml()))


def _kind(tree: Tree, path: tuple[Step, ...]) -> str:
    """Return what kind of mapping lies at a path: an op by its name, all else by the keys above
    it.
    """
    mapping = at(tree, path)
    if isinstance(mapping.get("op"), str):
        return f"op {mapping['op']}"
    if "read" in mapping:
        return "read"
    named = [step for step in path if isinstance(step, str)]
    if not named:
        return ""
    return named[-1] if named[-1] in GENERAL or len(named) < 2 else named[-2] + "/*"


GENERAL = (
    "rule",
    "objective",
    "init",
    "net",
    "erase",
    "values",
    "training",
    "embed",
    "head",
    "model",
    "then",
    "stack",
    "with",
    "vars",
    "levels",
    "blocks",
    "memories",
    "nodes",
)


def _some(tree: Tree, chance: random.Random, wanted: Callable[[Tree], bool]) -> tuple[Step, ...]:
    fitting = [path for path in places(tree) if path and wanted(at(tree, path))]
    return chance.choice(fitting) if fitting else ()


def _put(tree: Tree, path: tuple[Step, ...], value: Tree) -> Tree:
    if not path:
        return value
    at(tree, path[:-1])[path[-1]] = read(write(value)) if isinstance(value, dict | list) else value
    return tree


def _is_word(part: Tree) -> bool:
    return isinstance(part, str)


def _is_number(part: Tree) -> bool:
    return isinstance(part, str) and bool(NUMBER.match(part))


def other_number(tree: Tree, zoo_: Zoo, chance: random.Random) -> Tree:
    path = _some(tree, chance, _is_number)
    if not path:
        return tree
    word = at(tree, path)
    if chance.random() < 0.3:
        return _put(tree, path, chance.choice(ODD_NUMBERS))
    if word.lstrip("-").isdecimal():
        return _put(tree, path, str(chance.choice([int(word) * 2, int(word) + 1, 1, 2, 4])))
    return _put(tree, path, f"{float(word) * chance.choice([0.5, 0.9, 1.1, 2.0]):.6g}")


def wild_number(tree: Tree, zoo_: Zoo, chance: random.Random) -> Tree:
    path = _some(tree, chance, _is_number)
    return _put(tree, path, chance.choice(WILD_NUMBERS)) if path else tree


def wild_word(tree: Tree, zoo_: Zoo, chance: random.Random) -> Tree:
    return _put(tree, _some(tree, chance, _is_word), chance.choice(WILD_WORDS))


def other_value(tree: Tree, zoo_: Zoo, chance: random.Random) -> Tree:
    """Return what stands under the same key elsewhere."""
    path = _some(tree, chance, lambda part: True)
    if not path or not isinstance(path[-1], str) or path[-1] not in zoo_.under:
        return tree
    return _put(tree, path, chance.choice(zoo_.under[path[-1]]))


def other_flow(tree: Tree, zoo_: Zoo, chance: random.Random) -> Tree:
    """Return another name of the same block where a name stands."""
    path = _some(tree, chance, lambda part: _is_word(part) and not _is_number(part))
    if "nodes" not in path and "memories" not in path:
        return tree
    deep = len(path) - 1 - path[::-1].index("nodes" if "nodes" in path else "memories")
    block = at(tree, path[:deep])
    nodes = block.get("nodes") if isinstance(block, dict) else None
    names = [*nodes, "x"] if isinstance(nodes, dict) else ["x"]
    return _put(tree, path, chance.choice(names))


def new_entry(tree: Tree, zoo_: Zoo, chance: random.Random) -> Tree:
    """Return a field that mappings of its kind have elsewhere."""
    path = _some(tree, chance, lambda part: isinstance(part, dict))
    known = zoo_.beside.get(_kind(tree, path), []) if path else []
    if not known:
        return tree
    key, value = chance.choice(known)
    return _put(tree, (*path, key), value)


def no_entry(tree: Tree, zoo_: Zoo, chance: random.Random) -> Tree:
    path = _some(tree, chance, lambda part: True)
    if path:
        del at(tree, path[:-1])[path[-1]]
    return tree


def twice(tree: Tree, zoo_: Zoo, chance: random.Random) -> Tree:
    """Return an item of a list a second time."""
    path = _some(tree, chance, lambda part: isinstance(part, list) and bool(part))
    if path:
        items = at(tree, path)
        items.insert(chance.randrange(len(items) + 1), read(write(chance.choice(items))))
    return tree


def other_order(tree: Tree, zoo_: Zoo, chance: random.Random) -> Tree:
    path = _some(tree, chance, lambda part: isinstance(part, list) and len(part) > 1)
    if path:
        chance.shuffle(at(tree, path))
    return tree


def other_key(tree: Tree, zoo_: Zoo, chance: random.Random) -> Tree:
    path = _some(tree, chance, lambda part: True)
    if not path or not isinstance(path[-1], str):
        return tree
    holder, key = at(tree, path[:-1]), path[-1]
    typo = key[:-1] if chance.random() < 0.5 and len(key) > 1 else chance.choice(zoo_.names)
    changed = {typo if k == key else k: v for k, v in holder.items()}
    return _put(tree, path[:-1], changed)


def moved(tree: Tree, zoo_: Zoo, chance: random.Random) -> Tree:
    """Return two parts change places."""
    one, other = (_some(tree, chance, lambda part: True) for _ in range(2))
    if not one or not other or one[: len(other)] == other or other[: len(one)] == one:
        return tree
    first, second = at(tree, one), at(tree, other)
    at(tree, one[:-1])[one[-1]] = second
    at(tree, other[:-1])[other[-1]] = first
    return tree


def grafted(tree: Tree, zoo_: Zoo, chance: random.Random) -> Tree:
    """Return any part of any spec in place of another."""
    source = chance.choice(zoo_.bases).tree
    path = _some(source, chance, lambda part: True)
    return _put(tree, _some(tree, chance, lambda part: True), at(source, path))


GENTLE = (
    *[other_number] * 5,
    other_value,
    other_value,
    other_flow,
    new_entry,
    new_entry,
    no_entry,
    twice,
    other_order,
)
ROUGH = (*GENTLE, wild_number, wild_number, wild_word, other_key, other_key, moved, grafted)


def _torn(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    line = chance.randrange(len(lines))
    match chance.randrange(5):
        case 0:
            return text[: chance.randrange(len(text) + 1)]
        case 1:
            del lines[line]
        case 2:
            lines.insert(line, chance.choice(lines))
        case 3:
            lines[line] = "  " * chance.randrange(3) + lines[line].lstrip()
        case 4:
            spot = chance.randrange(len(text) + 1)
            return text[:spot] + chance.choice(WILD_TEXT) + text[spot + chance.randrange(3) :]
    return "\n".join(lines)
