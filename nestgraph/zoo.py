"""The specs that ship with nestgraph."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
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
    """Names of all shipped models, sorted."""
    return tuple(name for name in _all() if not _moves_parameters(name))


def optimizers() -> tuple[str, ...]:
    """Names of all shipped optimizers, sorted."""
    return tuple(name for name in _all() if _moves_parameters(name))


def path(name: str) -> Path | None:
    """The file of a shipped spec, or None."""
    return folder() / f"{name}.yaml" if name in _all() else None


def entries(among: Iterable[str] | None = None) -> tuple[Entry, ...]:
    """Shipped specs with their line of description; the models by default."""
    return tuple(
        Entry(name=name, path=folder() / f"{name}.yaml", doc=_doc(folder() / f"{name}.yaml"))
        for name in (names() if among is None else among)
    )


@cache
def _all() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in folder().glob("*.yaml")))


@cache
def _moves_parameters(name: str) -> bool:
    """Whether a shipped spec is an optimizer, by its text: reading all of them takes too long."""
    text = (folder() / f"{name}.yaml").read_text(encoding="utf-8")
    base = re.search(r"^extends: (\S+)", text, re.MULTILINE)
    if re.search(r"^(model|optimizer):", text, re.MULTILINE) or base is None:
        return re.search(r"^optimizer:", text, re.MULTILINE) is not None
    return base[1] in _all() and _moves_parameters(base[1])


def _doc(path: Path) -> str:
    from nestgraph.findings import Findings
    from nestgraph.source import parse
    from nestgraph.tree import Scalar, Table

    tree = parse(path.read_text(encoding="utf-8"), path.name, Findings())
    doc = tree.get("doc") if isinstance(tree, Table) else None
    return str(doc.value) if isinstance(doc, Scalar) else ""
