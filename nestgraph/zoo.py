"""The specs that ship with nestgraph."""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A shipped spec.

    Attributes:
        name: what to type.
        path: its file.
        doc: one line about it.
    """

    name: str
    path: Path
    doc: str


def folder() -> Path:
    """The folder of the shipped specs."""
    return Path(str(importlib.resources.files("nestgraph.specs")))


def names() -> tuple[str, ...]:
    """Names of all shipped specs, sorted."""
    return tuple(sorted(path.stem for path in folder().glob("*.yaml")))


def path(name: str) -> Path | None:
    """The file of a shipped spec, or None."""
    return folder() / f"{name}.yaml" if name in names() else None


def entries() -> tuple[Entry, ...]:
    """All shipped specs with their line of description."""
    return tuple(
        Entry(name=name, path=folder() / f"{name}.yaml", doc=_doc(folder() / f"{name}.yaml"))
        for name in names()
    )


def _doc(path: Path) -> str:
    from nestgraph.findings import Findings
    from nestgraph.source import parse
    from nestgraph.tree import Scalar, Table

    tree = parse(path.read_text(encoding="utf-8"), path.name, Findings())
    doc = tree.get("doc") if isinstance(tree, Table) else None
    return str(doc.value) if isinstance(doc, Scalar) else ""
