"""The specs that ship with nestgraph.

A system has one file of its own name, and one for each other size: `hope`, `hope-tiny`,
`hope-340m`. Together they are a family.
"""

from __future__ import annotations

import importlib.resources
import re
from dataclasses import dataclass
from functools import cache
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
    """Return the folder of the shipped specs."""
    return Path(str(importlib.resources.files("nestgraph.specs")))


def names() -> tuple[str, ...]:
    """Return names of all shipped models, sorted."""
    return tuple(name for name in _all() if not _moves_parameters(name))


def optimizers() -> tuple[str, ...]:
    """Return names of all shipped optimizers, sorted."""
    return tuple(name for name in _all() if _moves_parameters(name))


def path(name: str) -> Path | None:
    """Return the file of a shipped spec, or None."""
    return folder() / f"{name}.yaml" if name in _all() else None


def families(among: tuple[str, ...] | None = None) -> tuple[Family, ...]:
    """Return shipped systems by name, small sizes first; all models by default."""
    sizes: dict[str, list[str]] = {}
    for name in names() if among is None else among:
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
    """Return a name as system and size: `hope-1.3b` is (`hope`, `1.3b`)."""
    found = _SIZED.fullmatch(name)
    return (found["family"], found["size"]) if found else (name, None)


def _parameters(size: str) -> float:
    if size == "tiny":
        return 0.0
    return float(size[:-1]) * (1e9 if size.endswith("b") else 1e6)


@cache
def _all() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in folder().glob("*.yaml")))


@cache
def _moves_parameters(name: str) -> bool:
    """Return whether a shipped spec is an optimizer, by its text: reading all of them takes too
    long.
    """
    text = (folder() / f"{name}.yaml").read_text(encoding="utf-8")
    base = re.search(r"^extends: (\S+)", text, re.MULTILINE)
    if re.search(r"^(model|optimizer):", text, re.MULTILINE) or base is None:
        return re.search(r"^optimizer:", text, re.MULTILINE) is not None
    return base[1] in _all() and _moves_parameters(base[1])


def _doc(path: Path) -> str:
    from nestgraph.findings import Findings
    from nestgraph.text.source import parse
    from nestgraph.text.tree import Scalar, Table

    tree = parse(path.read_text(encoding="utf-8"), path.name, Findings())
    doc = tree.get("doc") if isinstance(tree, Table) else None
    return str(doc.value) if isinstance(doc, Scalar) else ""
