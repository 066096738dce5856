"""One tree from several files: `extends`, then `--set`.

A spec that extends another gives what differs: mappings merge key by key, everything else is
replaced. Every value keeps the place at which it was written, in whichever file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nestgraph.errors import Span
from nestgraph.findings import Findings
from nestgraph.text.files import Reader, UnreadableError
from nestgraph.text.settings import apply_settings, seen_from
from nestgraph.text.source import parse
from nestgraph.text.tree import Entry, Scalar, Table, Tree, shown

MAX_CHAIN = 16
_VERSION = re.compile(r"""^\ufeff?(["']?)nestgraph\1\s*:""", re.MULTILINE)
OWN = ("nestgraph", "name")  # every file says these for itself


@dataclass(frozen=True, kw_only=True, slots=True)
class Composed:
    """A spec in one tree.

    Attributes:
        main: the file that was asked for.
        tree: the merged tree, without `extends`.
        sources: text of every file that was read.
        settings: text of every `--set`, by the name it has in messages.
    """

    main: str
    tree: Table
    sources: Mapping[str, str]
    settings: Mapping[str, str]


class Composer:
    """Reads a spec and what it extends.

    Attributes:
        sources: text of every file read so far, also when reading failed.
        settings: text of every `--set`.
        names: the file that each name of one means, by the place where it is written.
    """

    def __init__(self, reader: Reader, findings: Findings) -> None:
        self.reader = reader
        self.findings = findings
        self.sources: dict[str, str] = {}
        self.settings: dict[str, str] = {}
        self.names: dict[Span, str] = {}
        self._parsed: dict[tuple[str, str], tuple[Tree | None, Findings]] = {}

    def compose(self, name: str, overrides: Mapping[str, object]) -> Composed | None:
        """Return the merged tree of a spec with its overrides, or None if it could not be read."""
        try:
            main = self.reader.find(name)
        except UnreadableError as error:
            self.findings.add("NG100", str(error), error.span, error.hint)
            return None
        tree = self._load(main, None, ())
        if tree is None:
            return None
        tree = apply_settings(tree, overrides, self.settings, self.findings)
        return Composed(main=main, tree=tree, sources=self.sources, settings=self.settings)

    def _load(self, file: str, asked: Span | None, chain: tuple[str, ...]) -> Table | None:
        tree = self.read(file, asked)
        return None if tree is None else self.extended(tree, file, chain)

    def extended(self, tree: Table, file: str, chain: tuple[str, ...] = ()) -> Table | None:
        """Return a tree of a file, merged over what it `extends`."""
        extends = tree.get("extends")
        if extends is None:
            return tree.without("extends")
        own = tree.without("extends")
        base = self._base(file, extends, (*chain, file))
        return merge(base.without(*OWN), own) if base is not None else None

    def _base(self, file: str, extends: Tree, chain: tuple[str, ...]) -> Table | None:
        if not isinstance(extends, Scalar) or not isinstance(extends.value, str):
            self.findings.wrong("`extends`", extends, "a path or a zoo name")
            return None
        try:
            base = self.find(extends.value, extends.span)
        except UnreadableError as error:
            self.findings.add("NG112", str(error), extends.span, error.hint)
            return None
        if base in chain:
            around = " -> ".join((*chain[chain.index(base) :], base))
            message = f"`extends` goes round in a circle: {around}"
            hint = "start from a spec that does not lead back here"
            self.findings.add("NG112", message, extends.span, hint)
            return None
        if len(chain) >= MAX_CHAIN:
            message = f"`extends` goes through more than {MAX_CHAIN} files"
            self.findings.add("NG112", message, extends.span, "start from one nearer the end")
            return None
        return self._load(base, extends.span, chain)

    def find(self, name: str, span: Span) -> str:
        """Return the file that a name means, seen from the file that wrote it.

        Raises:
            UnreadableError: when there is none.
        """
        file = self.reader.find(name, beside=seen_from(span))
        self.names[span] = file
        return file

    def read(self, file: str, asked: Span | None) -> Table | None:
        """Return the tree of one file as it stands, or None if it could not be read.

        Args:
            file: to read.
            asked: where another spec names it; what then is no spec is never quoted.
        """
        try:
            text = self.reader.read(file)
        except UnreadableError as error:
            if asked is not None and error.span is not None:
                self._no_spec(file, asked, "isn't UTF-8")
            else:
                self.findings.add("NG100", str(error), error.span or asked, error.hint)
            return None
        tree, found = self._parse(text, file)
        if asked is not None and not _begins_spec(tree, text):
            self._no_spec(file, asked, "has no `nestgraph:` at its top")
            return None
        self.sources[file] = text
        before = len(self.findings)
        self.findings.take(found)
        if isinstance(tree, Table):
            return tree
        start = Span(file=file, line=1, column=1)
        if tree is None and len(self.findings) > before:
            return None
        if tree is None or (isinstance(tree, Scalar) and tree.value is None):
            self.findings.add("NG100", "the file is empty", start, "a spec begins `nestgraph: 1`")
        else:
            message = f"the file holds {shown(tree)}, not a mapping"
            self.findings.add("NG100", message, tree.span, "a spec begins `nestgraph: 1`")
        return None

    def _parse(self, text: str, file: str) -> tuple[Tree | None, Findings]:
        """Return a file's tree and what is wrong with it; one that is named often is parsed
        once.
        """
        if (text, file) not in self._parsed:
            found = Findings()
            self._parsed[text, file] = parse(text, file, found), found
        return self._parsed[text, file]

    def _no_spec(self, file: str, asked: Span, why: str) -> None:
        hint = "name a spec; one begins `nestgraph: 1`"
        self.findings.add("NG115", f"`{file}` is no spec: it {why}", asked, hint)


def _begins_spec(tree: Tree | None, text: str) -> bool:
    """Return whether a text says that it is a spec, even one with mistakes."""
    if tree is None:
        return _VERSION.search(text) is not None
    return isinstance(tree, Table) and "nestgraph" in tree


def merge(base: Table, over: Table) -> Table:
    """Return `base` with what `over` says: mappings merge, everything else is replaced."""
    entries = dict(base.entries)
    for key, entry in over.entries.items():
        below = entries[key].value if key in entries else None
        if isinstance(below, Table) and isinstance(entry.value, Table):
            entries[key] = Entry(entry.key, merge(below, entry.value))
        else:
            entries[key] = entry
    return Table(entries, over.span)
