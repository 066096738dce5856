"""Which vars a spec mentions and which it declares: unknown and unused ones, found together.

A mistyped declaration is reported once, at the declaration, and not at each of its uses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nestgraph.elaborate.scope import inside, other_numbers
from nestgraph.errors import Span
from nestgraph.findings import MOST_HELPED, Findings, closest, did_you_mean, near_words
from nestgraph.recovery.fixes import Cures, Put, Rename, as_meant, as_named, either
from nestgraph.text.arithmetic import mentions
from nestgraph.text.tree import Items, Scalar, Table, Tree

ELSEWHERE = ("name", "doc", "blocks")  # two that hold no arithmetic, and blocks, by themselves


@dataclass(frozen=True, slots=True)
class Mention:
    """One `$name` of the file."""

    name: str
    span: Span
    scalar: Scalar


def check_vars(tree: Table, findings: Findings) -> None:
    """Report vars that are mentioned and not declared, or declared and not mentioned."""
    declared = _declared(tree)
    sections = [entry.value for entry in tree.without(*ELSEWHERE).entries.values()]
    wanted = [mention for section in sections for mention in _mentions(section)]
    checker = _Checker(declared, findings, tree.span.file)
    blocks = tree.get("blocks")
    for block in _tables(blocks):
        wanted += checker.block(block)
    checker.file(wanted)


class _Checker:
    def __init__(self, declared: dict[str, Span], findings: Findings, file: str) -> None:
        self.declared = declared
        self.findings = findings
        self.path = file

    def block(self, block: Table) -> list[Mention]:
        """Check a block's own vars; what they don't cover is left to the file's."""
        own = _declared(block)
        inner = list(_mentions(block.without("vars")))
        outer: list[Mention] = []
        defaults = block.get("vars")
        if isinstance(defaults, Table):
            for name, entry in defaults.entries.items():
                in_default = list(_mentions(entry.value))
                inner += [mention for mention in in_default if mention.name != name]
                # A default that mentions its own name means the file's var.
                outer += [mention for mention in in_default if mention.name == name]
        used = {mention.name for mention in inner}
        outside = outer + [mention for mention in inner if mention.name not in own]
        unknown = [mention for mention in outside if mention.name not in self.declared]
        unused = {name: span for name, span in own.items() if name not in used}
        explained = self._misspelt(unknown, unused)
        self._unused(unused, explained, own)
        return [mention for mention in outside if mention.name not in explained]

    def file(self, wanted: list[Mention]) -> None:
        """Check the file's vars against all that is asked of them."""
        used = {mention.name for mention in wanted}
        unknown = [mention for mention in wanted if mention.name not in self.declared]
        unused = {name: span for name, span in self.declared.items() if name not in used}
        explained = self._misspelt(unknown, unused)
        self._unused(unused, explained, self.declared)
        for mention in unknown:
            if mention.name not in explained:
                message, hint, cures = f"no var is called `${mention.name}`", "", None
                if self.findings.helps:
                    hint, cures = did_you_mean(mention.name, self.declared), self._known(mention)
                hint = hint or "declare it in `vars`"
                self.findings.add("NG108", message, mention.span, hint, cures=cures)

    def _misspelt(self, unknown: Iterable[Mention], unused: dict[str, Span]) -> dict[str, str]:
        """Return unknown names that an unused declaration was meant to declare."""
        explained: dict[str, str] = {}
        for name in list(dict.fromkeys(mention.name for mention in unknown))[:MOST_HELPED]:
            meant = closest(name, [word for word in unused if word not in explained.values()])
            if meant is not None:
                explained[name] = meant
                message = f"var `{meant}` is used nowhere, but `${name}` is"
                hint = f"did you mean `{name}`?"
                cures = as_meant(Rename(unused[meant], name), meant, name)
                self.findings.add("NG108", message, unused[meant], hint, cures=cures)
        return explained

    def _known(self, mention: Mention) -> Cures:
        """Return what an unknown var may have been meant to be: one of like name, else any
        number.
        """
        near, scalar = near_words(mention.name, self.declared), mention.scalar
        word = re.compile(rf"\${mention.name}\b")
        texts = [word.sub(f"${other}", str(scalar.value)) for other in near]
        others = (*(Put(scalar.span, text) for text in texts), *other_numbers(scalar))
        if len(near) == 1:
            return as_named(others[0], mention.name, near[0], either(others[1:]))
        return either(others)

    def _unused(
        self, unused: dict[str, Span], explained: dict[str, str], declared: dict[str, Span]
    ) -> None:
        """Warn of what the file itself declares; those that it extends may well use theirs."""
        for name, span in unused.items():
            if name not in explained.values() and span.file == self.path:
                message = f"var `{name}` is used nowhere"
                hint = _meant(name, span, declared) or "delete it"
                self.findings.add("NG120", message, span, hint, "warning")


def _meant(name: str, span: Span, declared: dict[str, Span]) -> str:
    """Return the var of another file, one that this file extends, which it was to set."""
    inherited = [other for other, place in declared.items() if place.file != span.file]
    near = closest(name, inherited)
    return "" if near is None else f"did you mean `{near}`?"


def _declared(table: Table) -> dict[str, Span]:
    declared = table.get("vars")
    if not isinstance(declared, Table):
        return {}
    return {name: entry.key for name, entry in declared.entries.items()}


def _tables(tree: Tree | None) -> Iterator[Table]:
    if isinstance(tree, Table):
        for entry in tree.entries.values():
            if isinstance(entry.value, Table):
                yield entry.value


def _mentions(tree: Tree) -> Iterator[Mention]:
    if isinstance(tree, Table):
        for entry in tree.entries.values():
            yield from _mentions(entry.value)
    elif isinstance(tree, Items):
        for item in tree.items:
            yield from _mentions(item)
    elif isinstance(tree, Scalar) and isinstance(tree.value, str) and "$" in tree.value:
        for name, offset in mentions(tree.value):
            yield Mention(name, inside(tree, offset), tree)
