"""The specs that ship with nestgraph.

A system has one file of its own name, and one for each other size: `hope`, `hope-tiny`,
`hope-340m`. Together they are a family.
"""

from __future__ import annotations

import importlib.resources
import re
from dataclasses import dataclass
from pathlib import Path

_SIZED = re.compile(r"(?P<family>.+)-(?P<size>tiny|\d+(?:\.\d+)?[mb])")


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A system with the sizes that it comes in.

    Attributes:
        name: of the system, which is also a spec.
        sizes: `tiny`, then the number of parameters that papers name; `{name}-{size}` is a spec.
        doc: one line about it.
    """

    name: str
    sizes: tuple[str, ...]
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


def families() -> tuple[Family, ...]:
    """All shipped systems by name, small sizes first."""
    sizes: dict[str, list[str]] = {}
    for name in names():
        family, size = split(name)
        sizes.setdefault(family, []).extend([size] if size else [])
    return tuple(
        Family(
            name=name,
            sizes=tuple(sorted(sizes[name], key=_parameters)),
            doc=_doc(folder() / f"{name}.yaml"),
        )
        for name in sorted(sizes)
    )


def split(name: str) -> tuple[str, str | None]:
    """A name as system and size: `hope-1.3b` is (`hope`, `1.3b`)."""
    found = _SIZED.fullmatch(name)
    return (found["family"], found["size"]) if found else (name, None)


def _parameters(size: str) -> float:
    if size == "tiny":
        return 0.0
    return float(size[:-1]) * (1e9 if size.endswith("b") else 1e6)


def _doc(path: Path) -> str:
    from nestgraph.findings import Findings
    from nestgraph.source import parse
    from nestgraph.tree import Scalar, Table

    tree = parse(path.read_text(encoding="utf-8"), path.name, Findings())
    doc = tree.get("doc") if isinstance(tree, Table) else None
    return str(doc.value) if isinstance(doc, Scalar) else ""
