"""`--set path=value`: changes to a spec from outside, with places of their own.

A path goes down mappings by key and lists by position or by the name of an item (`block`, `op`,
`for`, `name`). A lone var name is short for `vars.NAME`. In messages the file is
`--set path=value`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from nestgraph.errors import Span
from nestgraph.findings import Findings, did_you_mean
from nestgraph.recovery.habits import meant_by
from nestgraph.schema.file import Training
from nestgraph.schema.follow import known_keys
from nestgraph.text.source import parse
from nestgraph.text.tree import BROKEN, Entry, Items, Scalar, Table, Tree, shown

SETTING = "--set "  # how messages call the place of an override
MAX_LABEL = 100
# Tables whose keys are names that the spec chose: a new one would change nothing.
NAMED = ("vars", "levels", "blocks", "memories", "nodes")
TOP = ("nestgraph", "name", "doc", "levels", "vars", "blocks", "model", "optimizer", "training")


def seen_from(span: Span) -> str | None:
    """Return the file beside which a name at that place is looked up; None: the user's own
    folder.
    """
    return None if span.file.startswith(SETTING) else span.file


def apply_settings(
    tree: Table, overrides: Mapping[str, object], texts: dict[str, str], findings: Findings
) -> Table:
    """Return the tree with every override applied.

    Args:
        tree: a composed spec.
        overrides: values by path; texts are read as YAML.
        texts: receives the text of each override under its name in messages.
        findings: receives what could not be applied.
    """
    for path, value in overrides.items():
        text = text_of(value)
        file = label(path, text)
        texts[file] = f"{path}={text}"
        # Blanks in place of the path give the value its true column.
        before = len(findings)
        given = parse(" " * (len(path) + 1) + text, file, findings)
        if given is None:
            nothing = BROKEN if len(findings) > before else None
            given = Scalar(nothing, Span(file=file, line=1, column=len(path) + 2))
        setting = _Setting(file, path, given, findings)
        tree = setting.apply(tree)
    return tree


def text_of(value: object) -> str:
    """Return the text that an override stands for, which is read as YAML."""
    return value if isinstance(value, str) else _as_text(value)


def label(path: str, text: str) -> str:
    """Return what messages call an override: one line, not too long."""
    words = SETTING + " ".join(f"{path}={text}".split())
    return words if len(words) <= MAX_LABEL else f"{words[:MAX_LABEL]}..."


def _as_text(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return json.dumps(str(value))


class _Setting:
    """One override on its way down the tree."""

    def __init__(self, file: str, path: str, value: Tree, findings: Findings) -> None:
        self.file = file
        self.path = path
        self.value = value
        self.findings = findings
        self.parts = path.split(".")

    def apply(self, tree: Table) -> Table:
        if not all(self.parts):
            self._fail(0, f"path `{self.path}` has an empty part", "write `vars.width`")
            return tree
        variables = tree.get("vars")
        declared = variables if isinstance(variables, Table) else Table({}, tree.span)
        if len(self.parts) == 1 and self.path not in TOP:
            if self.path not in declared:
                hint = did_you_mean(self.path, [*declared, *TOP], limit=0)
                self._fail(0, f"no var is called `{self.path}`", hint or _in_training(self.path))
                return tree
            self.parts = ["vars", self.path]
        changed = self._into(tree, 0)
        return changed if isinstance(changed, Table) else tree

    def _into(self, tree: Tree, index: int) -> Tree:
        if index == len(self.parts):
            return self.value
        if isinstance(tree, Table):
            return self._table(tree, index)
        if isinstance(tree, Items):
            return self._items(tree, index)
        if tree.value is None:
            return self._table(Table({}, tree.span), index)
        holder = ".".join(self.parts[:index])
        hint = f"set `{holder}` as a whole"
        self._fail(index, f"`{holder}` is {shown(tree)}, not a mapping", hint)
        return tree

    def _table(self, tree: Table, index: int) -> Tree:
        part = self.parts[index]
        entry = tree.entries.get(part)
        if entry is None and index > 0 and self.parts[index - 1] in NAMED:
            holder = ".".join(self.parts[:index])
            self._fail(index, f"`{holder}` has no `{part}`", did_you_mean(part, tree))
            return tree
        below = entry.value if entry else Table({}, self._span(index))
        changed = self._into(below, index + 1)
        key = entry.key if entry and index + 1 < len(self.parts) else self._span(index)
        return Table({**tree.entries, part: Entry(key, changed)}, tree.span)

    def _items(self, tree: Items, index: int) -> Tree:
        part = self.parts[index]
        names = [_item_name(item) for item in tree.items]
        if part.isdecimal() and len(part) < 6 and int(part) < len(tree.items):
            position = int(part)
        elif names.count(part) == 1:
            position = names.index(part)
        else:
            self._no_item(index, [name for name in names if name])
            return tree
        items = list(tree.items)
        items[position] = self._into(items[position], index + 1)
        return Items(tuple(items), tree.span)

    def _no_item(self, index: int, names: list[str]) -> None:
        part, holder = self.parts[index], ".".join(self.parts[:index])
        if names.count(part) > 1:
            self._fail(index, f"`{holder}` has several `{part}`", "use the position, from 0")
        else:
            self._fail(index, f"`{holder}` has no item `{part}`", did_you_mean(part, names))

    def _span(self, index: int) -> Span:
        skipped = self.path.split(".")
        before = skipped[: max(0, index - (len(self.parts) - len(skipped)))]
        column = sum(len(part) + 1 for part in before) + 1
        length = len(self.parts[index])
        return Span(file=self.file, line=1, column=column, end_column=column + length)

    def _fail(self, index: int, message: str, hint: str) -> None:
        self.findings.add("NG113", message, self._span(index), hint)


def _in_training(word: str) -> str:
    """Return the setting of the training that a lone word stands for, if it is one."""
    keys = known_keys(Training)
    meant = next((key for key in (word, *meant_by(word)) if key in keys), None)
    return "" if meant is None else f"did you mean `training.{meant}`?"


def _item_name(item: Tree) -> str:
    if isinstance(item, Scalar):
        return str(item.value)
    if isinstance(item, Table):
        for key in ("name", "block", "op", "for"):
            value = item.get(key)
            if isinstance(value, Scalar):
                return str(value.value)
    return ""
